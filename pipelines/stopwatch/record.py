"""The records of a trace, a session and then its turns, as types: the contract with all readers of traces.

`pipelines.stopwatch.trace` makes a turn's, whichever engine took it; reports, comparisons and exports read it. The
names of the fields are those of the JSON: fields may be added, never renamed. Each says its unit and its meaning, which
the JSON schema repeats. Times named `_ms` are milliseconds after the true end of the user's speech unless they are said
to be lengths, negative before it; what never happened is None. Independent of files and of how anything was measured.
"""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from pipelines.events import FailoverAction
from pipelines.json_object import JsonObject
from pipelines.modes import Outcome
from pipelines.stopwatch.timeline import Stage

RECORD_VERSION = 1
"""Of the trace; another one cannot be read. A field that is added does not change it."""


class Record(BaseModel):
    """What all parts of a record share: they do not change, and fields of a newer Quickturn are passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", use_attribute_docstrings=True)


class PathSegment(Record):
    """A stretch of the critical path: what was waited for."""

    stage: Stage
    """The stage that was waited for."""
    ms: float
    """Its length in ms; 0 for a stage that worked for the answer without being waited for."""
    start_ms: float
    """When it begins, in ms after the end of the user's speech."""
    end_ms: float
    """When it ends, in ms after the end of the user's speech."""


class SpanRecord(Record):
    """A piece of one stage's work."""

    id: int
    """Its number in the turn, from 0."""
    stage: Stage
    """Whose work it was."""
    label: str = ""
    """What tells it from others of its stage, such as `unit 2`."""
    start_ms: float
    """When it begins, in ms after the end of the user's speech."""
    end_ms: float
    """When it ends, in ms after the end of the user's speech."""
    after: tuple[int, ...] = ()
    """The spans whose results it waited for, by id."""
    critical_ms: float = 0.0
    """How many ms of it lie on the critical path."""
    discarded: bool = False
    """Whether it was thrown away, such as an answer begun early that no longer fitted."""


class StageTimes(Record):
    """The real durations of the stages, hidden or not; None for what never happened."""

    endpointing_ms: float | None = None
    """End of the user's speech to the decision that the turn is over, in ms."""
    stt_final_ms: float | None = None
    """Length of the final decode, in ms."""
    llm_ttft_ms: float | None = None
    """Last request of the answer sent to its first token of text, in ms."""
    llm_first_sentence_ms: float | None = None
    """The same request sent to the first speakable unit, in ms: what the ear waits for."""
    llm_tokens_per_s: float | None = None
    """Tokens per second after the first, without reasoning."""
    tts_ttfb_ms: float | None = None
    """First unit handed to the synthesizer to its first PCM, in ms."""
    leading_silence_ms: float | None = None
    """First sample played to the first audible one, in ms."""


class Speculation(Record):
    """What was begun before the turn was over, and what came of it."""

    requests: int = 0
    """Replies begun before the turn was over."""
    hit: bool = False
    """Whether the answer is one of them."""
    discards: int = 0
    """Replies that were thrown away."""
    saved_ms: float = 0.0
    """How many ms later the answer would have been ready, had its request been sent when the turn was over."""
    wasted_prompt_tokens: int = 0
    """Prompt tokens of what was thrown away."""
    wasted_tokens: int = 0
    """Completion tokens of what was thrown away."""
    wasted_cost_usd: float | None = None
    """The price of what was thrown away, in US dollars; None if one is unknown."""


class TokenUsage(Record):
    """The tokens of the answer and their price."""

    prompt_tokens: int = 0
    """Prompt tokens of all its requests, cached ones included."""
    completion_tokens: int = 0
    """Completion tokens of all its requests, reasoning included."""
    cached_tokens: int | None = None
    """Prompt tokens that the provider took from its cache; None if it does not say."""
    cost_usd: float | None = None
    """In US dollars; None if a price is unknown."""
    estimated: bool = False
    """Whether the provider did not report all of these counts."""
    abandoned_requests: int = 0
    """Requests that failover gave up after they had been accepted: they are paid for nonetheless."""
    abandoned_tokens: int = 0
    """Their prompt tokens."""
    abandoned_cost_usd: float | None = 0.0
    """Their price in US dollars; None if one is unknown."""


class ContextSize(Record):
    """How much of the conversation the last request of the answer held."""

    dropped_turns: int = 0
    """Oldest turns that were left out, for lack of room."""
    estimated_tokens: int = 0
    """Tokens of what was sent, by estimate."""


class FailoverRecord(Record):
    """One decision of failover."""

    at_ms: float
    """When, in ms after the end of the user's speech."""
    action: FailoverAction
    """What was decided."""
    llm: str
    """The model that it turns to, by its name in the catalogue."""
    reason: str
    """Why, in words."""


class ToolRecord(Record):
    """One call of a tool."""

    name: str
    """The tool's."""
    arguments: str = ""
    """JSON as the model wrote it."""
    result: str = ""
    """What the model was told, cut to 300 characters."""
    failed: bool = False
    """Whether that reports a failure."""
    read_only: bool = False
    """Whether the tool changes nothing, so that it may run on a guess."""
    on_a_guess: bool = False
    """Whether it began before the turn was over."""
    start_ms: float
    """When it began, in ms after the end of the user's speech."""
    ms: float | None = None
    """How long it ran, in ms; None if it did not end."""


class FalseStartRecord(Record):
    """The agent fell silent for a sound that was no interruption, and went on."""

    paused_ms: float
    """When it fell silent, in ms after the end of the user's speech."""
    resumed_ms: float
    """When it went on, in ms after the end of the user's speech."""
    heard: str = ""
    """What was understood of the sound."""


class TranscriptRecord(Record):
    """What the user had said so far, as it was understood at one moment."""

    text: str
    """All of the turn so far."""
    stable_text: str
    """The leading part that was not expected to change any more."""
    final: bool
    """Whether it is a decode of everything up to a pause."""
    start_ms: float
    """When the decode began, in ms after the end of the user's speech."""
    ready_ms: float
    """When it was ready, in ms after the end of the user's speech."""
    end_probability: float | None = None
    """How sure the recogniser was that a sentence ends here, 0 to 1; None if it does not say."""


class RequestRecord(Record):
    """One Chat Completions request, of the answer or of a reply that was thrown away."""

    llm: str
    """Whose tokens they are, by its name in the catalogue."""
    question: str = ""
    """The words of the user that it answers."""
    discarded: bool = False
    """Whether its reply was thrown away."""
    sent_ms: float
    """When it was sent, in ms after the end of the user's speech."""
    first_token_ms: float | None = None
    """When its first token of text came, in ms after the end of the user's speech."""
    first_unit_ms: float | None = None
    """When its first speakable unit was complete, in ms after the end of the user's speech."""
    end_ms: float | None = None
    """When its stream ended, in ms after the end of the user's speech."""
    first_unit_tokens: int | None = None
    """Pieces of the stream that the first unit took."""
    answer_tokens: int = 0
    """Completion tokens without reasoning: the provider's count, else one for each piece of the stream."""
    prompt_tokens: int | None = None
    """The provider's count; None if it does not say."""
    completion_tokens: int | None = None
    """The provider's count, reasoning included; None if it does not say."""
    reasoning_tokens: int | None = None
    """The provider's count; None if it does not say."""
    cached_tokens: int | None = None
    """Prompt tokens from the provider's cache; None if it does not say."""
    broken: str | None = None
    """Why the stream ended early."""


class UnitRecord(Record):
    """A speakable unit of the answer, most often a sentence."""

    text: str
    """As it was handed to the synthesizer."""
    start_ms: float
    """When that happened, in ms after the end of the user's speech."""
    first_pcm_ms: float | None = None
    """When its first sound was ready, in ms after the end of the user's speech."""
    end_ms: float | None = None
    """When all of it was, in ms after the end of the user's speech; that may wait for the playout."""


class LiveKitTimes(Record):
    """AgentSession's own times of the last step, lengths in ms; its end of speech is its own voice activity's."""

    e2e_latency_ms: float | None = None
    """End of the user's speech to the first sound."""
    llm_node_ttft_ms: float | None = None
    """Until the first token."""
    llm_node_ttfs_ms: float | None = None
    """Until the first sentence."""
    tts_node_ttfb_ms: float | None = None
    """Until the first PCM of the synthesizer."""
    playback_latency_ms: float | None = None
    """Sound handed over until it is played."""


class TurnHeader(Record):
    """What only the caller knows about a turn: what it was taken with, where, and what was really said."""

    recording: str | None = None
    """The name of the recording that was replayed; None in a live conversation."""
    kind: str | None = None
    """What kind of recording that is."""
    held_out: bool | None = None
    """Whether nothing was tuned on that recording's voice."""
    mode: str
    """`sequential`, `streaming` or `speculative`; `agent-session` if LiveKit's AgentSession took the turn."""
    llm: str
    """The model that was asked, by its name in the catalogue."""
    simulated: bool = False
    """Whether that is the pacer, which speaks at a stated speed."""
    stt: str | None = None
    """The recogniser, by name."""
    tts: str | None = None
    """The synthesizer and its voice, by name."""
    labelled: bool = True
    """Whether the end of speech is a labelled one; else it is the voice activity's own, which is late."""
    reference: str | None = None
    """What was really said, if a label says so."""
    scored_transcript: str | None = None
    """What the word error rate was computed on: all that was heard of the label; None if it is not scored here."""
    wer: float | None = None
    """Word error rate against the reference, 0 for no error."""
    false_cut_in: bool = False
    """Whether the agent did not wait for the labelled end of the user's speech."""
    speech_end_s: float | None = None
    """The end of the user's speech in the replay's two-track WAV, in seconds."""
    speech_end_at: str | None = None
    """The end of the user's speech by the wall clock, ISO 8601; all times of this record count from it."""
    speech_samples: tuple[int, int] | None = None
    """Where the user's speech lies in a live conversation's input: first sample and the one after the last, 16 kHz."""
    barge_in_ms: int | None = None
    """How far into the answer before, from its first audible sample on, this turn began and interrupted it."""
    room: str | None = None
    """The LiveKit room."""
    participant: str | None = None
    """Who spoke in it, by identity."""
    set_up: str | None = None
    """How AgentSession was set up, by name."""
    livekit: LiveKitTimes | None = None
    """What AgentSession says of the turn itself."""


class TurnRecord(TurnHeader):
    """One utterance of the user and the agent's answer to it."""

    index: int | None = None
    """Its number in the trace, from 0; None if it was not read from one."""
    transcript: str = ""
    """What was understood, and answered."""
    reply: str = ""
    """What the model wrote."""
    heard: str = ""
    """What was played of it before it was cut."""
    outcome: Outcome
    """How the turn ended; only completed ones count in percentiles."""
    turn_latency_ms: float | None = None
    """End of the user's speech to the first audible sample, in ms; None if nothing was heard after it."""
    llm_leg_ms: float | None = None
    """How many ms of it the turn waited for the LLM."""
    critical_path: tuple[PathSegment, ...] = ()
    """What the first sound waited for: the segments tile the turn latency. Hidden stages come first, with 0 ms."""
    stages: StageTimes = StageTimes()
    """How long each stage really took."""
    speculation: Speculation = Speculation()
    """What was begun early."""
    usage: TokenUsage | None = None
    """What the answer took; None if there was none."""
    context: ContextSize | None = None
    """What the model was sent of the conversation; None if it was not asked."""
    failover: tuple[FailoverRecord, ...] = ()
    """What failover decided."""
    tools: tuple[ToolRecord, ...] = ()
    """The tools that the answer called."""
    filler_ms: float | None = None
    """When the agent said that it would take a moment, in ms after the end of the user's speech."""
    cut_ms: float | None = None
    """When the answer was cut short, in ms after the end of the user's speech."""
    resumed_ms: tuple[float, ...] = ()
    """When the user went on although the turn was taken to be over, in ms after the end of the user's speech."""
    false_starts: tuple[FalseStartRecord, ...] = ()
    """Where the agent fell silent without need."""
    starved_ms: float | None = None
    """Silence within the answer for lack of speech, in ms; None if unknown."""
    error: str | None = None
    """What failed, for people."""
    transcripts: tuple[TranscriptRecord, ...] | None = None
    """All that was understood, in order; None in a trace of a Quickturn that did not note it."""
    requests: tuple[RequestRecord, ...] = ()
    """All requests to the LLM, those of the answer last."""
    units: tuple[UnitRecord, ...] = ()
    """What was spoken of the answer."""
    spans: tuple[SpanRecord, ...] = ()
    """All work on the turn."""

    @property
    def is_completed(self) -> bool:
        """Whether it counts in percentiles: it ran to its end, and was heard after the user's speech."""
        return self.outcome is Outcome.COMPLETED and self.turn_latency_ms is not None

    def share_ms(self, stage: str) -> float:
        """A stage's part of the critical path, in ms."""
        return float(sum(segment.ms for segment in self.critical_path if segment.stage == stage))


class SessionRecord(Record):
    """The first line of a trace: what the turns were taken with, and on what.

    The configuration holds no secret: keys come from the environment.
    """

    type: Literal["session"] = "session"
    """What kind of line this is."""
    version: int = RECORD_VERSION
    """Of the trace."""
    quickturn: str = ""
    """The version of Quickturn."""
    started_at: str = ""
    """By the wall clock, ISO 8601."""
    config: JsonObject = {}
    """The configuration by section and key."""
    machine: dict[str, str | int | None] = {}
    """What it ran on."""
    engines: dict[str, str | tuple[str, ...] | None] = {}
    """The engines by name: `stt`, `tts`, `vad`, `turn_detector`, and as `llm` all models."""
    simulated: bool = False
    """Whether one of the models is the pacer."""
