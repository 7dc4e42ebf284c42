"""What AgentSession hands to its output, noted on the way: when, from which sample on it is audible, and when it was
cut. It passes everything on and knows no turn.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc
from livekit.agents.voice.io import AudioOutput, AudioOutputCapabilities, PlaybackFinishedEvent, PlaybackStartedEvent

from pipelines.audio import first_audible_sample
from pipelines.events import Clock
from pipelines.stopwatch.marks import Playout

_LONGEST_LEAD_S = 2.0  # who is silent for longer than this was never audible


@dataclass(slots=True, eq=False)
class Tapped:
    """The marks of one answer's playout; `pauses` are those after which it went on, each from when to when."""

    playout: Playout = field(default_factory=Playout)
    pauses: list[tuple[float, float]] = field(default_factory=list)


class PlayoutTap(AudioOutput):
    """Goes in front of a session's output; `whose` names the marks of the answer that is being handed over."""

    def __init__(self, output: AudioOutput, clock: Clock, whose: Callable[[], Tapped]) -> None:
        super().__init__(
            label="PlayoutTap",
            capabilities=AudioOutputCapabilities(pause=True),
            next_in_chain=output,
            sample_rate=output.sample_rate,
        )
        self._clock = clock
        self._whose = whose
        self._tapped = Tapped()
        self._paused_s: float | None = None
        self._head = bytearray()  # what was handed over until it became audible
        self._audible_s: float | None = None  # how far into the answer that is
        self.on("playback_started", self._started)
        self.on("playback_finished", self._finished)

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        """Pass a frame on; noted is the time at which it came, not the one at which there was room for it."""
        await super().capture_frame(frame)
        if (tapped := self._whose()) is not self._tapped:
            self._tapped, self._head, self._audible_s = tapped, bytearray(), None
        if self._playout.handed_s is None:
            self._playout.handed_s = self._clock()
        if self._audible_s is None and len(self._head) < 2 * _LONGEST_LEAD_S * frame.sample_rate:
            self._head += frame.data.cast("b")
            sample = first_audible_sample(np.frombuffer(self._head, np.int16), frame.sample_rate)
            self._audible_s = None if sample is None else sample / frame.sample_rate
            self._note_audible()
        await self._next.capture_frame(frame)

    def flush(self) -> None:
        """See AudioOutput."""
        super().flush()
        self._next.flush()

    def clear_buffer(self) -> None:
        """See AudioOutput."""
        if self._playout.handed_s is not None and self._playout.cut_s is None:
            self._playout.cut_s = self._clock() if self._paused_s is None else self._paused_s
        self._next.clear_buffer()

    def pause(self) -> None:
        """See AudioOutput; AgentSession asks for it again with every window of voice."""
        super().pause()
        if self._paused_s is None:
            self._paused_s = self._clock()

    def resume(self) -> None:
        """See AudioOutput; AgentSession asks for it after an interruption too."""
        super().resume()
        paused_s, self._paused_s = self._paused_s, None
        if paused_s is not None and self._playout.handed_s is not None and self._playout.cut_s is None:
            self._tapped.pauses.append((paused_s, self._clock()))

    @property
    def _playout(self) -> Playout:
        return self._tapped.playout

    @property
    def _next(self) -> AudioOutput:
        """Not the output that was given: the base class puts a proxy in front of it."""
        assert self.next_in_chain is not None
        return self.next_in_chain

    def _started(self, event: PlaybackStartedEvent) -> None:
        if self._playout.started_s is None:
            self._playout.started_s = self._clock() - (time.time() - event.created_at)
            self._note_audible()

    def _note_audible(self) -> None:
        """The output plays on from its first sample without a gap, so the audible one sounds so much later."""
        started_s = self._playout.started_s
        if started_s is not None and self._audible_s is not None and self._playout.audible_s is None:
            self._playout.audible_s = started_s + self._audible_s

    def _finished(self, event: PlaybackFinishedEvent) -> None:
        if not event.interrupted:
            self._playout.cut_s = None
        if self._playout.started_s is not None:
            paused_s = sum(until_s - from_s for from_s, until_s in self._tapped.pauses)
            end_s = self._playout.started_s + event.playback_position + paused_s
            self._playout.add("", self._playout.started_s, end_s)
