"""Where the milliseconds of a turn went: spans, and the critical path through them.

A span is a piece of work with the spans whose results it waited for. The critical path is walked backwards from the
last span: at each point, which input arrived last? Time in which no stage worked is `overhead`. Independent of the
stages' code: only names and times.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """The owners of time.

    Those of the critical path come first, in the order in which they usually follow each other.
    """

    ENDPOINT = "endpoint"
    STT = "stt"
    LLM_TTFT = "llm_ttft"
    LLM_SENTENCE = "llm_sentence"
    LLM_REST = "llm_rest"
    TOOL = "tool"
    TTS = "tts"
    OUTPUT = "output"
    LEADING_SILENCE = "leading_silence"
    OVERHEAD = "overhead"
    SPEECH = "speech"
    AGENT_SPEECH = "agent_speech"


@dataclass(frozen=True, slots=True)
class Span:
    """Work of one stage in process time; `after` names the spans it had to wait for.

    `discarded` work was thrown away.
    """

    span_id: int
    stage: Stage
    label: str
    start_s: float
    end_s: float
    after: tuple[int, ...] = ()
    discarded: bool = False


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the critical path and its owner."""

    stage: Stage
    start_s: float
    end_s: float
    span_id: int | None = None

    @property
    def ms(self) -> float:
        """Its length."""
        return (self.end_s - self.start_s) * 1_000


class Timeline:
    """Collects the spans of one turn; a span is added when it is over."""

    def __init__(self) -> None:
        self._spans: dict[int, Span] = {}

    def add(
        self,
        stage: Stage,
        start_s: float,
        end_s: float,
        *,
        after: Sequence[int | None] = (),
        label: str = "",
        discarded: bool = False,
    ) -> int:
        """Record a span and return its id; a None among `after` is an input that never happened."""
        span_id = len(self._spans)
        inputs = tuple(i for i in after if i is not None)
        self._spans[span_id] = Span(span_id, stage, label or stage.value, start_s, end_s, inputs, discarded)
        return span_id

    @property
    def spans(self) -> Mapping[int, Span]:
        """All spans by id."""
        return self._spans


def critical_path(spans: Mapping[int, Span], last: int, origin_s: float) -> list[Segment]:
    """The segments that tile the time from `origin_s` to the end of span `last`, in order of time.

    An input that arrived after its consumer started (they overlapped) counts up to that start. A span without inputs
    waited for the user's speech alone, so it reaches back to the origin.
    """
    segments: list[Segment] = []
    span, end_s = spans[last], spans[last].end_s
    while True:
        inputs = [spans[i] for i in span.after]
        start_s = min(max(span.start_s, origin_s), end_s) if inputs else origin_s
        segments.append(Segment(span.stage, start_s, end_s, span.span_id))
        if start_s <= origin_s:
            break
        span = max(inputs, key=lambda s: s.end_s)
        end_s = min(max(span.end_s, origin_s), start_s)
        if end_s < start_s:
            segments.append(Segment(Stage.OVERHEAD, end_s, start_s))
        if end_s <= origin_s:
            break
    return segments[::-1]
