"""What every page of ours shares: the template engine with its filters, the style and script inside the page, and the
writing of one self-contained file.

Independent of what a pages shows.
"""

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from agent.report import findings, stages
from agent.report.curves import curves
from agent.report.waterfall import waterfall
from pipelines.errors import InputError
from pipelines.pacer import is_simulated

_HERE = Path(__file__).parent


def render_page(template: str, context: Mapping[str, object]) -> str:
    """`template` filled in, with `style`, `script` and `script_hash` (for the content security policy) of page.css and
    page.js.
    """
    script = _asset("page.js")
    shared = {
        "style": Markup(_asset("page.css")),
        "script": Markup(script),
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return _environment().get_template(template).render(shared | dict(context))


def write_html(path: Path, html: str) -> None:
    """Write a page. Raises InputError if it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot write the report {path}: {error.strerror}; name a file in a writable folder"
        ) from error


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
        "at": findings.moment,
        "usd": _usd,
        "stage": stages.stage,
        "llm_label": stages.llm_label,
        "interval": _interval,
        "whole": _whole_names,
    }
    environment.tests["simulated"] = is_simulated
    environment.globals |= {
        "waterfall": waterfall,
        "curves": curves,
        "STAGES": stages.STAGES,
        "BESIDE": stages.BESIDE,
        "ALL_STAGES": stages.ALL_STAGES,
        "OUTCOMES": stages.OUTCOMES,
        "MODE_MEANINGS": stages.MODE_MEANINGS,
        "GLOSSARY": stages.GLOSSARY,
    }
    return environment


def _asset(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")


def _whole_names(text: str, names: Sequence[str]) -> Markup:
    """Text in which a name breaks across lines only if it does not fit on one."""
    pattern = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    parts = re.split(f"({pattern})", text) if names else [text]
    return Markup().join(
        Markup('<span class="whole">{}</span>').format(part) if part in names else part for part in parts
    )


def _usd(value: float | None) -> str:
    """Dollars to three digits, which a single turn's cost needs; "unknown" without a price."""
    if value is None:
        return "unknown"
    return f"${value:.2f}" if value >= 1 or value == 0 else f"${float(f'{value:.3g}'):.8f}".rstrip("0")


def _interval(value: object) -> str:
    """A confidence interval in ms: `[low, high]` as given, a single number as ±."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(findings.milliseconds(bound) for bound in value)}]"
    return f"± {findings.milliseconds(value)}" if isinstance(value, int | float) else ""
