"""Echo cancellation, noise suppression and gain control: WebRTC's audio processing module, as livekit ships it.

It is told what the speaker plays and how long that takes to come back, in blocks of 10 ms.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from agent.sound.downsampler import Downsampler
from agent.sound.echo_path import EchoPath
from pipelines.events import Pcm

if TYPE_CHECKING:
    from livekit import rtc

_BLOCKS_PER_S = 100
_LONGEST_DELAY_MS = 500  # WebRTC refuses a longer one, which a card that has run dry may state for a moment


@dataclass(frozen=True, slots=True)
class SoundSettings:
    """Devices by name, empty for the default ones, and what is done to the captured audio.

    Noise is left in: recognisers are trained with it, and what WebRTC's suppression does to the end of a sentence makes
    some questions look unfinished, so that the agent waits longer.
    """

    input: str = ""
    output: str = ""
    echo_cancellation: bool = True
    noise_suppression: bool = False
    gain_control: bool = True


class Cleaner:
    """Takes captured audio at `rate_hz` (16,000 or 48,000) to clean audio at 16 kHz.

    Two processors run side by side, one of which cancels echo: that one is heard unless there is no echo to cancel.
    """

    def __init__(self, settings: SoundSettings, rate_hz: int, far_rate_hz: int) -> None:
        from livekit import rtc

        self._rtc = rtc
        self._rate_hz = rate_hz
        self._far_rate_hz = far_rate_hz
        self._path = EchoPath()
        self._canceller = _processor(settings, echo_cancellation=True) if settings.echo_cancellation else None
        self._plain = _processor(settings, echo_cancellation=False)
        self._downsampler = Downsampler(rate_hz)

    @property
    def path(self) -> EchoPath:
        """What is known of the echo."""
        return self._path

    def clean(self, captured: Pcm, played: Pcm, delay_s: float) -> Pcm:
        """The captured audio, cleaned and at 16 kHz.

        `played` is what the speaker was given since the call before; `delay_s` passes from there to its echo's capture.
        Both are whole numbers of 10 ms blocks.
        """
        self._path.heard(played, captured)
        if self._canceller is not None:
            for frame in self._frames(played, self._far_rate_hz):
                self._canceller.process_reverse_stream(frame)
        cleaned = [np.zeros(0, np.int16)]
        for plain, cancelled in zip(*(self._frames(captured, self._rate_hz) for _ in range(2)), strict=True):
            self._plain.process_stream(plain)
            if self._canceller is not None:
                self._canceller.set_stream_delay_ms(min(round(delay_s * 1_000), _LONGEST_DELAY_MS))
                self._canceller.process_stream(cancelled)
            frame = plain if self._canceller is None or self._path.is_absent else cancelled
            cleaned.append(np.frombuffer(bytes(frame.data), np.int16))
        return self._downsampler.push(np.concatenate(cleaned))

    def _frames(self, pcm: Pcm, rate_hz: int) -> "list[rtc.AudioFrame]":
        size = rate_hz // _BLOCKS_PER_S
        if len(pcm) % size:
            raise ValueError(f"{len(pcm)} samples at {rate_hz} Hz are not a whole number of 10 ms blocks")
        return [
            self._rtc.AudioFrame(pcm[at : at + size].tobytes(), rate_hz, 1, size) for at in range(0, len(pcm), size)
        ]


def _processor(settings: SoundSettings, *, echo_cancellation: bool) -> "rtc.AudioProcessingModule":
    from livekit import rtc

    return rtc.AudioProcessingModule(
        echo_cancellation=echo_cancellation,
        noise_suppression=settings.noise_suppression,
        high_pass_filter=True,
        auto_gain_control=settings.gain_control,
    )
