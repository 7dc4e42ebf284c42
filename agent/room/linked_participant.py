"""Whom the agent answers among those who are in the room. Pure: independent of LiveKit and audio.

One participant at a time is linked: the one that the configuration names, or whoever came first. One who leaves is
waited for, since a phone in a tunnel comes back; after that the one who has been there longest is next.
"""

from collections.abc import Sequence


class LinkedParticipant:
    """`linked` is who is answered, present or waited for; None while there is nobody."""

    def __init__(self, wanted: str, absent_s: float, now_s: float) -> None:
        self.linked: str | None = None
        self.present = False
        self._wanted = wanted
        self._absent_s = absent_s
        self._present: list[str] = []  # in the order of their coming
        self._alone_since_s = now_s

    def update(self, present: Sequence[str], now_s: float) -> None:
        """These are in the room now."""
        self._present = [one for one in self._present if one in present]
        self._present += [one for one in present if one not in self._present]
        if self.present and self.linked not in self._present:
            self._alone_since_s = now_s
        self.present = self.linked in self._present
        if not self.present and (self.linked is None or self.is_over(now_s)):
            able = (one for one in self._present if self._wanted in ("", one))
            self.linked = next(able, self.linked)
            self.present = self.linked in self._present

    def is_over(self, now_s: float) -> bool:
        """Whether nobody has been there to answer for so long that nobody is expected any more."""
        return not self.present and now_s - self._alone_since_s >= self._absent_s
