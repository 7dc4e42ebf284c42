"""What a participant of a room keeps of what reached it, with the time in seconds of `time.monotonic`. Records only."""

from dataclasses import dataclass, field

from livekit.agents.types import (
    ATTRIBUTE_TRANSCRIPTION_FINAL,
    ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID,
    ATTRIBUTE_TRANSCRIPTION_TRACK_ID,
)


@dataclass(slots=True)
class Text:
    """One text stream: what it was made of, piece by piece with arrivals, and its attributes (the closing ones too)."""

    topic: str
    identity: str
    attributes: dict[str, str]
    pieces: list[tuple[float, str]] = field(default_factory=list)
    ended_s: float | None = None
    broken: str = ""  # why it ended before its end

    @property
    def text(self) -> str:
        return "".join(piece for _, piece in self.pieces)

    @property
    def segment(self) -> str:
        return self.attributes.get(ATTRIBUTE_TRANSCRIPTION_SEGMENT_ID, "")

    @property
    def track(self) -> str:
        return self.attributes.get(ATTRIBUTE_TRANSCRIPTION_TRACK_ID, "")

    @property
    def final(self) -> bool:
        return self.attributes.get(ATTRIBUTE_TRANSCRIPTION_FINAL) == "true"


@dataclass(frozen=True, slots=True)
class Data:
    """A data packet."""

    at_s: float
    identity: str
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Attribute:
    """A participant's attribute, as it became."""

    at_s: float
    identity: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that became of `identity` (joined, left, published, unpublished, muted, unmuted), or of the caller's
    own connection (reconnecting, reconnected, disconnected), where the identity is the caller's.
    """

    at_s: float
    identity: str
    what: str
