"""The picture of `whatif`: turn latency against tokens per second, with the published providers as points."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from string import ascii_uppercase

from markupsafe import Markup

from agent.report.svg import INK, MARGIN, WIDTH, element, save_picture, text, upright
from agent.report.ticks import log_ticks, ticks_beyond
from agent.whatif.points import Base, speed_of
from pipelines.llm.catalogue import Catalogue
from pipelines.modes import Mode
from pipelines.stopwatch.whatif import Change, Speed, predict

TTFTS_MS = (50, 100, 200, 400, 800)
RATES = tuple(round(10 * 10 ** (step / 12), 1) for step in range(31))
"""10 to 3,160 tokens per second, twelve steps a decade."""

_HEIGHT = 360.0
_NAMES_A_LINE = 4


@dataclass(frozen=True, slots=True)
class _Provider:
    """A published speed and the turn latency it would lead to."""

    letter: str
    name: str
    rate: float
    latency_ms: float


Position = Callable[[float], float]
"""Where a value lies, in SVG units."""


def write_picture(directory: Path, base: Base, mode: Mode, catalogue: Catalogue) -> list[Path]:
    """A line for each TTFT and a lettered point for each profile of the catalogue; SVG and PNG.

    Returns the files. Raises InputError if one cannot be written.
    """

    def typical_ms(speed: Speed) -> float:
        change = Change(mode, speed, wordless_ms=base.wordless_ms)
        return median(predict(turn, change).latency_ms for turn in base.turns)

    lines = {ttft: [typical_ms(Speed(ttft, rate)) for rate in RATES] for ttft in TTFTS_MS}
    providers = [
        _Provider(letter, name, speed.tokens_per_s, typical_ms(speed))
        for letter, name in zip(ascii_uppercase, catalogue.profiles, strict=False)
        for speed in [speed_of(f"sim/{name}", catalogue, base)]
    ]
    listed = [f"{provider.letter}  {provider.name}" for provider in providers]
    named = [";  ".join(listed[at : at + _NAMES_A_LINE]) for at in range(0, len(listed), _NAMES_A_LINE)]
    title = f"What a faster LLM would have bought: {mode.value}, {len(base.recordings)} recordings (predicted)"
    parts = [text(title, MARGIN, MARGIN + 16, "title")]
    parts += [
        text(words, MARGIN, MARGIN + 36 + 17 * number, "sub")
        for number, words in enumerate(["At their published speeds:", *named])
    ]
    top, left = MARGIN + 60 + 17 * len(named), MARGIN + 56
    bottom = top + _HEIGHT
    highest_ms = ticks_beyond(max(ms for line in lines.values() for ms in line), 8)

    def x(rate: float) -> float:
        return left + WIDTH * math.log(rate / RATES[0]) / math.log(RATES[-1] / RATES[0])

    def y(ms: float) -> float:
        return bottom - _HEIGHT * ms / highest_ms[-1]

    parts += _axes(x, y, [tick for tick in log_ticks(RATES) if tick <= RATES[-1]], highest_ms)
    for number, (ttft, line) in enumerate(lines.items()):
        points = "L".join(f"{x(rate):.1f},{y(ms):.1f}" for rate, ms in zip(RATES, line, strict=True))
        parts.append(element("path", class_=f"curve k{number}", d=f"M{points}"))
        at = left + 120 * number
        parts.append(element("path", class_=f"curve k{number}", d=f"M{at:g},{bottom + 58:g}h32"))
        parts.append(text(f"TTFT {ttft} ms", at + 38, bottom + 62))
    parts += _points(providers, x, y)
    return save_picture(
        directory / f"whatif-{mode.value}", *parts, width=left + WIDTH + 2 * MARGIN, height=bottom + 66 + MARGIN
    )


def _axes(x: Position, y: Position, rates: Sequence[int], latencies: Sequence[int]) -> list[Markup]:
    left, right, top, bottom = x(RATES[0]), x(RATES[-1]), y(latencies[-1]), y(0)
    parts = []
    for rate in rates:
        parts.append(element("path", class_="hair", d=upright(x(rate), top, bottom - top)))
        parts.append(text(f"{rate:,}", x(rate), bottom + 16, anchor="middle"))
    for latency in latencies:
        parts.append(element("path", class_="hair", d=f"M{left:g},{y(latency):.1f}H{right:g}"))
        parts.append(text(f"{latency:,}", left - 6, y(latency) + 4, anchor="end"))
    parts.append(element("path", class_="axis", d=f"M{left:g},{bottom:g}H{right:g}"))
    parts.append(text("tokens per second (logarithmic)", (left + right) / 2, bottom + 36, "sub", "middle"))
    turned = f"translate({left - 48:g} {(top + bottom) / 2:g}) rotate(-90)"
    words = "turn latency, ms (median turn)"
    parts.append(element("text", words, class_="sub", text_anchor="middle", transform=turned))
    return parts


def _points(providers: Sequence[_Provider], x: Position, y: Position) -> list[Markup]:
    """Neighbours on the axis are named above and below in turn, so that their letters do not meet."""
    parts = []
    for number, provider in enumerate(sorted(providers, key=lambda one: one.rate)):
        at, height = x(provider.rate), y(provider.latency_ms)
        parts.append(element("circle", cx=at, cy=height, r=4, fill=INK))
        parts.append(text(provider.letter, at, height + (18 if number % 2 else -8), "strong", "middle"))
    return parts
