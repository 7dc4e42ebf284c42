"""The page: the report's parts put into page.html.j2, with its style and script inside.

It knows the trace's fields and formats them; what they mean is in `findings`, where they stand in `waterfall` and
`figures`. Every text of the trace is escaped by the template engine; a content security policy lets the page load
nothing but its audio.
"""

import base64
import hashlib
import os
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from agent.report import figures, findings, stages
from agent.report.waterfall import waterfall
from pipelines.errors import InputError

_HERE = Path(__file__).parent

STAGE_FACTS = (
    ("endpointing_ms", "Endpointing"),
    ("stt_final_ms", "STT, final decode"),
    ("llm_ttft_ms", "LLM, TTFT"),
    ("llm_first_sentence_ms", "LLM, first sentence"),
    ("tts_ttfb_ms", "TTS, first PCM"),
    ("leading_silence_ms", "Leading silence"),
)
"""The real durations of a turn, hidden or not, with their names for people."""


def write_page(
    path: Path,
    session: Mapping[str, Any],
    turns: Sequence[findings.Turn],
    rows: Sequence[findings.Row],
    *,
    title: str,
    audio: Sequence[tuple[str, Path]],
) -> None:
    """Write the page; see `agent.report.write_report`."""
    links = [(label, _relative_link(target, path.parent)) for label, target in audio]
    html = render(session, turns, rows, title=title, audio=links)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write the report {path}: {error.strerror}; name a file in a writable folder"
        ) from error


def render(
    session: Mapping[str, Any],
    turns: Sequence[findings.Turn],
    rows: Sequence[findings.Row],
    *,
    title: str,
    audio: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as text; `audio` holds labels and URLs."""
    script = _asset("page.js")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            title=title,
            style=Markup(_asset("page.css")),
            script=Markup(script),
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            session=session,
            turns=turns,
            outcomes=Counter(str(turn.get("outcome")) for turn in turns),
            simulated=bool(session.get("simulated"))
            or any(stages.is_simulated(str(turn.get("llm"))) for turn in turns),
            estimated=sum(turn.get("labelled") is False for turn in turns),
            headline=findings.headline(rows),
            levers=findings.levers(rows),
            grid=figures.grid(rows),
            stack_groups=figures.stacks(rows),
            anatomy=findings.anatomy(turns, rows),
            distribution=figures.distribution(turns),
            ledger=findings.ledger(turns),
            slowest_ms=max((float(turn["turn_latency_ms"]) for turn in findings.completed(turns)), default=0.0) or 1.0,
            choices={key: _choices(turns, key) for key in ("llm", "mode", "recording", "outcome")},
            audio=audio,
            settings=[
                (name, list(_flatten(session[name]))) for name in ("engines", "machine", "config") if session.get(name)
            ],
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "ms": findings.milliseconds,
        "usd": _usd,
        "stage": stages.stage,
        "llm_label": stages.llm_label,
        "interval": _interval,
        "whole": _whole_names,
    }
    environment.tests["simulated"] = stages.is_simulated
    environment.globals |= {
        "waterfall": waterfall,
        "STAGES": stages.STAGES,
        "BESIDE": stages.BESIDE,
        "STAGE_FACTS": STAGE_FACTS,
        "OUTCOMES": stages.OUTCOMES,
        "MODE_MEANINGS": stages.MODE_MEANINGS,
        "GLOSSARY": stages.GLOSSARY,
        "PLOT": (figures.PLOT_WIDTH, figures.PLOT_HEIGHT),
    }
    return environment


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _relative_link(target: Path, directory: Path) -> str:
    """A URL relative to the page; an absolute one where the two share no root (two Windows drives)."""
    try:
        return quote(Path(os.path.relpath(target, directory)).as_posix())
    except ValueError:
        return target.resolve().as_uri()


def _choices(turns: Sequence[findings.Turn], key: str) -> list[str]:
    return list(dict.fromkeys(str(turn[key]) for turn in turns if turn.get(key) is not None))


def _flatten(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """A nested mapping as dotted names and texts, in which a simulated LLM is called so."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str) or not isinstance(value, Sequence):
        yield name, findings.NEVER if value is None else stages.llm_label(str(value))
    else:
        yield name, ", ".join(stages.llm_label(str(item)) for item in value) or findings.NEVER


def _whole_names(text: str, names: Sequence[str]) -> Markup:
    """Text in which a name breaks across lines only where it does not fit on one."""
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    parts = re.split(f"({pattern})", text) if names else [text]
    return Markup().join(
        Markup('<span class="whole">{}</span>').format(part) if part in names else part for part in parts
    )


def _usd(value: float | None) -> str:
    """Dollars to three digits, which a single turn's cost needs; a dash where no price is known."""
    if value is None:
        return findings.NEVER
    return f"${value:.2f}" if value >= 1 or value == 0 else f"${float(f'{value:.3g}'):.8f}".rstrip("0")


def _interval(value: object) -> str:
    """A confidence interval in ms: `[low, high]` as given, a single number as ±."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(findings.milliseconds(bound) for bound in value)}]"
    return f"± {findings.milliseconds(value)}" if isinstance(value, int | float) else ""
