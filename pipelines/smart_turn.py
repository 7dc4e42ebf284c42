"""Has the speaker finished? The probability by the sound of the voice alone, from Smart Turn v3 (BSD-2-Clause).

The network (pipecat-ai/smart-turn-v3 on the Hugging Face hub) hears the last 8 s of a turn as Whisper does: zero mean
and unit variance, log-mel of 80 bands, and answers with one number. It hears melody and tempo, and knows no words;
what follows from its answer is `pipelines.endpointing`'s.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipelines.audio import to_float
from pipelines.errors import StageError
from pipelines.events import SAMPLE_RATE_HZ, Pcm

HEARS_S = 8
_HEARS_SAMPLES = HEARS_S * SAMPLE_RATE_HZ


class TurnDetector(Protocol):
    """Judges by the sound of the voice whether a speaker has finished."""

    name: str

    async def probability(self, pcm: Pcm) -> float:
        """How sure it is, 0 to 1, given the turn so far (16 kHz) with the beginning of the silence after it.

        Raises StageError.
        """
        ...


class SmartTurn:
    """A TurnDetector over one ONNX file; any number of turns may be judged, one at a time."""

    def __init__(self, path: Path, *, name: str | None = None, threads: int = 1) -> None:
        """Load the weights, which takes about 0.1 s. Raises StageError."""
        self.name = name or path.stem
        self._session, self._log_mel = _load(path, threads)
        # One thread: a second judgement at the same time would slow the first one and the recogniser down.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="turn")

    def warm_up(self) -> None:
        """Judge a second of silence, so that no turn pays for what the runtime allocates only once. Blocking."""
        self.judge(np.zeros(SAMPLE_RATE_HZ, np.int16))

    async def probability(self, pcm: Pcm) -> float:
        """See TurnDetector."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.judge, pcm)

    def judge(self, pcm: Pcm) -> float:
        """The same, blocking."""
        try:
            (answer,) = self._session.run(None, {"input_features": self._features(pcm)})
        except Exception as error:
            raise StageError(f"turn detector '{self.name}' failed: {type(error).__name__}: {error}") from error
        return float(np.asarray(answer).reshape(-1)[0])

    def _features(self, pcm: Pcm) -> NDArray[np.float32]:
        heard = to_float(pcm[-_HEARS_SAMPLES:])
        padded = np.zeros(_HEARS_SAMPLES, np.float32)
        padded[_HEARS_SAMPLES - len(heard) :] = heard
        # The padding counts: the network was trained on features that are normalised with it.
        padded = (padded - padded.mean()) / np.sqrt(padded.var() + np.float32(1e-7))
        return np.asarray(self._log_mel(padded, padding=0)[np.newaxis], np.float32)


def _load(path: Path, threads: int) -> tuple[Any, Any]:
    import onnxruntime
    from faster_whisper.feature_extractor import FeatureExtractor

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise StageError(f"no turn detector could be loaded from '{path}': {type(error).__name__}: {reason}") from error
    return session, FeatureExtractor(feature_size=80, chunk_length=HEARS_S)
