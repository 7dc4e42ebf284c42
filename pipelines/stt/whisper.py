"""One decode of one stretch of speech by a faster-whisper model. Blocking, thread-safe; it knows no turns or
partials.

Stock `transcribe()` always pads to 3,000 frames, so a shorter encoder window goes through the model's own mel
filters, `encode` and `generate` here.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, pairwise
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.errors import StageError
from pipelines.events import SAMPLE_RATE_HZ, Pcm, Word
from pipelines.stt.guards import Guards
from pipelines.stt.mel import HOP, Frames, encoder_input, log_mel

_PAD_S = 1.0
_FRAMES_PER_S = SAMPLE_RATE_HZ // HOP
_SAMPLES_PER_STEP = 2 * HOP  # the encoder halves the frame rate
_MAX_WINDOW_S = 30.0
_WINDOW_STEP = 20  # frames: oneDNN keeps what it compiled for each of the last 1,024 shapes, 100 MB without a grid
_TOKENS_PER_S = 25  # twice what fast speech needs: bounds the time that a runaway decode takes


class WhisperModel:
    """A loaded model whose encoder sees the audio, a second more, and `window_s` seconds at least: stock Whisper 30.

    `decodes` counts decodes, `runaways` those that ran away and were repeated in a window of 30 s.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        window_s: float = 12.0,
        guards: Guards | None = None,
        tells_end: bool = False,
        threads: int = 1,
        workers: int = 2,
    ) -> None:
        """Load from a CTranslate2 directory: `workers` decodes may run at once, each on `threads` cores.

        Raises StageError if the directory holds no usable model, ValueError for a window outside 0 to 30 s.
        """
        if not 0 <= window_s <= _MAX_WINDOW_S:
            raise ValueError(f"encoder window {window_s:g} s is not between 0 (fits the audio) and 30 s")
        self.window_s = window_s
        self.tells_end = tells_end
        self.workers = workers
        self.guards = guards or Guards()
        self.decodes = self.runaways = 0
        self._model = _load(Path(path), threads, workers)
        tokenizer, self._suppressed = _tokenizer(self._model)
        self._tokenizer = tokenizer
        self._prompt = self._model.get_prompt(tokenizer, [], without_timestamps=True)
        self._end_marks = [token for mark in ".?!" for token in tokenizer.encode(mark)]
        self._filters = self._model.feature_extractor.mel_filters
        self._capacity = self._model.max_length - len(self._prompt)

    def warm_up(self) -> None:
        """Decode a second of hum, so that no turn pays for what the runtime allocates only once. Blocking."""
        hum = np.sin(np.arange(SAMPLE_RATE_HZ) * (2 * np.pi * 150 / SAMPLE_RATE_HZ)) * 10_000
        self.decode(hum.astype(np.int16))

    def decode(
        self, pcm: Pcm, known: Frames | None = None, *, aligned: bool = True
    ) -> tuple[tuple[Word, ...], Frames | None]:
        """The words in 16 kHz `pcm`, timed from its first sample; none if nobody speaks.

        Also the mel frames, which a decode of the same, longer audio takes as `known`. Word times come from the model,
        12 ms more, where they are to be `aligned`; else each word has its share of the audio by its letters.
        """
        if self.guards.is_silent(pcm):
            return (), None
        frames = log_mel(pcm, self._filters, known)
        self.decodes += 1
        seconds = len(frames) / _FRAMES_PER_S
        fitting = max(self.window_s, seconds + _PAD_S)
        for window_s, no_repeat in ((fitting, 0), (_MAX_WINDOW_S, 3)):
            encoded, tokens, end_probability = self._generate(frames, window_s, no_repeat)
            groups = self._words(tokens)
            if not self.guards.runs_away([text for text, _ in groups], seconds):
                timed = self._aligned(encoded, tokens, groups, len(frames)) if aligned else _spread(groups, len(frames))
                return (*timed[:-1], *(replace(w, end_probability=end_probability) for w in timed[-1:])), frames
            self.runaways += not no_repeat
        # Twice a loop: there is no text in it worth answering.
        return (), frames

    def _generate(self, frames: Frames, window_s: float, no_repeat: int) -> tuple[Any, list[int], float | None]:
        total = ceil(min(window_s, _MAX_WINDOW_S) * _FRAMES_PER_S / _WINDOW_STEP) * _WINDOW_STEP
        encoded = self._model.encode(encoder_input(frames[:total], total))
        limit = min(self._capacity, 10 + _TOKENS_PER_S * len(frames) // _FRAMES_PER_S)
        (result,) = self._model.model.generate(
            encoded,
            [self._prompt],
            beam_size=1,
            max_length=len(self._prompt) + limit,
            no_repeat_ngram_size=no_repeat,
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            return_logits_vocab=self.tells_end,
        )
        tokens: list[int] = [token for token in result.sequences_ids[0] if token < self._tokenizer.eot]
        # CTranslate2 scores are means over the tokens; Whisper's count the end token too.
        logprob = result.scores[0] * len(tokens) / (len(tokens) + 1) if tokens else 0.0
        words = [text for text, _ in self._words(tokens)]
        if self.guards.is_no_speech(result.no_speech_prob, logprob, words):
            return encoded, [], None
        return encoded, tokens, self._end_probability(tokens, result.logits[0]) if self.tells_end else None

    def _end_probability(self, tokens: Sequence[int], logits: Sequence[Any]) -> float | None:
        """The probability that the decoder gave to an end mark behind the last word; None without a word."""
        last_word = next((i for i in reversed(range(len(tokens))) if tokens[i] not in self._end_marks), None)
        if last_word is None or last_word + 1 >= len(logits):
            return None
        scores = np.asarray(logits[last_word + 1], np.float64).reshape(-1)
        odds = np.exp(scores - scores.max())
        return float(odds[self._end_marks].sum() / odds.sum())

    def _words(self, tokens: Sequence[int]) -> list[tuple[str, int]]:
        """The words of `tokens`, each with the index of its first one."""
        backend = self._tokenizer.tokenizer
        # A byte-level token that begins a word carries a "Ġ".
        starts = [i for i, token in enumerate(tokens) if not i or backend.id_to_token(token).startswith("Ġ")]
        texts = [backend.decode(tokens[a:b]).strip() for a, b in pairwise([*starts, len(tokens)])]
        return [(text, start) for text, start in zip(texts, starts, strict=True) if text]

    def _aligned(
        self, encoded: Any, tokens: list[int], groups: list[tuple[str, int]], frame_count: int
    ) -> tuple[Word, ...]:
        """Word times by dynamic time warping over the cross-attention of the model's alignment heads."""
        if not groups:
            return ()
        (aligned,) = self._model.model.align(encoded, self._tokenizer.sot_sequence, [tokens], frame_count)
        first_step: dict[int, int] = {}
        for token, step in aligned.alignments:
            first_step.setdefault(token, step)
        starts = [first_step.get(start, 0) * _SAMPLES_PER_STEP for _, start in groups]
        ends = [*starts[1:], frame_count * HOP]
        return tuple(Word(text, a, b) for (text, _), a, b in zip(groups, starts, ends, strict=True))


def _spread(groups: list[tuple[str, int]], frame_count: int) -> tuple[Word, ...]:
    letters = list(accumulate((len(text) for text, _ in groups), initial=0))
    edges = [frame_count * HOP * count // (letters[-1] or 1) for count in letters]
    return tuple(Word(text, a, b) for (text, _), (a, b) in zip(groups, pairwise(edges), strict=True))


def _load(path: Path, threads: int, workers: int) -> Any:
    from faster_whisper import WhisperModel as FasterWhisper

    try:
        return FasterWhisper(
            str(path),
            device="cpu",
            compute_type="int8",
            cpu_threads=threads,
            num_workers=workers,
            local_files_only=True,
        )
    except (RuntimeError, ValueError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise StageError(f"no faster-whisper (CTranslate2) model could be loaded from '{path}': {reason}") from error


def _tokenizer(model: Any) -> tuple[Any, tuple[int, ...]]:
    from faster_whisper.tokenizer import Tokenizer
    from faster_whisper.transcribe import get_suppressed_tokens

    tokenizer = Tokenizer(model.hf_tokenizer, model.model.is_multilingual, task="transcribe", language="en")
    return tokenizer, get_suppressed_tokens(tokenizer, [-1])
