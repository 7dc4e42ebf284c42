"""What stock faster-whisper, windows of 30 s and all, understands of what was heard of the agent."""

from functools import cache
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from agent.models.fetch import whisper_path
from pipelines.audio import AUDIBLE_DBFS, to_float

_STEP = 80  # 5 ms
_SILENCE = 8_000  # half a second on both sides, as a recogniser is used to


def transcribed(track: Any) -> str:
    """The words between the first and the last audible sample of a track at 16 kHz."""
    steps = np.asarray(track[: len(track) // _STEP * _STEP], np.float64).reshape(-1, _STEP) / 32_768
    audible = np.flatnonzero(np.sqrt((steps**2).mean(axis=1)) > 10 ** (AUDIBLE_DBFS / 20)) * _STEP
    assert len(audible), "nothing was heard"
    pcm = np.pad(track[audible[0] : audible[-1] + _STEP].astype(np.int16), _SILENCE)
    segments, _ = _model().transcribe(to_float(pcm), language="en")
    return " ".join(segment.text.strip() for segment in segments)


@cache
def _model() -> WhisperModel:
    return WhisperModel(str(whisper_path("tiny.en")), device="cpu", compute_type="int8")
