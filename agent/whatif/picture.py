"""The picture of `whatif`: turn latency against tokens per second, with the published providers as points."""

import math
from collections.abc import Callable, Mapping, Sequence
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
    title = f"What a faster LLM would have bought: {mode.value}, {len(base.recordings)} recordings (predicted)"
    heading = _heading(title, providers)
    top, left = MARGIN + 26 + 17 * len(heading), MARGIN + 56
    bottom = top + _HEIGHT
    latencies = ticks_beyond(max(ms for line in lines.values() for ms in line), 8)

    def x(rate: float) -> float:
        return left + WIDTH * math.log(rate / RATES[0]) / math.log(RATES[-1] / RATES[0])

    def y(ms: float) -> float:
        return bottom - _HEIGHT * ms / latencies[-1]

    parts = [*heading, *_axes(x, y, latencies), *_curves(lines, x, y), *_points(providers, x, y)]
    width, height = left + WIDTH + 2 * MARGIN, bottom + 66 + MARGIN
    return save_picture(directory / f"whatif-{mode.value}", *parts, width=width, height=height)


def _heading(title: str, providers: Sequence[_Provider]) -> list[Markup]:
    """The title, and what the letters stand for."""
    named = [f"{provider.letter}  {provider.name}" for provider in providers]
    lines = [";  ".join(named[at : at + _NAMES_A_LINE]) for at in range(0, len(named), _NAMES_A_LINE)]
    below = [
        text(words, MARGIN, MARGIN + 36 + 17 * number, "sub")
        for number, words in enumerate(["At their published speeds:", *lines])
    ]
    return [text(title, MARGIN, MARGIN + 16, "title"), *below]


def _curves(lines: Mapping[int, Sequence[float]], x: Position, y: Position) -> list[Markup]:
    """A curve for each TTFT, and what its dashes stand for below the axis."""
    parts = []
    for number, (ttft, line) in enumerate(lines.items()):
        points = "L".join(f"{x(rate):.1f},{y(ms):.1f}" for rate, ms in zip(RATES, line, strict=True))
        parts.append(element("path", class_=f"curve fine k{number}", d=f"M{points}"))
        at, key_y = x(RATES[0]) + 120 * number, y(0) + 58
        parts.append(element("path", class_=f"curve fine k{number}", d=f"M{at:g},{key_y:g}h32"))
        parts.append(text(f"TTFT {ttft} ms", at + 38, key_y + 4))
    return parts


def _axes(x: Position, y: Position, latencies: Sequence[int]) -> list[Markup]:
    left, right, top, bottom = x(RATES[0]), x(RATES[-1]), y(latencies[-1]), y(0)
    parts = []
    for rate in (tick for tick in log_ticks(RATES) if tick <= RATES[-1]):
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
    """Letters stand above their points; of two that are close to each other, the lower has its letter below."""
    parts = []
    for provider in providers:
        at, height = x(provider.rate), y(provider.latency_ms)
        near = [other for other in providers if other is not provider and abs(x(other.rate) - at) < 16]
        is_lower = any((other.latency_ms, other.rate) > (provider.latency_ms, provider.rate) for other in near)
        parts.append(element("circle", cx=at, cy=height, r=4, fill=INK))
        parts.append(text(provider.letter, at, height + (18 if is_lower else -8), "strong halo", "middle"))
    return parts
