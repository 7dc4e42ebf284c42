"""How a simulated provider misbehaves on request, written behind its model name.

    120:1800?fault=429                        every request is refused
    120:1800?fault=stall&seconds=3&rate=0.05  5 % of the requests wait 3 s before their first token
    120:1800?fault=cut&after=20               the connection dies after 20 tokens
    120:1800?reasoning=40                     40 reasoning tokens come before the answer

It knows the words of that language and the draw of the lots, nothing of HTTP.
"""

import random
from dataclasses import dataclass, fields
from enum import StrEnum
from urllib.parse import parse_qsl

from pipelines.errors import InputError


class SimulatedFault(StrEnum):
    """What can be asked for by `fault=`; `after` and `seconds` are fields of `Misbehaviour`."""

    BAD_REQUEST = "400"
    UNAUTHORIZED = "401"
    FORBIDDEN = "403"
    NOT_FOUND = "404"
    RATE_LIMITED = "429"
    """With a Retry-After of `seconds`."""
    SERVER_ERROR = "500"
    UNAVAILABLE = "503"
    HTML = "html"
    """Status 200 and a web page, as a captive portal or a wrong base URL answers."""
    STALL = "stall"
    """Silence for `seconds` more before the first token."""
    STALL_MID = "stall-mid"
    """Silence for `seconds` after `after` tokens, then the rest."""
    DRIBBLE = "dribble"
    """From token `after` on, one token every `seconds`."""
    CUT = "cut"
    """The connection closes after `after` tokens."""
    HALF_CHUNK = "half-chunk"
    """The connection closes in the middle of a chunk, after `after` tokens."""
    MALFORMED = "malformed"
    """A chunk that is not JSON, after `after` tokens."""
    ERROR_CHUNK = "error-chunk"
    """An error object inside the stream, after `after` tokens."""


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """What to do wrong and how often; `rate` is the share of requests struck, drawn from `seed`."""

    fault: SimulatedFault | None = None
    rate: float = 1.0
    seed: int = 0
    seconds: float = 3.0
    after: int = 8
    reasoning: int = 0

    def strikes(self, request: int) -> SimulatedFault | None:
        """The fault of the request number `request` (from 0), or None if it is not drawn; the same every time."""
        # Each request has its own draw, so that concurrent requests cannot change each other's.
        lot = random.Random(f"{self.seed}:{request}").random()
        return self.fault if lot < self.rate else None


def parse_misbehaviour(text: str) -> Misbehaviour:
    """Read `fault=429&rate=0.05`; an empty text behaves. Raises InputError naming the key or value."""
    given = dict(parse_qsl(text, keep_blank_values=True))
    known = [field.name for field in fields(Misbehaviour)]
    for key in given:
        if key not in known:
            raise InputError(f"simulated fault setting {key!r} is not one of: {_listed(known)}")
    fault = given.get("fault")
    if fault is not None and fault not in list(SimulatedFault):
        raise InputError(f"simulated fault {fault!r} is not one of: {_listed(SimulatedFault)}")
    return Misbehaviour(
        fault=SimulatedFault(fault) if fault is not None else None,
        rate=_number(given, "rate", 1.0, at_most=1.0),
        seed=int(_number(given, "seed", 0)),
        seconds=_number(given, "seconds", 3.0),
        after=int(_number(given, "after", 8)),
        reasoning=int(_number(given, "reasoning", 0)),
    )


def _listed(names: list[str] | type[SimulatedFault]) -> str:
    return ", ".join(repr(str(name)) for name in names)


def _number(given: dict[str, str], key: str, default: float, at_most: float = 1e6) -> float:
    try:
        value = float(given.get(key, default))
    except ValueError:
        value = -1.0
    if not 0 <= value <= at_most:
        raise InputError(f"simulated fault setting {key} is {given[key]!r}: give a number from 0 to {at_most:g}")
    return value
