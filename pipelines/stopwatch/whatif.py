"""The same turn under another LLM, mode or endpointing delay: its graph computed anew from a line of the trace.

What the user said, how long recognising and synthesizing took, and the words of the answer stay as recorded; when the
answer is begun (the rules of `pipelines.turn`), when the LLM's tokens come and what waits for what is computed. It
reads no file, and claims nothing: `quickturn whatif --verify` replays and compares.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from pipelines.errors import InputError
from pipelines.events import Transcript
from pipelines.modes import Mode, Outcome
from pipelines.speculation import worth_speculating
from pipelines.stopwatch.record import RequestRecord, TranscriptRecord, TurnRecord
from pipelines.stopwatch.timeline import Segment, Stage, Timeline, critical_path
from pipelines.text import same_words


@dataclass(frozen=True, slots=True)
class Speed:
    """How an LLM answers: the TTFT as the client sees it, and tokens per second from then on."""

    ttft_ms: float
    tokens_per_s: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """A turn as it was recorded, in ms after the true end of speech; tokens are deltas of the stream.

    `voice_end_ms` and `noticed_ms` are the end of the last voiced window and when it was noticed. `speech_ms` is what
    the first unit takes to synthesize, `all_speech_ms` the whole answer; `handing_ms` the steps between stages.
    """

    recording: str | None
    reference: str
    latency_ms: float
    transcripts: tuple[Transcript, ...]
    voice_end_ms: float
    noticed_ms: float
    endpoint_ms: float
    decode_ms: float
    first_unit_tokens: int
    answer_tokens: int
    speech_ms: float
    all_speech_ms: float
    output_ms: float
    leading_silence_ms: float
    speed: Speed


@dataclass(frozen=True, slots=True)
class Predicted:
    """What the turn would have been: its latency and the critical path that tiles it."""

    latency_ms: float
    path: tuple[Segment, ...]

    def shares_ms(self) -> dict[str, float]:
        """The critical path by stage."""
        shares: dict[str, float] = {}
        for segment in self.path:
            shares[segment.stage.value] = shares.get(segment.stage.value, 0.0) + segment.ms
        return shares


@dataclass(frozen=True, slots=True)
class Change:
    """What is different: None leaves the recorded value. `endpointing_ms` is from the true end of speech; silence
    cannot end a turn before it has been noticed. `wordless_ms` is the sequential mode's own silence.
    """

    mode: Mode
    speed: Speed
    endpointing_ms: float | None = None
    wordless_ms: float = 500.0


def read_turn(turn: TurnRecord) -> Recorded | None:
    """A recorded turn as predictions need it, None if it did not complete, was not recognised while it was spoken, or
    does not show a single LLM's behaviour (finished by a standby, or asked again).

    Raises InputError for a turn that an older Quickturn recorded without what this needs.
    """
    answers = [request for request in turn.requests if not request.discarded]
    if turn.outcome is not Outcome.COMPLETED or turn.turn_latency_ms is None or turn.mode == Mode.SEQUENTIAL:
        return None
    if turn.transcripts is None:
        raise InputError("the trace does not say when each transcript came (an older Quickturn): record it again")
    if len(answers) != 1 or not turn.units:
        return None
    request, unit, stages = answers[0], turn.units[0], turn.stages
    if request.first_unit_ms is None or request.first_unit_tokens is None or unit.first_pcm_ms is None:
        return None
    if stages.stt_final_ms is None or stages.leading_silence_ms is None or (speed := _speed(request)) is None:
        return None
    noticed, ended = (span for span in turn.spans if span.stage is Stage.ENDPOINT)
    output = next(span for span in turn.spans if span.stage is Stage.OUTPUT)
    return Recorded(
        turn.recording,
        turn.reference or turn.transcript,
        turn.turn_latency_ms,
        tuple(map(_transcript, turn.transcripts)),
        noticed.start_ms,
        noticed.end_ms,
        ended.end_ms,
        stages.stt_final_ms,
        request.first_unit_tokens,
        request.answer_tokens,
        unit.first_pcm_ms - request.first_unit_ms,
        # Not to their ends: those wait for the playout.
        sum(one.first_pcm_ms - one.start_ms for one in turn.units if one.first_pcm_ms is not None),
        output.end_ms - output.start_ms,
        stages.leading_silence_ms,
        speed,
    )


def predict(turn: Recorded, change: Change) -> Predicted:
    """Lay the turn out anew and walk its critical path. Times of the spans are seconds after the end of speech."""
    line = Timeline()
    end_ms = turn.endpoint_ms if change.endpointing_ms is None else max(turn.noticed_ms, change.endpointing_ms)
    if change.mode is Mode.SEQUENTIAL:
        end_ms = max(turn.noticed_ms, turn.voice_end_ms + change.wordless_ms)
    endpoint = _add(line, Stage.ENDPOINT, turn.voice_end_ms, end_ms)
    final = _final(turn, end_ms, change.mode)
    committed_ms = max(end_ms, final.ready_s * 1_000)
    waited = [endpoint] if final.started_s * 1_000 >= end_ms else []
    final_span = _add(line, Stage.STT, final.started_s * 1_000, final.ready_s * 1_000, waited)
    begun = _guess(turn.transcripts, final) if change.mode is Mode.SPECULATIVE else None
    if begun is None or begun is final:
        hit = begun is final
        sent_ms, known = (final.ready_s * 1_000, [final_span]) if hit else (committed_ms, [endpoint, final_span])
    else:
        sent_ms = begun.ready_s * 1_000
        known = [_add(line, Stage.STT, begun.started_s * 1_000, sent_ms)]
    first_ms = sent_ms + change.speed.ttft_ms
    tokens = turn.answer_tokens if change.mode is Mode.SEQUENTIAL else turn.first_unit_tokens
    whole_ms = first_ms + (tokens - 1) / change.speed.tokens_per_s * 1_000
    ttft = _add(line, Stage.LLM_TTFT, sent_ms, first_ms, known)
    sentence = _add(line, Stage.LLM_SENTENCE, first_ms, whole_ms, [ttft])
    ready_ms = whole_ms + (turn.all_speech_ms if change.mode is Mode.SEQUENTIAL else turn.speech_ms)
    speech = _add(line, Stage.TTS, whole_ms, ready_ms, [sentence])
    handed_ms = max(ready_ms, committed_ms)
    started_ms = handed_ms + turn.output_ms
    output = _add(line, Stage.OUTPUT, handed_ms, started_ms, [speech, endpoint, final_span])
    last = _add(line, Stage.LEADING_SILENCE, started_ms, started_ms + turn.leading_silence_ms, [output])
    path = critical_path(line.spans, last, 0.0)
    return Predicted(started_ms + turn.leading_silence_ms, tuple(path))


def _final(turn: Recorded, end_ms: float, mode: Mode) -> Transcript:
    """The transcript that the turn is answered with; the walkie-talkie decodes only once the turn is over."""
    final = next(t for t in reversed(turn.transcripts) if t.is_final)
    if mode is not Mode.SEQUENTIAL:
        return final
    ready_s = (end_ms + turn.decode_ms) / 1_000
    return Transcript(final.text, final.text, True, final.audio_end_samples, end_ms / 1_000, ready_s)


def _guess(transcripts: Sequence[Transcript], final: Transcript) -> Transcript | None:
    """The transcript on which the answer is begun that still fits at the end, as the speculative mode does it."""
    begun: Transcript | None = None
    for transcript in transcripts:
        if begun is not None and not same_words(begun.text, transcript.text):
            begun = None
        if begun is None and worth_speculating(transcript):
            begun = transcript
        if transcript is final:
            break
    return begun


def knee_tokens_per_s(turns: Sequence[Recorded], change: Change, gain_ms: float = 5.0) -> float:
    """The token rate past which the median turn gains less than `gain_ms`, at this TTFT; by bisection to 1 %."""

    def typical_ms(tokens_per_s: float) -> float:
        speed = Speed(change.speed.ttft_ms, tokens_per_s)
        return median(predict(turn, _with(change, speed)).latency_ms for turn in turns)

    return _bisect(lambda rate: typical_ms(rate) - typical_ms(1e9) < gain_ms, 1.0, 1e6)


def knee_ttft_ms(turns: Sequence[Recorded], change: Change, gain_ms: float = 5.0) -> float:
    """The TTFT below which the median turn gains less than `gain_ms`, at this token rate; 0 if it always gains."""

    def typical_ms(ttft_ms: float) -> float:
        speed = Speed(ttft_ms, change.speed.tokens_per_s)
        return median(predict(turn, _with(change, speed)).latency_ms for turn in turns)

    low, high = 0.0, 10_000.0
    while high - low > 0.5:
        middle = (low + high) / 2
        low, high = (middle, high) if typical_ms(middle) - typical_ms(0.0) < gain_ms else (low, middle)
    return low


def _bisect(enough: Callable[[float], bool], low: float, high: float) -> float:
    while high / low > 1.01:
        middle = (low * high) ** 0.5
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _with(change: Change, speed: Speed) -> Change:
    return Change(change.mode, speed, change.endpointing_ms, change.wordless_ms)


def _add(line: Timeline, stage: Stage, start_ms: float, end_ms: float, after: Sequence[int] = ()) -> int:
    return line.add(stage, start_ms / 1_000, max(start_ms, end_ms) / 1_000, after=after)


def _transcript(record: TranscriptRecord) -> Transcript:
    """Back from the trace; its times are seconds after the end of speech."""
    start_s, ready_s = record.start_ms / 1_000, record.ready_ms / 1_000
    return Transcript(record.text, record.stable_text, record.final, 0, start_s, ready_s)


def _speed(request: RequestRecord) -> Speed | None:
    """How the recorded LLM behaved in this turn."""
    if request.first_token_ms is None or request.end_ms is None:
        return None
    rest_ms, tokens = request.end_ms - request.first_token_ms, request.answer_tokens - 1
    tokens_per_s = tokens / rest_ms * 1_000 if rest_ms > 0 and tokens > 0 else 1e6
    return Speed(request.first_token_ms - request.sent_ms, tokens_per_s)
