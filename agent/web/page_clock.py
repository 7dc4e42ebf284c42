"""The page's clock in terms of ours, by ping and pong as NTP does it. Independent of sockets."""

from collections import deque

from pipelines.events import Clock

_KEPT = 12  # of the latest pings the fastest counts: what was delayed less tells the time better


class PageClock:
    """Translates the page's milliseconds (`performance.now`) into process time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._number = 0
        self._sent_s: dict[int, float] = {}
        self._samples: deque[tuple[float, float]] = deque(maxlen=_KEPT)  # round trip, offset

    def ping(self) -> int:
        """The number of a ping that is sent now; older ones without an answer are forgotten."""
        self._number += 1
        self._sent_s = {n: at for n, at in self._sent_s.items() if n > self._number - _KEPT}
        self._sent_s[self._number] = self._clock()
        return self._number

    def pong(self, number: int, at_ms: float) -> None:
        """The answer to that ping has come; an answer to none is ignored."""
        sent_s = self._sent_s.pop(number, None)
        if sent_s is not None:
            now_s = self._clock()
            self._samples.append((now_s - sent_s, (sent_s + now_s) / 2 - at_ms / 1_000))

    def process_time_s(self, at_ms: float) -> float:
        """When that was; now, as long as no ping was answered."""
        if not self._samples:
            return self._clock()
        return at_ms / 1_000 + min(self._samples)[1]
