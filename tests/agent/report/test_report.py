"""The report over a made-up but plausible run: 3 modes, 4 simulated LLMs, 5 recordings, and 3 turns that went wrong."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

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
from pipelines.stopwatch.summary import Row
from tests.records import changed, critical_path, record, row

Run = tuple[list[TurnRecord], list[Row]]
"""Turns and summary rows."""

RECORDINGS = (
    ("time-in-tokyo", "What time is it in Tokyo?", "It is half past nine in the evening in Tokyo.", 1480.0),
    ("book-a-table", "Book a table for two at seven.", "Done, a table for two at seven tonight.", 1910.0),
    ("why-wafer-scale", "Why are wafer scale chips fast?", "Because the weights never leave the chip.", 2230.0),
    ("set-a-timer", "Set a timer for ten minutes.", "Your timer for ten minutes is running.", 1650.0),
    ("long-question", "Could you tell me what the weather will be like?", "It stays dry until the evening.", 3420.0),
)
LLMS = (  # name, TTFT in ms, tokens per second
    ("sim/cerebras-llama3.1-8b", 60.0, 1800.0),
    ("sim/cerebras-llama3.1-70b", 110.0, 450.0),
    ("sim/gpu-cloud-8b", 210.0, 90.0),
    ("sim/gpu-cloud-70b", 420.0, 22.5),
)
SESSION = SessionRecord(
    quickturn="0.1.0",
    started_at="2026-01-12T09:30:00Z",
    config={
        "endpointing": {"likely_ms": 180, "dangling_ms": 900},
        "llm": {"name": "sim/gpu-cloud-8b", "stop": []},
    },
    machine={"cpu": "x86_64", "cores": 4, "gpu": None},
    engines={
        "stt": "whisper-micro-en",
        "tts": "en_US-micro-low",
        "llm": tuple(name for name, _, _ in LLMS),
        "vad": "silero",
    },
    simulated=True,
)


@dataclass
class TurnBuilder:
    """Lays spans on the time line; those on the critical path follow one another from 0."""

    at_ms: float = 0.0
    spans: list[dict[str, Any]] = field(default_factory=list)
    path: list[dict[str, Any]] = field(default_factory=list)

    def hidden(self, stage: str, label: str, start_ms: float, end_ms: float, *, discarded: bool = False) -> None:
        self._span(stage, label, start_ms, end_ms, 0.0, discarded)

    def critical(self, stage: str, label: str, until_ms: float, since_ms: float | None = None) -> None:
        """The path runs along this work up to `until_ms`; the work itself may have begun before (`since_ms`)."""
        start, self.at_ms = self.at_ms, max(self.at_ms, until_ms)
        length = self.at_ms - start
        self.path.append({"stage": stage, "ms": length, "start_ms": start, "end_ms": self.at_ms})
        self._span(stage, label, start if since_ms is None else since_ms, max(until_ms, since_ms or 0), length, False)

    def _span(self, stage: str, label: str, start: float, end: float, critical_ms: float, discarded: bool) -> None:
        after = [self.spans[-1]["id"]] if self.spans else []
        span = {"id": len(self.spans), "stage": stage, "label": label, "start_ms": start, "end_ms": end}
        self.spans.append({**span, "after": after, "critical_ms": critical_ms, "discarded": discarded})


def make_turn(
    index: int, mode: str, llm: tuple[str, float, float], recording: tuple[str, str, str, float]
) -> TurnRecord:
    name, ttft, rate = llm
    title, text, reply, speech_ms = recording
    jitter = 1 + ((index * 37) % 11 - 5) / 60
    turn = TurnBuilder()
    turn.hidden("speech", "user", -speech_ms, 0.0)
    for number in range(int(speech_ms // 300)):
        turn.hidden("stt", "partial decode", -speech_ms + 300 * number + 40, -speech_ms + 300 * number + 62)
    decided = 215.0 * jitter
    tokens = {"sequential": 42, "streaming": 12, "speculative": 12}[mode]
    sentence, speak = 1000 * tokens / rate * jitter, (95.0 if mode == "sequential" else 14.0) * jitter
    sent = 78.0 * jitter
    early = 0.0
    if mode == "speculative":
        turn.hidden("llm_ttft", "request 1", -300, min(-300 + ttft, 40), discarded=True)
        if ttft < 300:
            turn.hidden("llm_sentence", "request 1", -300 + ttft, min(-300 + ttft + sentence, 40), discarded=True)
        early = max(0.0, min(decided - sent, ttft + sentence + speak))
    else:
        sent = decided + 14
    if mode == "speculative":
        done = sent + ttft + sentence + speak
        if done <= decided:
            turn.hidden("stt", "final decode", 40, sent)
            turn.hidden("llm_ttft", "request 2", sent, sent + ttft)
            turn.hidden("llm_sentence", "request 2", sent + ttft, sent + ttft + sentence)
            turn.hidden("tts", "unit 1", sent + ttft + sentence, done)
            turn.critical("endpoint", "end of turn", decided)
        else:
            turn.critical("endpoint", "silence noticed", 40)
            turn.critical("stt", "final decode", sent)
            turn.hidden("endpoint", "end of turn", 40, decided)
    else:
        turn.critical("endpoint", "end of turn", decided)
        turn.critical("stt", "final decode", decided + 14, since_ms=60)
    if turn.at_ms < sent + ttft:
        turn.critical("llm_ttft", "request", sent + ttft)
    if turn.at_ms < sent + ttft + sentence + speak and turn.path[-1]["stage"] == "llm_ttft":
        turn.critical("llm_sentence", "request", sent + ttft + sentence)
        turn.critical("tts", "unit 1", sent + ttft + sentence + speak)
    turn.critical("output", "", turn.at_ms + 10.0)
    turn.critical("leading_silence", "", turn.at_ms + 11.5)
    turn.path.append({"stage": "overhead", "ms": 1.3, "start_ms": turn.at_ms, "end_ms": turn.at_ms + 1.3})
    latency = turn.at_ms + 1.3
    turn.hidden("llm_rest", "", latency - 20, latency + 35)
    turn.hidden("tts", "unit 2", latency + 40, latency + 70)
    turn.hidden("agent_speech", "answer", latency, latency + 2400)
    leg = sum(part["ms"] for part in turn.path if part["stage"].startswith("llm"))
    speculated = mode == "speculative"
    return record(
        index=index,
        recording=title,
        mode=mode,
        llm=name,
        stt="whisper-micro-en",
        tts="en_US-micro-low",
        reference=text,
        transcript=text.lower().rstrip("?."),
        wer=0.0,
        reply=reply,
        heard=reply,
        turn_latency_ms=latency,
        critical_path=turn.path,
        spans=turn.spans,
        stages={"endpointing_ms": decided, "stt_final_ms": 14.0, "llm_ttft_ms": ttft, "llm_tokens_per_s": rate},
        speculation={
            "requests": 2 if speculated else 0,
            "hit": speculated,
            "saved_ms": early if speculated else 0.0,
            "wasted_tokens": 9 if speculated else 0,
            "wasted_cost_usd": 9e-7 if speculated else 0.0,
            "discards": 1 if speculated else 0,
        },
        llm_leg_ms=leg,
        usage={"prompt_tokens": 96, "completion_tokens": 42, "cost_usd": 1.38e-5},
    )


def make_row(llm: str, mode: str, turns: Sequence[TurnRecord]) -> Row:
    sample = sorted(turn.turn_latency_ms or 0.0 for turn in turns)
    cuts = quantiles(sample, n=20, method="inclusive")
    shares = {stage.key: mean(turn.share_ms(stage.key) for turn in turns) for stage in STAGES}
    return row(
        llm=llm,
        mode=mode,
        p50_ms=cuts[9],
        p95_ms=cuts[18],
        n=len(sample),
        shares_ms=shares,
        delta_ms=-120.0,
        ci95_ms=[-150.0, -90.0],
        llm_leg_ms=mean(turn.llm_leg_ms or 0.0 for turn in turns),
        saved_ms=mean(turn.speculation.saved_ms for turn in turns),
    )


def make_run(
    recordings: Sequence[tuple[str, str, str, float]] = RECORDINGS,
) -> Run:
    """Turns and rows; the last three turns were interrupted, failed, and held no speech."""
    turns: list[TurnRecord] = []
    rows = []
    for mode in Mode:
        for llm in LLMS:
            cell = [make_turn(len(turns) + n, mode, llm, recording) for n, recording in enumerate(recordings)]
            turns += cell
            rows.append(make_row(llm[0], mode, cell))
    interrupted = make_turn(len(turns), Mode.STREAMING, LLMS[0], RECORDINGS[2])
    failed = changed(
        make_turn(len(turns) + 1, Mode.SPECULATIVE, LLMS[2], RECORDINGS[0]),
        recording="cut-stream",
        outcome="failed",
        turn_latency_ms=9_999.0,
        critical_path=critical_path(("overhead", 9_999.0)),
        error="sim/gpu-cloud-8b cut the stream after 3 chunks",
    )
    silent = changed(
        failed,
        recording="five-seconds-of-silence",
        outcome="no_speech",
        spans=[],
        critical_path=[],
        turn_latency_ms=None,
        transcript="",
        reply="",
        heard="",
        reference=None,
        wer=None,
        error=None,
        usage=None,
        speculation={},
        llm_leg_ms=None,
    )
    return [*turns, changed(interrupted, recording="barge-in", outcome="interrupted"), failed, silent], rows


class Page(HTMLParser):
    """What a reader of the page meets: its text, what it would load, and its elements by tag."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        self.tags.append((tag, attributes))
        self.loads += [str(attributes[key]) for key in ("src", "srcset", "data") if attributes.get(key)]
        if tag == "link":
            self.loads.append(str(attributes.get("href")))
        if tag in ("script", "style"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()

    def handle_data(self, data: str) -> None:
        if not self._inside:
            self.text += data

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        return [found for name, found in self.tags if name == tag and wanted.items() <= found.items()]


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


def test_stage_colours_stay_apart_for_colour_blind_eyes_and_from_paper_and_text() -> None:
    """Machado, Oliveira and Fernandes (2009), full severity; distance in CIELAB, where about 2 is just noticeable."""
    kinds = {
        "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
        "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.011820, 0.042940, 0.968881)),
        "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.303900)),
    }
    for matrix in kinds.values():
        seen = {stage.key: lab(product(matrix, linear(stage.colour))) for stage in STAGES}
        assert (
            min(sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) ** 0.5 for pair in combinations(seen.values(), 2))
            > 12
        )
    for stage in STAGES:
        assert contrast(stage.colour, stage.ink) > 4.3
        assert all(contrast(stage.colour, paper) > 2 for paper in ("#fbfaf7", "#141519"))


def contrast(one: str, other: str) -> float:
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    return product(((0.2126, 0.7152, 0.0722),), linear(colour))[0]


def linear(colour: str) -> list[float]:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]


def product(matrix: Sequence[Sequence[float]], vector: Sequence[float]) -> list[float]:
    return [min(1.0, max(0.0, sum(a * b for a, b in zip(row, vector, strict=True)))) for row in matrix]


def lab(rgb: Sequence[float]) -> tuple[float, float, float]:
    to_xyz = ((0.4124, 0.3576, 0.1805), (0.2126, 0.7152, 0.0722), (0.0193, 0.1192, 0.9505))
    x, y, z = (
        value ** (1 / 3) if value > 0.008856 else 7.787 * value + 16 / 116
        for value in (a / b for a, b in zip(product(to_xyz, rgb), (0.9505, 1.0, 1.089), strict=True))
    )
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)
