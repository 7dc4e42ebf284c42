"""A made-up but plausible run: 3 modes, 4 simulated LLMs, 5 recordings, and 3 turns that went wrong."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import mean, quantiles
from typing import Any

from agent.report.stages import STAGES
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
