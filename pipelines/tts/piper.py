"""Text to speech with Piper. It knows nothing of sentences, playout or resampling; a voice speaks at its own rate."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import StageError
from pipelines.events import Pcm


class Piper:
    """A TextToSpeech over one Piper voice; several texts may be synthesized at once."""

    def __init__(self, path: Path, *, name: str | None = None, threads: int = 1) -> None:
        """Load an .onnx file and the .onnx.json beside it, for `threads` cores a text. Raises StageError."""
        self.name = name or path.stem
        self._voice = _load(path, threads)
        self.sample_rate_hz: int = self._voice.config.sample_rate
        # Two, so that a text whose turn was cancelled does not keep the next one waiting while it runs out unheard.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="tts")

    def warm_up(self) -> None:
        """Synthesize a few words, so that no turn pays for what the runtime does only once. Blocking."""
        for _ in self._pieces("Ready when you are."):
            pass

    async def synthesize(self, text: str) -> AsyncGenerator[Pcm, None]:
        """See TextToSpeech. Piper answers sentence by sentence, so one sentence is one piece."""
        if not any(char.isalnum() for char in text):
            return  # Piper is silent on "..." but reads out the names of other marks
        pieces = self._pieces(text)
        loop = asyncio.get_running_loop()
        while (pcm := await loop.run_in_executor(self._threads, next, pieces, None)) is not None:
            yield pcm

    def _pieces(self, text: str) -> Iterator[Pcm]:
        try:
            for chunk in self._voice.synthesize(text):
                if len(pcm := chunk.audio_int16_array):
                    yield np.asarray(pcm, np.int16)
        except Exception as error:
            raise StageError(f"text to speech ({self.name}) failed: {type(error).__name__}: {error}") from error


def _load(path: Path, threads: int) -> Any:
    import onnxruntime
    from piper.config import PiperConfig
    from piper.voice import PiperVoice

    # PiperVoice.load takes no session options, and the default ones let a thread for every core spin between
    # sentences.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A pattern is one block of memory kept for every length of text: 40 MB more, and not a millisecond less.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        config = PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8")))
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise StageError(f"no Piper voice could be loaded from '{path}': {type(error).__name__}: {reason}") from error
    return PiperVoice(session=session, config=config)
