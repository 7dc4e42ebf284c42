"""Media time with pauses taken out: which samples a decode hears, and when what it understood was said. Pure
arithmetic.
"""

from dataclasses import dataclass, replace
from itertools import chain, pairwise


@dataclass(frozen=True, slots=True)
class Stretch:
    """Audio from `start_samples` on, less the `removed` ranges of media time, which lie in order and apart."""

    start_samples: int
    removed: tuple[tuple[int, int], ...] = ()

    def without(self, begin: int, end: int) -> "Stretch":
        """This stretch with one more, later range taken out; an empty or negative range changes nothing."""
        return replace(self, removed=(*self.removed, (begin, end))) if begin < end else self

    def ranges(self, end: int) -> list[tuple[int, int]]:
        """The ranges of media time that remain up to `end`."""
        edges = [self.start_samples, *chain.from_iterable(self.removed), end]
        return [(a, b) for a, b in list(pairwise(edges))[::2] if a < b]

    def length(self, end: int) -> int:
        """How many samples remain up to `end`."""
        return sum(b - a for a, b in self.ranges(end))

    def media(self, position: int) -> int:
        """The media time of the sample at `position` of what remains."""
        at = self.start_samples + position
        for begin, end in self.removed:
            if at > begin:
                at += end - begin
        return at

    def split(self, at: int) -> tuple["Stretch", "Stretch"]:
        """What lies before and after media time `at`."""
        before = tuple((a, min(b, at)) for a, b in self.removed if a < at)
        after = tuple((max(a, at), b) for a, b in self.removed if b > at)
        return Stretch(self.start_samples, before), Stretch(at, after)
