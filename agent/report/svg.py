"""SVG elements as text, and a picture made of them as files: the SVG itself, and the same as PNG.

Independent of what a chart shows. The page puts elements into its own figures, where page.css colours their classes;
a picture brings light paper and its colours along, so that it reads on any page that shows it.
"""

from pathlib import Path

from markupsafe import Markup

from pipelines.errors import InputError

PAPER, INK, SOFT, HAIR, BAR, BAD = "#fbfaf7", "#1b1b1f", "#5b5b66", "#e4e2db", "#3d3d47", "#b3261e"
MARGIN = 16.0
"""Paper around a picture, in SVG units."""
WIDTH = 640.0
"""The width of a plot area."""
ROW, BAR_HEIGHT = 20.0, 15.0
"""A line of a chart, and the bar in it."""
CHARACTER = 6.4
"""The mean width of a character of `text`, with room for fonts wider than Inter."""

# Web pages and browsers have one of these; the PNG is always drawn in Inter.
_FONTS = "Inter, system-ui, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
_STYLE = (
    f"text{{font-size:11px;fill:{SOFT}}}"
    f".title{{font-size:16px;font-weight:700;fill:{INK}}}.sub{{font-size:12px}}"
    f".name{{fill:{INK}}}.strong{{font-weight:700;fill:{INK}}}"
    f".hair{{stroke:{HAIR};fill:none}}.axis{{stroke:{SOFT};fill:none}}.mark{{stroke:{INK};stroke-width:1.2}}"
    f".curve{{fill:none;stroke:{INK};stroke-width:1.8;stroke-linejoin:round}}"
    ".k1{stroke-dasharray:7 3}.k2{stroke-dasharray:3 2.5}.k3{stroke-dasharray:9 3 2 3}.k4{stroke-dasharray:1 2.5}"
    f".fine{{stroke:{SOFT};stroke-width:1.4}}.halo{{paint-order:stroke;stroke:{PAPER};stroke-width:3}}"
    f".dot{{fill:{PAPER};stroke:{INK}}}.letter{{fill:{INK};font-weight:700}}"
)
_SCALE = 2
"""Pixels of the PNG for each unit of the SVG, for dense screens."""


def element(tag: str, *inside: str, **attributes: str | float | None) -> Markup:
    """One element: `class_` writes `class`, `stroke_width` writes `stroke-width`, and None leaves an attribute out.

    Text inside is escaped, elements are not.
    """
    written = Markup("").join(
        Markup(' {}="{}"').format(name.rstrip("_").replace("_", "-"), _short(value))
        for name, value in attributes.items()
        if value is not None
    )
    return Markup("<{0}{1}>{2}</{0}>").format(tag, written, Markup("").join(inside))


def text(words: str, x: float, y: float, class_: str | None = None, anchor: str | None = None) -> Markup:
    """A line of text whose baseline lies at `y`; `anchor` is start, middle or end."""
    return element("text", words, x=x, y=y, class_=class_, text_anchor=anchor)


def rectangle(start: float, end: float, middle: float, height: float, **attributes: str | float) -> Markup:
    """A bar from `start` to `end` around the line `middle`; the shortest stays visible."""
    width = max(0.8, end - start)
    return element("rect", x=start, y=middle - height / 2, width=width, height=height, **attributes)


def upright(x: float, y: float, length: float) -> str:
    """The path of a vertical line down from `x`, `y`."""
    return f"M{x:.2f},{y:g}v{length:g}"


def group(*inside: str, x: float, y: float) -> Markup:
    """Elements moved to the right and down."""
    return element("g", *inside, transform=f"translate({_short(x)} {_short(y)})")


def save_picture(stem: Path, *inside: str, width: float, height: float) -> list[Path]:
    """Write a picture of these elements as `stem`.svg and `stem`.png, the latter at twice the size.

    Raises InputError if one cannot be written.
    """
    import fontpkg_inter
    from resvg_py import svg_to_bytes

    paper = element("rect", width=width, height=height, fill=PAPER)
    picture = element(
        "svg",
        element("style", Markup(_STYLE)),
        paper,
        *inside,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_short(width)} {_short(height)}",
        width=width,
        height=height,
        font_family=_FONTS,
    )
    fonts = [str(font) for font in (fontpkg_inter.ROOT / "files").glob("Inter[[]*.ttf")]
    image = svg_to_bytes(svg_string=picture, zoom=_SCALE, font_files=fonts)
    paths = [stem.with_suffix(".svg"), stem.with_suffix(".png")]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        for path, data in zip(paths, (picture.encode(), image), strict=True):
            path.write_bytes(data)
    except OSError as error:
        raise InputError(
            f"cannot write the picture {error.filename or stem}: {error.strerror}; name a writable folder"
        ) from error
    return paths


def _short(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}"
