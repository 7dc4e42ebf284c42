"""The distribution of turn latency as curves: a panel for the page, and all panels as one picture."""

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from agent.report import figures, findings, stages
from agent.report.svg import MARGIN, ROW, element, group, save_picture, text, upright


def curves(panel: figures.Panel, ticks: Sequence[tuple[float, str]]) -> Markup:
    """One panel of the distribution, its plot area's upper left corner at 0, 0; axes lie outside of it."""
    width, height = figures.PLOT_WIDTH, figures.PLOT_HEIGHT
    parts: list[Markup] = []
    for y, share in ((0.0, "100 %"), (height / 2, "50 %"), (height, "0 %")):
        parts += [element("path", class_="hair", d=f"M0,{y:g}H{width:g}"), text(share, -5, y + 4, anchor="end")]
    for at, label in ticks:
        last = (at, label) == ticks[-1]
        parts.append(element("path", class_="hair", d=upright(at, 0, height)))
        parts.append(text(f"{label}{' ms' if last else ''}", at, height + 15, anchor="end" if last else "middle"))
    for number, curve in enumerate(panel.curves):
        about = (
            f"{stages.llm_label(curve.llm)}: median {findings.milliseconds(curve.median_ms)} ms over {curve.n} turns"
        )
        parts.append(element("path", element("title", about), class_=f"curve k{number % 4}", d=curve.path))
    for curve in panel.curves:
        parts.append(element("circle", class_="dot", cx=curve.letter_x, cy=curve.letter_y, r=8.5))
        parts.append(text(curve.letter, curve.letter_x, curve.letter_y + 4, "letter", "middle"))
    return Markup("").join(parts)


def distribution_picture(stem: Path, drawn: figures.Distribution) -> list[Path]:
    """The page's panels side by side, the letters' meanings below."""
    top, step = MARGIN + 60, figures.PLOT_WIDTH + 56
    sub = "The share of completed turns that were answered within a time (logarithmic axis)."
    parts = [text("How often is it that fast?", MARGIN, MARGIN + 16, "title"), text(sub, MARGIN, MARGIN + 33, "sub")]
    for number, panel in enumerate(drawn.panels):
        x = MARGIN + 40 + step * number
        parts += [text(panel.mode, x, top - 6, "strong"), group(curves(panel, drawn.ticks), x=x, y=top + 6)]
    bottom = top + figures.PLOT_HEIGHT + 46
    for number, (llm, letter) in enumerate(drawn.letters.items()):
        y = bottom + ROW * number
        parts.append(element("circle", class_="dot", cx=MARGIN + 48, cy=y, r=8.5))
        parts.append(text(letter, MARGIN + 48, y + 4, "letter", "middle"))
        parts.append(text(stages.llm_label(llm), MARGIN + 63, y + 4, "name"))
    height = bottom + ROW * len(drawn.letters) - ROW / 2 + MARGIN
    return save_picture(stem, *parts, width=MARGIN + 40 + step * len(drawn.panels), height=height)
