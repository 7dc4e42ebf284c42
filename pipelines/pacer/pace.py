"""How fast a simulated provider speaks: a time to first token and a token rate, and when each token is due.

Independent of HTTP, text or providers.
"""

import re
from dataclasses import dataclass

from pipelines.errors import InputError

_WRITTEN = re.compile(r"(?P<ttft>\d+(?:\.\d+)?):(?P<rate>\d+(?:\.\d+)?)")


@dataclass(frozen=True, slots=True)
class Pace:
    """`ttft_ms` from the request's arrival to the first token, then `tokens_per_s`."""

    ttft_ms: float
    tokens_per_s: float

    def due_s(self, index: int) -> float:
        """Seconds after the request's arrival at which token `index` (from 0) is due."""
        return self.ttft_ms / 1000 + index / self.tokens_per_s


def parse_pace(text: str) -> Pace | None:
    """Read `TTFT_MS:TOK_PER_S`, such as `120:1800`; None if it has another form. Raises InputError for a rate of 0."""
    match = _WRITTEN.fullmatch(text)
    if match is None:
        return None
    pace = Pace(float(match["ttft"]), float(match["rate"]))
    if pace.tokens_per_s == 0:
        raise InputError(f"the token rate of 'sim/{text}' is 0: give tokens per second above 0, such as sim/120:1800")
    return pace
