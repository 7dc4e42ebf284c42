"""How a turn is answered, and how it ended: the two words that each turn carries wherever it is spoken of."""

from enum import StrEnum


class Mode(StrEnum):
    """When the answer is begun."""

    SEQUENTIAL = "sequential"
    STREAMING = "streaming"
    SPECULATIVE = "speculative"


class Outcome(StrEnum):
    """How a turn ended; only completed turns count in percentiles."""

    COMPLETED = "completed"
    INTERRUPTED = "interrupted"
    TOOL = "tool"
    FAILED = "failed"
    NO_SPEECH = "no_speech"
