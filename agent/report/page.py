"""The page: the report's parts put into page.html.j2, with its style and script inside.

It formats the trace's fields; what they mean is decided in `findings`, their positions in `waterfall` and `figures`.
Every text of the trace is escaped by the template engine; a content security policy lets the page load nothing but its
audio.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from agent.report import figures, findings, stages
from agent.report.template import render_page, write_html
from pipelines.stopwatch.record import SessionRecord, TurnRecord
from pipelines.stopwatch.summary import Row

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
    session: SessionRecord,
    turns: Sequence[TurnRecord],
    rows: Sequence[Row],
    *,
    title: str,
    audio: Sequence[tuple[str, Path]] = (),
) -> None:
    """Write one self-contained HTML file that needs no network.

    `session` and `turns` are the trace's, `rows` the figures of each LLM and mode. `audio` are labelled files, linked
    relative to the page. Raises InputError if the file cannot be written.
    """
    links = [(label, _relative_link(target, path.parent)) for label, target in audio]
    write_html(path, render(session, turns, rows, title=title, audio=links))


def render(
    session: SessionRecord,
    turns: Sequence[TurnRecord],
    rows: Sequence[Row],
    *,
    title: str,
    audio: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as text; `audio` holds labels and URLs."""
    return render_page(
        "page.html.j2",
        {
            "title": title,
            "session": session,
            "turns": turns,
            "outcomes": Counter(turn.outcome.value for turn in turns),
            "simulated": session.simulated or any(turn.simulated for turn in turns),
            "estimated": sum(not turn.labelled for turn in turns),
            "headline": findings.headline(rows),
            "levers": findings.levers(rows),
            "grid": figures.grid(rows),
            "stack_groups": figures.stacks(rows),
            "anatomy": findings.anatomy(turns, rows),
            "distribution": figures.distribution(turns),
            "ledger": findings.ledger(turns),
            "slowest_ms": max((turn.turn_latency_ms or 0.0 for turn in findings.completed(turns)), default=0.0) or 1.0,
            "choices": {key: _choices(turns, key) for key in ("llm", "mode", "recording", "outcome")},
            "audio": audio,
            "settings": [
                (name, list(_flatten(value)))
                for name in ("engines", "machine", "config")
                if (value := getattr(session, name))
            ],
            "STAGE_FACTS": STAGE_FACTS,
        },
    )


def _relative_link(target: Path, directory: Path) -> str:
    """A URL relative to the page; an absolute one if the two share no root (two Windows drives)."""
    try:
        return quote(Path(os.path.relpath(target, directory)).as_posix())
    except ValueError:
        return target.resolve().as_uri()


def _choices(turns: Sequence[TurnRecord], key: str) -> list[str]:
    return list(dict.fromkeys(str(value) for turn in turns if (value := getattr(turn, key)) is not None))


def _flatten(value: object, name: str = "") -> Iterator[tuple[str, str]]:
    """A nested mapping as dotted names and texts, in which a simulated LLM is called so."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, str) or not isinstance(value, Sequence):
        yield name, findings.NEVER if value is None else stages.llm_label(str(value))
    else:
        yield name, ", ".join(stages.llm_label(str(item)) for item in value) or findings.NEVER
