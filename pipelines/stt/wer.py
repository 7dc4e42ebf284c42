"""Word error rate, over OpenAI's English normal form, in which "5 dollars" is "$5" and "colour" is "color" (Radford et
al. 2022, appendix C). Independent of any engines.
"""

import re
from collections.abc import Callable, Iterable
from functools import cache

from pipelines.spoken.numbers import digits

_OKAY = re.compile(r"\bo\.?k\b\.?", re.IGNORECASE)
_ELLIPSIS = re.compile(r"\.{2,}")  # of which the library makes a word, "."
_CLOCKS_AND_GROUPS = re.compile(r"(?<=\d)[-:](?=\d)")
_LEADING_ZERO = re.compile(r"(?<![\d.,])0\d+")
_DIGITS_TOGETHER = re.compile(r"(?<=\d)(?=\d)")
_LETTERS_APART = re.compile(r"\b[a-z](?: [a-z]){2,}\b")


def scored(text: str) -> str:
    """The form in which words are scored: OpenAI's, with each digit apart and spelled letters together.

    Where a recogniser writes groups ("415-267") and where it sees a clock ("7:30") is not what is judged.
    """
    text = _CLOCKS_AND_GROUPS.sub(" ", _OKAY.sub("okay", _ELLIPSIS.sub(" ", text)))
    text = _LEADING_ZERO.sub(lambda match: digits(match.group()), text)
    normal = _DIGITS_TOGETHER.sub(" ", _normaliser()(text))
    return _LETTERS_APART.sub(lambda match: match.group().replace(" ", ""), normal).strip()


def word_error_rate(references: str | Iterable[str], hypotheses: str | Iterable[str]) -> float:
    """Substitutions, insertions and deletions over reference words, in the form of `scored`; it can exceed 1.0.

    Takes one pair or two equally long series, whose errors are summed before dividing. Without a single reference
    word it is 0.0 if nothing was heard either and 1.0 otherwise.
    """
    from rapidfuzz.distance import Levenshtein

    pairs = [(references, hypotheses)] if isinstance(references, str) else zip(references, hypotheses, strict=True)
    errors = spoken = 0
    for reference, hypothesis in pairs:
        wanted, heard = scored(reference).split(), scored(str(hypothesis)).split()
        errors += Levenshtein.distance(wanted, heard)
        spoken += len(wanted)
    if spoken:
        return errors / spoken
    return 1.0 if errors else 0.0


@cache
def _normaliser() -> Callable[[str], str]:
    from whisper_normalizer.english import EnglishTextNormalizer

    normaliser: Callable[[str], str] = EnglishTextNormalizer()
    return normaliser
