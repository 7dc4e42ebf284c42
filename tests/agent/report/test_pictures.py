"""How pictures are drawn: elements, axes, and text that others wrote."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from agent.report.pictures import write_pictures
from agent.report.svg import element, group, text
from agent.report.ticks import linear_ticks, log_ticks, ticks_beyond
from tests.records import critical_path, record, row

ATTACK = "<script>alert(1)</script>\"'&"


def test_an_element_escapes_text_and_attributes_and_keeps_elements() -> None:
    inner = text("a < b", 1, 2.345)
    assert inner == '<text x="1" y="2.35">a &lt; b</text>'
    assert group(inner, x=0, y=10.5) == f'<g transform="translate(0 10.5)">{inner}</g>'
    assert element("path", class_='"', stroke_width=1.0, fill=None) == '<path class="&#34;" stroke-width="1"></path>'


def test_linear_ticks_are_round_and_lie_within() -> None:
    assert linear_ticks(-310, 290, 8) == [-300, -200, -100, 0, 100, 200]
    assert linear_ticks(0, 7, 8) == list(range(8))


def test_ticks_of_bars_go_one_beyond_the_longest() -> None:
    assert ticks_beyond(1_989, 10) == list(range(0, 2_001, 200))
    assert ticks_beyond(1, 10) == [0, 1]


@pytest.mark.parametrize(
    ("values", "ticks"), [([100, 1_000], [100, 200, 500, 1_000]), ([3], [2, 5]), ([0.5, 0.7], [1, 2])]
)
def test_logarithmic_ticks_hold_all_values(values: list[float], ticks: list[int]) -> None:
    assert log_ticks(values) == ticks


def test_text_of_others_is_escaped_in_pictures(tmp_path: Path) -> None:
    span = {"id": 0, "stage": "stt", "label": ATTACK, "start_ms": 0.0, "end_ms": 90.0}
    path = critical_path(("stt", 90.0))
    turn = record(llm=ATTACK, recording=ATTACK, spans=[span], critical_path=path, turn_latency_ms=90.0)
    cell = row(llm=ATTACK, p50_ms=90.0, p95_ms=95.0, n=1, shares_ms={"stt": 90.0})
    pictures = [path for path in write_pictures(tmp_path, [turn], [cell]) if path.suffix == ".svg"]
    assert len(pictures) == 4
    for picture in pictures:
        drawn = ElementTree.parse(picture)
        assert ATTACK in "".join(drawn.getroot().itertext())
        assert not list(drawn.iter("{http://www.w3.org/2000/svg}script"))
