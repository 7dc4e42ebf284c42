"""Echo cancellation, noise suppression and gain control: WebRTC's audio processing module, as livekit ships it.

It is told what the speaker plays and how long that takes to come back, in blocks of 10 ms.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.events import SAMPLE_RATE_HZ, Pcm

if TYPE_CHECKING:
    from livekit import rtc

_BLOCKS_PER_S = 100


@dataclass(frozen=True, slots=True)
class SoundSettings:
    """Devices by name, empty for the default ones, and what is done to the captured audio."""

    input: str = ""
    output: str = ""
    echo_cancellation: bool = True
    noise_suppression: bool = True
    gain_control: bool = True


class Cleaner:
    """Takes captured audio at `rate_hz` (16,000 or 48,000) to clean audio at 16 kHz."""

    def __init__(self, settings: SoundSettings, rate_hz: int, far_rate_hz: int) -> None:
        from livekit import rtc

        self._rtc = rtc
        self._rate_hz = rate_hz
        self._far_rate_hz = far_rate_hz
        self._apm: rtc.AudioProcessingModule | None = None
        if settings.echo_cancellation or settings.noise_suppression or settings.gain_control:
            self._apm = rtc.AudioProcessingModule(
                echo_cancellation=settings.echo_cancellation,
                noise_suppression=settings.noise_suppression,
                high_pass_filter=True,
                auto_gain_control=settings.gain_control,
            )
        # Its better qualities hold back 27 ms; this one holds back 1 to 6 samples.
        self._resampler = (
            None
            if rate_hz == SAMPLE_RATE_HZ
            else rtc.AudioResampler(rate_hz, SAMPLE_RATE_HZ, quality=rtc.AudioResamplerQuality.LOW)
        )

    def played(self, pcm: Pcm) -> None:
        """The speaker plays this, any whole number of 10 ms blocks."""
        if self._apm is not None:
            for frame in self._frames(pcm, self._far_rate_hz):
                self._apm.process_reverse_stream(frame)

    def captured(self, pcm: Pcm, delay_s: float) -> Pcm:
        """The same audio, cleaned and at 16 kHz; `delay_s` passes between `played` and the echo's arrival here."""
        cleaned = []
        for frame in self._frames(pcm, self._rate_hz):
            if self._apm is not None:
                self._apm.set_stream_delay_ms(round(delay_s * 1_000))
                self._apm.process_stream(frame)
            cleaned += [frame] if self._resampler is None else self._resampler.push(frame)
        samples = [np.frombuffer(bytes(frame.data), np.int16) for frame in cleaned]
        return np.concatenate(samples) if samples else np.zeros(0, np.int16)

    def _frames(self, pcm: Pcm, rate_hz: int) -> "list[rtc.AudioFrame]":
        size = rate_hz // _BLOCKS_PER_S
        if len(pcm) % size:
            raise ValueError(f"{len(pcm)} samples at {rate_hz} Hz are no whole number of 10 ms blocks")
        return [
            self._rtc.AudioFrame(pcm[at : at + size].tobytes(), rate_hz, 1, size) for at in range(0, len(pcm), size)
        ]
