"""Text to speech with Piper. Independent of sentences, playout or resampling; a voice speaks at its own rate."""

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from pipelines.errors import StageError
from pipelines.events import Pcm
from pipelines.tts.cut import Cut, UncuttableError, cut
from pipelines.tts.cut_cache import KeptCut, folder_for, keep_cut, kept_cut
from pipelines.tts.voices import TOLERANCE, CutVoice, Voice, WholeVoice
from pipelines.tts.windows import FrameStage

log = logging.getLogger(__name__)


class Piper:
    """A TextToSpeech over one Piper voice; several texts may be synthesized at once.

    `how` says how the voice's graph is used: "cut: text, flow and decoder", which begins to speak when the first
    window is ready, or "whole: REASON", which gives nothing before a sentence is done.
    """

    def __init__(
        self, path: Path, *, name: str | None = None, threads: int | None = None, cache: Path | None = None
    ) -> None:
        """Load an .onnx file and the .onnx.json beside it, for `threads` cores a text (`threads_for` this machine).

        `cache` is a folder to keep the cut graph in; without it the voice is cut anew. Blocking. Raises StageError.
        """
        self.name = name or path.stem
        config = _config(path)
        self.sample_rate_hz: int = config.sample_rate
        self.voice, self.how = _load(path, config, threads or threads_for(os.cpu_count() or 1), cache)
        # Two, so that a text whose turn was cancelled does not keep the next one waiting for its window under way.
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="tts")

    def warm_up(self) -> None:
        """Synthesize a few words, so that no turn pays for what the runtime does only once. Blocking."""
        for _ in self._pieces("Ready when you are."):
            pass

    async def synthesize(self, text: str) -> AsyncGenerator[Pcm, None]:
        """See TextToSpeech. Closing or cancelling it stops the work behind the window under way."""
        if not any(char.isalnum() for char in text):
            return  # Piper is silent on "..." but reads out the names of other marks
        pieces = self._pieces(text)
        loop = asyncio.get_running_loop()
        while (pcm := await loop.run_in_executor(self._threads, next, pieces, None)) is not None:
            yield pcm

    def _pieces(self, text: str) -> Iterator[Pcm]:
        try:
            yield from self.voice.speak(text)
        except Exception as error:
            raise StageError(f"text to speech ({self.name}) failed: {type(error).__name__}: {error}") from error


def threads_for(cores: int) -> int:
    """The threads of one text.

    On two cores the second thread takes the first audio from 60 to 48 ms, of a 5 s sentence from 92 to 73 (tests/bench/
    first_audio.py); with the cores busy it is never slower. The text's part, half of that, hardly gains by it, so more
    cores are left to other texts and to the recogniser; that was not measured on a larger machine.
    """
    return min(2, cores)


def _config(path: Path) -> Any:
    from piper.config import PiperConfig

    try:
        return PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8")))
    except Exception as error:
        raise _unusable(path, error) from error


def _load(path: Path, config: Any, threads: int, cache: Path | None) -> tuple[Voice, str]:
    try:
        folder = folder_for(path, cache) if cache else None
        if folder and (kept := kept_cut(folder)):
            try:
                return _assembled(kept, config, threads), _CUT
            except Exception as error:
                log.warning("the kept cut of '%s' cannot be used, it is cut anew: %s", path, _first_line(error))
        # Whole first: what onnxruntime says of a bad file is the user's matter, what cutting says of a good one is not.
        whole = open_session(str(path), threads)
    except Exception as error:
        raise _unusable(path, error) from error
    try:
        return _cut_anew(path, config, threads, folder), _CUT
    except Exception as error:
        return WholeVoice(_piper_voice(whole, config)), f"whole: {_first_line(error)}"


_CUT = "cut: text, flow and decoder"


def _cut_anew(path: Path, config: Any, threads: int, folder: Path | None) -> CutVoice:
    parts = cut(path)
    voice = _assembled(parts, config, threads)
    if not (error := voice.calibrate()) <= TOLERANCE:
        raise UncuttableError(f"its windows differ from the whole by {error:.2g}")
    if folder:
        keep_cut(parts, voice.gain, folder)
    return voice


def _assembled(parts: Cut | KeptCut, config: Any, threads: int) -> CutVoice:
    match parts:
        case Cut(text, flow, decoder):
            graphs: tuple[Any, ...] = text, flow.onnx, decoder.onnx
            margins, gain = (flow.margin_frames, decoder.margin_frames), 1.0
        case KeptCut():
            graphs = str(parts.text), str(parts.flow), str(parts.decoder)
            margins, gain = (parts.flow_margin, parts.decoder_margin), parts.gain
    text_session, *others = (open_session(graph, threads) for graph in graphs)
    flow_stage, decoder_stage = map(FrameStage, others, margins)
    return CutVoice(_piper_voice(text_session, config), flow_stage, decoder_stage, gain)


def _piper_voice(session: Any, config: Any) -> Any:
    from piper.voice import PiperVoice

    return PiperVoice(session=session, config=config)


def open_session(graph: str | bytes, threads: int) -> Any:
    """An onnxruntime session over a graph, or the path of one. Raises what onnxruntime raises."""
    import onnxruntime

    # PiperVoice.load takes no session options, and the default ones let a thread for every core spin between
    # sentences.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A pattern is one block of memory kept for every length of text: 40 MB more, and not a millisecond less.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _unusable(path: Path, error: Exception) -> StageError:
    return StageError(f"no Piper voice could be loaded from '{path}': {type(error).__name__}: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
