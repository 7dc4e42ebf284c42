"""Microphone and speaker as one: clean frames in, the agent's voice out, and the card may vanish in between.

Microphone and speaker run as two PortAudio streams, for they may be two devices. Where one of them gives nothing for a
second, both are closed and looked for again every second; meanwhile the frames are silence, so the conversation goes
on when the card is back. Independent of turns.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from agent.sound.capture import Capture, Ring
from agent.sound.devices import find, portaudio, rate_of
from agent.sound.echo import Cleaner, SoundSettings
from agent.sound.speaker import Speaker
from pipelines.audio import level_dbfs
from pipelines.errors import InputError, QuickturnError
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Clock, Pcm

log = logging.getLogger(__name__)

_FRAME_MS = 20
_FRAME_SAMPLES = SAMPLE_RATE_HZ * _FRAME_MS // 1_000
_LOST_AFTER_S = 1.0
_RETRY_S = 1.0
_FAR_RING_S = 2

Notice = Callable[[str], None]
OnFrame = Callable[[AudioFrame, Pcm], None]
"""Hears each clean frame, and what the speaker was given since the one before, at the speaker's rate."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What went wrong since the start: blocks that the card lost, that nobody read in time, that came too late."""

    overruns: int
    dropped: int
    underruns: int
    lost: int


@dataclass(slots=True)
class _Card:
    """The streams of a card that is there."""

    capture: Capture
    speaker: Speaker
    cleaner: Cleaner
    far: Ring

    def close(self) -> None:
        self.capture.close()
        self.speaker.close()

    @property
    def delay_s(self) -> float:
        """From handing a block to the speaker until its echo arrives."""
        return self.speaker.lead_s + self.capture.lag_s


class Microphone:
    """Frames of 20 ms at 16 kHz, and an `AudioOutput`; made by `open_microphone`."""

    def __init__(self, settings: SoundSettings, clock: Clock, notice: Notice, on_frame: OnFrame | None) -> None:
        self.muted = False
        self.level_dbfs = float("-inf")
        self._settings = settings
        self._clock = clock
        self._notice = notice
        self._on_frame = on_frame
        self._card: _Card = self._open()
        self._searching: asyncio.Task[None] | None = None
        self._present = asyncio.Event()
        self._present.set()
        self._gone = Counts(0, 0, 0, 0)
        self.sample_rate_hz = self._card.speaker.sample_rate_hz

    @property
    def counts(self) -> Counts:
        """What went wrong so far."""
        gone, card = self._gone, self._card
        if not self._present.is_set():
            return gone
        return Counts(
            gone.overruns + card.capture.overruns,
            gone.dropped + card.capture.dropped,
            gone.underruns + card.speaker.underruns,
            gone.lost,
        )

    @property
    def latency_ms(self) -> tuple[float, float]:
        """What the devices add, as PortAudio states it: capture and playout."""
        return self._card.capture.lag_s * 1_000, self._card.speaker.lead_s * 1_000

    async def frames(self) -> AsyncIterator[AudioFrame]:
        """Clean audio, without an end; while the card is gone, silence."""
        position = 0
        while True:
            clean, far = await self._next()
            if self.muted:
                clean = np.zeros_like(clean)
            self.level_dbfs = level_dbfs(clean)
            frame = AudioFrame(clean, position)
            position = frame.end_samples
            if self._on_frame is not None:
                self._on_frame(frame, far)
            yield frame

    def close(self) -> None:
        """Let go of the card, and look for it no longer."""
        if self._searching is not None:
            self._searching.cancel()
        self._card.close()

    # ------------------------------------------------------------ the output

    async def play(self, pcm: Pcm) -> float:
        """See AudioOutput; waits for a card that is gone."""
        await self._present.wait()
        return await self._card.speaker.play(pcm)

    def pause(self) -> None:
        """See AudioOutput."""
        self._card.speaker.pause()

    def resume(self) -> None:
        """See AudioOutput."""
        self._card.speaker.resume()

    async def drain(self) -> None:
        """See AudioOutput; what a card took with it has been played."""
        card = self._card
        draining = asyncio.ensure_future(card.speaker.drain())
        try:
            while card is self._card and not draining.done():
                await asyncio.wait([draining], timeout=_LOST_AFTER_S)
        finally:
            draining.cancel()

    def clear(self) -> None:
        """See AudioOutput."""
        self._card.speaker.clear()

    # ------------------------------------------------------------ the card

    async def _next(self) -> tuple[Pcm, Pcm]:
        card = self._card
        if self._present.is_set():
            block = await card.capture.block(card.capture.sample_rate_hz * _FRAME_MS // 1_000, _LOST_AFTER_S)
            stopped = self._clock() - card.speaker.last_block_s > _LOST_AFTER_S
            if block is not None and not stopped:
                step = card.speaker.sample_rate_hz // 100
                far = card.far.read(len(card.far) // step * step)
                return card.cleaner.clean(block, far, card.delay_s), far
            self._lose("speaker" if block is not None else "microphone")
        await asyncio.sleep(_FRAME_MS / 1_000)
        return np.zeros(_FRAME_SAMPLES, np.int16), np.zeros(self.sample_rate_hz * _FRAME_MS // 1_000, np.int16)

    def _lose(self, what: str) -> None:
        before = self.counts
        self._gone = Counts(before.overruns, before.dropped, before.underruns, before.lost + 1)
        self._present.clear()
        self._notice(f"the {what} has stopped responding; waiting for it to come back")
        self._searching = asyncio.create_task(self._find_again(), name="sound card")

    async def _find_again(self) -> None:
        old = self._card
        await asyncio.to_thread(old.close)
        while True:
            await asyncio.sleep(_RETRY_S)
            try:
                await asyncio.to_thread(_look_again)
                card = self._open()
            except (QuickturnError, OSError, _portaudio_error()) as error:
                log.info("still no sound card: %s", error)
                continue
            except Exception:  # it is looked for all the same: the conversation waits for it
                log.exception("looking for the sound card failed")
                continue
            if card.speaker.sample_rate_hz != self.sample_rate_hz:
                card.close()
                continue
            self._card = card
            self._notice("the sound card is back")
            self._present.set()
            return

    def _open(self) -> _Card:
        settings, clock = self._settings, self._clock
        microphone, speaker = find("input", settings.input), find("output", settings.output)
        in_hz, out_hz = rate_of("input", microphone), rate_of("output", speaker)
        far = Ring(out_hz * _FAR_RING_S)
        try:
            # In this order: on PulseAudio a capture that begins beside a running playout often gives nothing.
            capture = Capture(microphone, in_hz, clock)
            try:
                output = Speaker(speaker, out_hz, clock, far.write)
            except Exception:
                capture.close()
                raise
        except _portaudio_error() as error:
            raise InputError(
                f"{microphone.name!r} and {speaker.name!r} cannot be opened: {error}; close what else uses them, "
                "or choose others with --input and --output (`quickturn doctor` lists them)"
            ) from None
        return _Card(capture, output, Cleaner(settings, in_hz, out_hz), far)


@asynccontextmanager
async def open_microphone(
    settings: SoundSettings, clock: Clock, notice: Notice, on_frame: OnFrame | None = None
) -> AsyncIterator[Microphone]:
    """Open the card. `notice` is told in a line when it vanishes and comes back. Raises InputError with the fix."""
    microphone = Microphone(settings, clock, notice, on_frame)
    try:
        yield microphone
    finally:
        microphone.close()


def _look_again() -> None:
    """PortAudio lists the devices once; a new list needs a new start of it."""
    sd: Any = portaudio()
    sd._terminate()
    sd._initialize()


def _portaudio_error() -> type[Exception]:
    error: type[Exception] = portaudio().PortAudioError
    return error
