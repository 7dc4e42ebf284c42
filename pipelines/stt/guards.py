"""Is this decode speech, or did the model make it up? Pure checks on audio level, probabilities and text.

The compression ratio is Whisper's own (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak
Supervision", section 4.5), and so are the two signals of speech, which it compares with 0.6 and -1 one by one.
Together they divide better: what tiny.en makes of laughter scores 0.79 to 0.94, one-word answers in 26 voices at most
0.65. Independent of models or turns.
"""

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.events import SAMPLE_RATE_HZ, Pcm

_WEIGHT_OF_WORDS = 0.25
_SUBTITLES = frozenset(
    {
        "thank you for watching",
        "thanks for watching",
        "thank you so much for watching",
        "please subscribe",
        "please subscribe to my channel",
        "like and subscribe",
        "subtitles by the amara org community",
    }
)
"""What Whisper has learnt from subtitles and writes where many people murmur; nobody says it to an agent."""

_COURTESIES = frozenset({"thank you", "thank you very much", "thanks", "you", "bye", "bye bye"})

_SYLLABLE_LOOP = re.compile(r"(\w{2,5}?)\1{3,}")


@dataclass(frozen=True, slots=True)
class Guards:
    """When a decode is not believed.

    Audio whose loudest 20 ms stay under `min_level_dbfs` is not decoded at all. A decode is empty if its no-speech
    probability is over `max_no_speech`: as it stands where the mean log probability is -1, and a quarter less for each
    1 that it is over that. A courtesy that Whisper likes to make up of a murmur, "Thank you.", is held to the stricter
    `max_no_speech_of_courtesies`: spoken, they score at most 0.38, out of babble 0.6. A decode runs away if it repeats
    itself, compresses better than `max_compression`, or holds more than `max_words_per_s`.
    """

    min_level_dbfs: float = -60.0
    max_no_speech: float = 0.7
    max_no_speech_of_courtesies: float = 0.5
    max_compression: float = 2.4
    max_words_per_s: float = 9.0

    def is_silent(self, pcm: Pcm) -> bool:
        """No 20 ms of `pcm` (16 kHz) reach the least level of speech."""
        hop = SAMPLE_RATE_HZ // 50
        whole = pcm[: len(pcm) // hop * hop].astype(np.float32).reshape(-1, hop)
        if not len(whole):
            return True
        loudest = float(np.sqrt(np.square(whole).mean(axis=1).max())) / 32768
        return loudest < 10 ** (self.min_level_dbfs / 20)

    def is_no_speech(self, no_speech: float, mean_logprob: float, words: Sequence[str]) -> bool:
        """The model says that nobody spoke, and its words do not outweigh that; or they are those of subtitles."""
        text = " ".join(re.findall(r"[a-z]+", " ".join(words).lower()))
        limit = self.max_no_speech_of_courtesies if text in _COURTESIES else self.max_no_speech
        return text in _SUBTITLES or no_speech - _WEIGHT_OF_WORDS * (1 + mean_logprob) > limit

    def runs_away(self, words: Sequence[str], seconds: float) -> bool:
        """The text is a loop, or more than a mouth says in `seconds`."""
        # The four words spare a short command at the very end of a clip from the rate.
        return len(words) > 4 + self.max_words_per_s * seconds or loops(words) or self._compresses(" ".join(words))

    def _compresses(self, text: str) -> bool:
        raw = text.encode()
        return len(raw) > self.max_compression * len(zlib.compress(raw))


def loops(words: Sequence[str]) -> bool:
    """A phrase of two to four words three times in a row, one word six times, or a syllable four times within a word.

    One word is allowed more, because telephone numbers hold "five five five".
    """
    plain = [part for word in words for part in word.lower().strip(".,?!…").split("-")]
    return any(_repeats(plain, size, 6 if size == 1 else 3) for size in range(1, 5)) or any(
        _SYLLABLE_LOOP.search(word) for word in plain
    )


def _repeats(words: list[str], size: int, times: int) -> bool:
    span = size * times
    return any(words[i : i + span] == words[i : i + size] * times for i in range(len(words) - span + 1))
