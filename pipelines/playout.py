"""What the agent says, on its way out: the Protocol that every output keeps, and what has been heard of it.

Independent of devices: a virtual one, a sound card, a browser and a room each bring their own `AudioOutput`.
"""

from dataclasses import dataclass
from typing import Protocol

from pipelines.events import Pcm


class AudioOutput(Protocol):
    """Where the agent's audio goes. `sample_rate_hz` is the rate that `play` takes."""

    sample_rate_hz: int

    async def play(self, pcm: Pcm) -> float:
        """Queue audio behind what is queued already and return the process time at which its first sample sounds.

        Waits, before it queues, while the queue is fuller than the output's bound or the output is paused; so what is
        queued is known at once.
        """
        ...

    def pause(self) -> None:
        """Fall silent at once and keep what has not sounded yet."""
        ...

    def resume(self) -> None:
        """Go on where it was; does nothing if nothing is paused."""
        ...

    async def drain(self) -> None:
        """Wait until all that was queued has sounded; a pause is waited out."""
        ...

    def clear(self) -> None:
        """Drop at once all that has not sounded yet, and end a pause."""
        ...


_LETTER_S = 0.05  # of speech: at most so fast do synthesizers speak


@dataclass(frozen=True, slots=True)
class Played:
    """A unit of text with the process time in which it sounds, unless it is cut off.

    `whole` is whether all of its speech lies before `end_s`; else the synthesizer was not done with it.
    """

    text: str
    start_s: float
    end_s: float
    whole: bool = True

    def heard(self, now_s: float) -> str:
        """The words that had sounded by `now_s`.

        A synthesizer need not say when each word sounds, so time is shared out by letters; a word half said was not
        heard.
        """
        end_s = self.end_s if self.whole else max(self.end_s, self.start_s + len(self.text) * _LETTER_S)
        if now_s >= end_s:
            return self.text
        letters = int(len(self.text) * max(0.0, now_s - self.start_s) / (end_s - self.start_s))
        return self.text[: letters + 1].rpartition(" ")[0].rstrip()  # a space comes next: the word before it is whole


def heard_text(played: list[Played], cut_s: float | None) -> str:
    """What the listener had heard of an answer that was cut off at `cut_s`; all of it if it was not."""
    return " ".join(filter(None, (unit.text if cut_s is None else unit.heard(cut_s) for unit in played)))
