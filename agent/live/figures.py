"""The running figures of a live conversation, for the terminal and the page."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipelines.stopwatch.percentiles import Percentiles, percentiles
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.summary import cells


@dataclass(frozen=True, slots=True)
class RunningFigures:
    """The completed turns of one LLM and mode; medians, in ms unless said otherwise, None for what never happened."""

    llm: str
    mode: str
    latency_ms: Percentiles
    endpointing_ms: float | None
    llm_ttft_ms: float | None
    tokens_per_s: float | None
    tts_ttfb_ms: float | None
    hits: int
    requests: int


def running_figures(turns: Sequence[TurnRecord]) -> list[RunningFigures]:
    """By LLM and mode, in the order in which they were first used."""
    completed = cells(turn for turn in turns if turn.is_completed)
    return [_figures(llm, mode, cell) for (llm, mode), cell in completed.items()]


def _figures(llm: str, mode: str, turns: Sequence[TurnRecord]) -> RunningFigures:
    stages = [turn.stages for turn in turns]
    return RunningFigures(
        llm=llm,
        mode=mode,
        latency_ms=percentiles([turn.turn_latency_ms for turn in turns]),
        endpointing_ms=percentiles([one.endpointing_ms for one in stages]).p50,
        llm_ttft_ms=percentiles([one.llm_ttft_ms for one in stages]).p50,
        tokens_per_s=percentiles([one.llm_tokens_per_s for one in stages]).p50,
        tts_ttfb_ms=percentiles([one.tts_ttfb_ms for one in stages]).p50,
        hits=sum(turn.speculation.hit for turn in turns),
        requests=sum(turn.speculation.requests for turn in turns),
    )
