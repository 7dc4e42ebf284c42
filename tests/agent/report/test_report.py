"""The report over a made-up run."""

import re
import time
from pathlib import Path

import pytest

from agent.report import findings
from agent.report.figures import distribution, grid, stacks
from agent.report.findings import headline
from agent.report.page import render, write_page
from agent.report.pictures import write_pictures
from agent.report.stages import STAGES
from agent.report.waterfall import waterfall
from pipelines.errors import InputError
from pipelines.modes import Mode
from pipelines.stopwatch.record import SessionRecord, TurnRecord
from tests.agent.report.html_page import Page
from tests.agent.report.made_up_run import LLMS, RECORDINGS, SESSION, Run, make_run
from tests.records import changed, critical_path, record, row


@pytest.fixture(scope="module")
def run() -> Run:
    return make_run()


@pytest.fixture(scope="module")
def html(run: Run) -> str:
    return render(SESSION, *run, title="Demo", audio=[("one", "one%20two.wav")])


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_synthetic_turns_tile(run: Run) -> None:
    for turn in findings.completed(run[0]):
        ends = [0.0, *(part.end_ms for part in turn.critical_path)]
        assert [part.start_ms for part in turn.critical_path] == ends[:-1]
        assert ends[-1] == pytest.approx(turn.turn_latency_ms)


def test_the_page_loads_nothing_but_its_audio(html: str, page: Page) -> None:
    assert page.loads == ["one%20two.wav"]
    assert not re.search(r"url\(|@import|https?://", html)


def test_every_turn_is_on_the_page(run: Run, page: Page) -> None:
    shown = [
        (turn["data-recording"], turn["data-mode"], turn["data-llm"])
        for turn in page.all("details", **{"class": "turn"})
    ]
    assert shown == [(turn.recording, turn.mode, turn.llm) for turn in run[0]]


def test_text_of_the_user_and_the_llm_is_escaped() -> None:
    attack = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"
    turns, rows = make_run(RECORDINGS[:2])
    hostile = {key: attack for key in ("transcript", "reference", "reply", "recording", "error", "stt")}
    turns = [turn.model_copy(update=hostile) for turn in turns]
    # Not even a stage that the reader would have refused.
    spans = [span.model_copy(update={"label": attack, "stage": attack}) for span in turns[0].spans]
    turns[0] = turns[0].model_copy(update={"llm": attack, "mode": attack, "spans": spans})
    rows[0] = rows[0].model_copy(update={"llm": attack, "mode": attack, "shares_ms": {attack: 5.0}})
    session = SESSION.model_copy(update={"config": {attack: attack}, "started_at": attack, "quickturn": attack})
    hostile_page = Page(render(session, turns, rows, title=attack, audio=[(attack, "a.wav")]))
    assert not hostile_page.all("img")
    assert len(hostile_page.all("script")) == 1
    assert attack in hostile_page.text
    assert not [name for _, attributes in hostile_page.tags for name in attributes if name.startswith("on")]


def test_each_turn_shows_that_its_critical_path_sums_to_its_latency(run: Run, html: str) -> None:
    latency = findings.completed(run[0])[0].turn_latency_ms
    assert f"= turn latency {latency:.1f} ms" in html
    assert "does not tile" not in html


def test_a_turn_that_does_not_tile_says_by_how_much() -> None:
    turns, rows = make_run(RECORDINGS[:2])
    broken = changed(turns[0], turn_latency_ms=(turns[0].turn_latency_ms or 0.0) + 7.5)
    assert "off by 7.5 ms" in render(SESSION, [broken], rows, title="Demo")


def test_failed_interrupted_and_empty_turns_are_shown_and_kept_out_of_percentiles(run: Run, page: Page) -> None:
    turns, _ = run
    for outcome in ("failed", "interrupted", "no_speech"):
        assert len(page.all("details", **{"class": "turn", "data-outcome": outcome})) == 1
    assert "63 turns: 60 completed, 1 interrupted, 1 failed, 1 no speech. Only completed turns" in page.text
    assert "sim/gpu-cloud-8b cut the stream after 3 chunks" in page.text
    drawn = distribution(turns)
    assert drawn is not None
    assert sum(curve.n for panel in drawn.panels for curve in panel.curves) == 60
    assert drawn == distribution(findings.completed(turns))


def test_simulated_is_said_wherever_a_simulated_llm_is_named(html: str, page: Page) -> None:
    text = re.sub(r"\s+", " ", page.text.replace("sim/gpu-cloud-8b cut the stream", ""))
    labels = [str(found["aria-label"]) for _, found in page.tags if "aria-label" in found]
    named = [(match, where) for where in (text, *labels) for match in re.finditer(r"sim/[a-z][\w.-]+", where)]
    assert len(named) > 100
    for match, where in named:
        around = where[max(0, match.start() - 12) : match.end() + 14]
        assert re.search(r"simulated sim/|sim/\S+ \(?simulated", around), around


def test_the_headline_names_the_two_ends_of_the_grid_and_what_is_left_to_wait_for() -> None:
    shares = [{"endpoint": 220, "llm_ttft": 4000}, {"endpoint": 230, "llm_ttft": 12}]
    slow = row(llm="sim/slow", mode="sequential", p50_ms=5120.4, shares_ms=shares[0])
    fast = row(llm="groq/fast", mode="speculative", p50_ms=287.2, shares_ms=shares[1])
    assert headline([slow, fast]) == (
        "The median turn falls from 5,120 ms (sequential, simulated sim/slow) to 287 ms (speculative, groq/fast); "
        "the longest wait left is endpointing, 230 of the mean turn's 242 ms."
    )
    assert headline([slow]) == (
        "The median turn takes 5,120 ms (sequential, simulated sim/slow); "
        "the longest wait is LLM first token, 4,000 of the mean turn's 4,220 ms."
    )
    assert headline([]) == "No turn completed, so there is no latency to report."


def test_a_moment_is_written_in_whole_milliseconds_and_with_a_minus_sign() -> None:
    assert [findings.moment(ms) for ms in (-1159.6, -0.2, 44.4, 2046)] == ["\N{MINUS SIGN}1,160", "0", "44", "2,046"]


def test_a_duration_is_written_with_the_digits_that_people_read() -> None:
    durations = (None, -0.004, 0.0, 7.25, 9.96, 312.4, 5120.4)
    written = ["\N{EN DASH}", "0", "0", "7.2", "10", "312", "5,120"]
    assert [findings.milliseconds(duration) for duration in durations] == written


def test_the_levers_take_the_grid_apart_at_its_corners() -> None:
    medians = {
        ("slow", "sequential"): 900,
        ("slow", "streaming"): 700,
        ("fast", "sequential"): 400,
        ("fast", "streaming"): 300,
    }
    rows = [row(llm=llm, mode=mode, p50_ms=p50) for (llm, mode), p50 in medians.items()]
    assert [(lever.name, lever.p50_ms) for lever in findings.levers(rows)] == [
        ("Slowest", 900),
        ("Mode alone", 700),
        ("LLM alone", 400),
        ("Both", 300),
    ]
    assert findings.levers(rows[:2]) == []


def test_the_ledger_adds_up_requests_hits_waste_and_cost(
    run: Run,
) -> None:
    line = findings.ledger(run[0])[0]
    assert (line.llm, line.mode, line.turns) == (LLMS[0][0], "speculative", 5)
    assert (line.requests, line.hits, line.discards, line.wasted_tokens) == (10, 5, 5, 45)
    assert line.cost_usd == pytest.approx(5 * 1.38e-5)


def test_the_waterfall_puts_zero_and_the_first_sound_where_the_critical_path_begins_and_ends(
    run: Run,
) -> None:
    for turn in findings.completed(run[0]):
        drawn = waterfall(turn)
        assert drawn.segments[0].left == drawn.zero
        assert drawn.audible == pytest.approx(drawn.segments[-1].left + drawn.segments[-1].width, abs=0.02)
        for before, after in zip(drawn.segments, drawn.segments[1:], strict=False):
            assert after.left == pytest.approx(before.left + before.width, abs=0.02)


def test_solid_stretches_of_the_spans_cover_what_the_critical_path_gives_their_stage() -> None:
    spans = [
        {"id": 0, "stage": "stt", "label": "final decode", "start_ms": -50.0, "end_ms": 40.0, "critical_ms": 40.0},
        {"id": 1, "stage": "tts", "label": "unit 1", "start_ms": 10.0, "end_ms": 20.0, "critical_ms": 0.0},
        {
            "id": 2,
            "stage": "stt",
            "label": "old",
            "start_ms": 0.0,
            "end_ms": 30.0,
            "critical_ms": 0.0,
            "discarded": True,
        },
    ]
    lanes = waterfall(record(spans=spans, critical_path=critical_path(("stt", 40.0)), turn_latency_ms=100.0)).lanes
    assert [(lane.kind, [bar.kind for bar in lane.bars]) for lane in lanes] == [
        ("critical", ["hidden", "critical"]),
        ("discarded", ["discarded"]),
        ("hidden", ["hidden"]),
    ]
    whole, solid = lanes[0].bars
    assert solid.left + solid.width == pytest.approx(whole.left + whole.width)
    assert solid.width == pytest.approx(whole.width * 40 / 90, abs=0.02)


def test_hidden_decodes_that_follow_one_another_share_a_lane() -> None:
    spans = [
        {
            "id": n,
            "stage": "stt",
            "label": f"partial {n}",
            "start_ms": -100.0 * n,
            "end_ms": -100.0 * n + 30,
            "critical_ms": 0,
        }
        for n in range(1, 6)
    ]
    overlapping = {"id": 9, "stage": "stt", "label": "partial 9", "start_ms": -110.0, "end_ms": -95.0, "critical_ms": 0}
    lanes = waterfall(record(spans=[*spans, overlapping])).lanes
    assert [(lane.label, lane.count, lane.busy_ms) for lane in lanes] == [("partial", 5, 135.0), ("partial 1", 1, 30.0)]


def test_a_cumulative_curve_steps_up_once_per_turn_and_ends_at_the_top() -> None:
    drawn = distribution([record(llm="a", turn_latency_ms=latency) for latency in (200, 100, 1000)])
    assert drawn is not None
    curve = drawn.panels[0].curves[0]
    assert [label for _, label in drawn.ticks] == ["100", "200", "500", "1,000"]
    assert curve.path == "M0.0,170H0.0V113.3H96.3V56.7H320.0V0.0H320"
    assert curve.median_ms == 200


def test_the_grid_and_the_stacks_keep_the_rows_own_order_of_llms(
    run: Run,
) -> None:
    _, rows = run
    drawn = grid(rows)
    assert drawn.llms == tuple(name for name, _, _ in LLMS)
    assert drawn.modes == tuple(Mode)
    assert drawn.n == 5
    assert [stack.row.llm for stack in stacks(rows)[0].stacks] == list(drawn.llms)
    assert all(
        stack.sum_ms == pytest.approx(sum(stack.row.shares_ms.values())) for g in stacks(rows) for stack in g.stacks
    )


def test_charts_and_tables_have_names_for_screen_readers(page: Page) -> None:
    tables = page.all("table")
    assert len(tables) == len(page.all("caption"))
    charts = [found for name, found in page.tags if found.get("role") == "img"]
    assert len(charts) == 12 + 3
    assert all("ms" in str(chart["aria-label"]) for chart in charts)
    assert all(head.get("scope") for head in page.all("th"))


def test_two_hundred_turns_stay_under_three_megabytes_and_quick() -> None:
    turns, rows = make_run(RECORDINGS * 4)
    before = time.perf_counter()
    html = render(SESSION, turns[:200], rows, title="Demo")
    assert len(html.encode()) < 3_000_000
    assert time.perf_counter() - before < 3.0


def test_a_run_without_any_completed_turn_is_still_a_page(run: Run, tmp_path: Path) -> None:
    write_page(tmp_path / "report.html", SESSION, run[0][-3:], [], title="Nothing worked")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "No turn completed" in text
    assert "cut-stream" in text
    assert write_pictures(tmp_path, run[0][-3:], []) == []


def test_a_turn_of_the_bare_contract_is_drawn() -> None:
    bare = {"recording": "a", "mode": "streaming", "llm": "x/y", "outcome": "completed", "turn_latency_ms": 300.0}
    bare |= {"transcript": "hi", "reply": "hello"}
    assert "x/y" in render(SessionRecord(), [TurnRecord.model_validate(bare)], [], title="Bare")


def test_audio_is_linked_relative_to_the_page(tmp_path: Path) -> None:
    sound = tmp_path / "sounds" / "a b.wav"
    write_page(tmp_path / "out" / "report.html", SESSION, [], [], title="Demo", audio=[("a", sound)])
    assert Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8")).loads == ["../sounds/a%20b.wav"]


def test_an_unwritable_place_is_one_line_that_names_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write the report .*file.report\.html: .+; name a file in a writable"):
        write_page(tmp_path / "file" / "report.html", SESSION, [], [], title="Demo")
    turns, rows = make_run(RECORDINGS[:2])
    with pytest.raises(InputError, match=r"cannot write the picture .*file.*; name a writable folder"):
        write_pictures(tmp_path / "file", turns, rows)


def test_pictures_are_written_as_svg_and_png(run: Run, tmp_path: Path) -> None:
    written = write_pictures(tmp_path / "pictures", *run)
    names = ["grid", "critical-path", "waterfall", "distribution"]
    assert [path.name for path in written] == [f"{name}.{kind}" for name in names for kind in ("svg", "png")]
    for path in written:
        head = path.read_bytes()[:200]
        assert head.startswith(b"\x89PNG") if path.suffix == ".png" else b"<svg" in head
    stacked = (tmp_path / "pictures" / "critical-path.svg").read_text(encoding="utf-8")
    assert "simulated" in stacked
    assert all(stage.colour in stacked for stage in STAGES)
