"""What a page may send as text: a few JSON messages, checked to the letter before anything acts on them.

Audio is the binary messages: PCM16 little-endian mono at 16 kHz, at most `LARGEST_FRAME_BYTES` each.
Independent of sockets.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

import numpy as np
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from pipelines.events import SAMPLE_RATE_HZ, Pcm

LARGEST_FRAME_BYTES = SAMPLE_RATE_HZ // 10 * 2
"""A tenth of a second; the page sends 32 ms at a time."""

INVALID_DATA, UNSUPPORTED, POLICY, TRY_LATER, OUR_FAULT, GOING_AWAY = 1007, 1003, 1008, 1013, 1011, 1001
"""Close codes of RFC 6455, section 7.4.1, and of the IANA registry (1013)."""

_STRICT = ConfigDict(extra="forbid", strict=True)
_Position = Annotated[int, Field(ge=0, lt=2**53)]
_Milliseconds = Annotated[float, Field(ge=0, lt=1e12)]


class SessionOverError(Exception):
    """The session ends with this close code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class PlayedMessage:
    """The page has played these samples without a gap; the first sounded at `at_ms` of the page's clock."""

    type: Literal["played"]
    first: _Position
    end: _Position
    at_ms: _Milliseconds
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@dataclass(frozen=True, slots=True)
class Pong:
    """The page's clock when ping `number` arrived."""

    type: Literal["pong"]
    number: _Position
    at_ms: _Milliseconds
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


@dataclass(frozen=True, slots=True)
class Switch:
    """Answer with another model or in another mode."""

    type: Literal["switch"]
    llm: Annotated[str | None, Field(max_length=200)] = None
    mode: Annotated[str | None, Field(max_length=40)] = None
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT


Message = PlayedMessage | Pong | Switch
_ADAPTER: TypeAdapter[Message] = TypeAdapter(Annotated[Message, Field(discriminator="type")])


def parse(text: str) -> Message:
    """Read one message. Raises SessionOverError."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        if first["type"] == "json_invalid":
            raise SessionOverError(INVALID_DATA, "a text message is not JSON") from None
        where = ".".join(str(part) for part in first["loc"]) or "message"
        raise SessionOverError(POLICY, f"a message cannot be used: {where}: {first['msg']}") from None


def audio(data: bytes) -> Pcm:
    """Read one frame. Raises SessionOverError."""
    if not data or len(data) % 2 or len(data) > LARGEST_FRAME_BYTES:
        raise SessionOverError(
            UNSUPPORTED,
            f"an audio frame of {len(data)} bytes: PCM16 mono is an even number, 2 to {LARGEST_FRAME_BYTES}",
        )
    return np.frombuffer(data, "<i2").astype(np.int16)
