"""What a participant heard of another: frames with the moments of their arrival, and what can be told from them.

Pure arithmetic; it knows no room and no fixture. A sample counts as heard when its frame has arrived and the samples
before it in that frame have been played, as on a loudspeaker without a buffer.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pipelines.audio import AUDIBLE_DBFS, first_audible_sample, to_float
from pipelines.events import SAMPLE_RATE_HZ, Pcm

_STEP = SAMPLE_RATE_HZ // 200  # 5 ms, the window in which the agent too calls a sound audible
_MISSING_S = 0.1  # a track that was away for longer: silence takes its place
PAUSE_MS = 300.0
"""Shorter silences are inside speech."""


@dataclass(frozen=True, slots=True)
class Frame:
    """Sound at 16 kHz and when it arrived, in seconds of the monotonic clock."""

    arrived_s: float
    pcm: Pcm


@dataclass(frozen=True, slots=True)
class Sound:
    """From the first audible sample after silence to the last one before silence."""

    start_s: float
    end_s: float


class Heard:
    """All frames as one signal, with silence where none came."""

    def __init__(self, frames: Sequence[Frame]) -> None:
        pieces: list[Pcm] = []
        self._begins: list[int] = []  # each frame's place in `pcm` ...
        self._arrived_s = [frame.arrived_s for frame in frames]  # ... and its arrival
        place, due_s = 0, 0.0
        for frame in frames:
            if pieces and frame.arrived_s - due_s > _MISSING_S:
                pieces.append(np.zeros(round((frame.arrived_s - due_s) * SAMPLE_RATE_HZ), np.int16))
                place += len(pieces[-1])
            self._begins.append(place)
            pieces.append(frame.pcm)
            place += len(frame.pcm)
            due_s = frame.arrived_s + len(frame.pcm) / SAMPLE_RATE_HZ
        self.pcm: Pcm = np.concatenate(pieces) if pieces else np.zeros(0, np.int16)

    def time_s(self, sample: int) -> float:
        """When this sample of `pcm` was heard."""
        frame = max(0, bisect_right(self._begins, sample) - 1)
        return self._arrived_s[frame] + (sample - self._begins[frame]) / SAMPLE_RATE_HZ

    def between(self, start_s: float, end_s: float) -> Pcm:
        """What was heard then: to listen to, or to transcribe."""
        held = [i for i, arrived_s in enumerate(self._arrived_s) if start_s <= arrived_s < end_s]
        if not held:
            return self.pcm[:0]
        end = self._begins[held[-1] + 1] if held[-1] + 1 < len(self._begins) else len(self.pcm)
        return self.pcm[self._begins[held[0]] : end]

    # ------------------------------------------------------------ sounds

    @cached_property
    def _audible(self) -> NDArray[np.int64]:
        """The samples at which an audible 5 ms begin."""
        steps = to_float(self.pcm[: len(self.pcm) // _STEP * _STEP]).reshape(-1, _STEP)
        return np.flatnonzero(np.square(steps).mean(axis=1) > 10 ** (AUDIBLE_DBFS / 10)) * _STEP

    def sounds(self, pause_ms: float = PAUSE_MS) -> list[Sound]:
        """What was said, as stretches with at least so much silence between them."""
        audible = self._audible
        if not len(audible):
            return []
        cuts = np.flatnonzero(np.diff(audible) > pause_ms / 1_000 * SAMPLE_RATE_HZ) + 1
        return [
            Sound(self.time_s(self._exact(int(part[0]))), self.time_s(int(part[-1]) + _STEP))
            for part in np.split(audible, cuts)
        ]

    def _exact(self, audible: int) -> int:
        """To the millisecond, by the rule that the agent's own first audible sample is found with."""
        start = max(0, audible - _STEP)
        found = first_audible_sample(self.pcm[start : audible + 2 * _STEP], SAMPLE_RATE_HZ)
        return audible if found is None else start + found

    def onset_after(self, moment_s: float) -> float | None:
        """When something first became audible after silence, from this moment on."""
        return next((sound.start_s for sound in self.sounds() if sound.start_s >= moment_s), None)

    def latency_ms(self, speech_end_s: float) -> float | None:
        """The turn latency as heard: the end of the user's speech to the next thing that is heard."""
        onset_s = self.onset_after(speech_end_s)
        return None if onset_s is None else (onset_s - speech_end_s) * 1_000

    def silent_after_ms(self, moment_s: float) -> float | None:
        """How long the sound that was going on then still went on; None in silence. For a barge-in at its onset."""
        going_on = [sound for sound in self.sounds() if sound.start_s <= moment_s < sound.end_s]
        return (going_on[0].end_s - moment_s) * 1_000 if going_on else None

    # ------------------------------------------------------------ faults

    def gaps_ms(self, longer_than_ms: float = 20.0) -> list[float]:
        """Delays of frames beyond their turn. Reading is late too where the reader's own event loop is held up."""
        lengths = [later - earlier for earlier, later in pairwise(self._begins)]
        late = [
            (later - earlier) * 1_000 - length * 1_000 / SAMPLE_RATE_HZ
            for (earlier, later), length in zip(pairwise(self._arrived_s), lengths, strict=True)
        ]
        return [ms for ms in late if ms > longer_than_ms]

    def dropouts(self, longer_than_ms: int = 5) -> int:
        """Stretches of exact zeros inside what is being said, at least so long and with sound right before and after:
        a decoder that conceals fades out instead, so these are the sender's."""
        silent = np.concatenate([[False], self.pcm == 0, [False]])
        edges = np.flatnonzero(silent[1:] != silent[:-1]).reshape(-1, 2)
        shortest, longest = longer_than_ms * SAMPLE_RATE_HZ // 1_000, SAMPLE_RATE_HZ // 5
        return sum(
            shortest <= end - start <= longest and self._loud(start - _STEP) and self._loud(end) for start, end in edges
        )

    def _loud(self, start: int) -> bool:
        part = to_float(self.pcm[max(0, start) : start + _STEP])
        return len(part) > 0 and bool(np.square(part).mean() > 10 ** ((AUDIBLE_DBFS + 10) / 10))
