"""Token deltas to speakable units: sentences, handed over the moment their end is certain.

Every decision looks only at the text up to the character at hand, so the units do not depend on how the stream was cut
into deltas. Pure: no clock and no I/O. It knows punctuation, Markdown code and where a run-on may be cut; it does not
know abbreviations (`full_stop`), how a unit is read aloud (`speakable`) or who synthesizes it.
"""

import re
from typing import Literal

from pipelines.spoken.full_stop import FullStop, ends_before, full_stop

MAX_UNIT_CHARS = 240
"""About 15 s of speech: a reply without a sentence end is cut here at the latest."""

MIN_CLAUSE_CHARS = 20
"""A shorter first clause (under about 1.3 s of speech) would be over before the next unit has been synthesized."""

_CERTAIN = "?!。！？．"
_CLOSERS = "\"'”’»)]}*_~`"
_CLOSING_QUOTES = '"”»'
_OPENERS = "([{<¿¡“‘«"
_WEB_TOKEN = re.compile(r"://|(?:^|\W)www\.|\w\.[a-z]{2,}/", re.IGNORECASE)
# A comma after a digit may be inside a date ("March 3, 2026").
_CLAUSE_END = re.compile(r"(?:(?<!\d),|[;:—–]|\s-)(?=\s)")

FirstUnit = Literal["sentence", "clause"]
"""What speech begins with."""


class SentenceSplitter:
    """Cuts one reply into units; make a new one for each reply.

    With `first_unit="clause"` the very first unit may end at a clause boundary. Units keep their Markdown, are stripped
    of surrounding space and hold at least one letter or digit. Fenced code blocks are left out: nobody wants them read.
    """

    def __init__(self, first_unit: FirstUnit = "sentence") -> None:
        self._clause_will_do = first_unit == "clause"
        self._text = ""  # the unit being collected
        self._ready: list[str] = []
        self._doubt: tuple[int, FullStop] | None = None  # a full stop in `_text` that the word after it will settle
        self._word_after = ""
        self._just_ended = False  # at a mark that is certain: what closes the sentence behind it is silent and skipped
        self._in_fence = False

    def push(self, delta: str) -> list[str]:
        """Take more text; return the units whose end is now certain, in order."""
        for char in delta:
            self._accept(char)
        ready, self._ready = self._ready, []
        return ready

    def flush(self) -> list[str]:
        """The stream has ended: return what is left."""
        self._end_line()
        self._in_fence = False
        return self.push("")

    def _accept(self, char: str) -> None:
        if self._just_ended and char in _CLOSERS + _CERTAIN + ".…":
            return
        self._just_ended = False
        if char == "\n":
            self._end_line()
            return
        if not self._text and char.isspace():
            return
        self._text += char
        if self._in_fence:
            return
        if self._doubt:
            self._settle(char)
        self._look_for_end(char)
        if len(self._text) > MAX_UNIT_CHARS:
            self._cut(self._doubt[0] if self._doubt else _run_on_cut(self._text))

    def _end_line(self) -> None:
        line = self._text.strip()
        is_fence = line.startswith("```") and line.count("```") == 1
        if is_fence or self._in_fence:
            self._in_fence ^= is_fence
            self._text = ""
        self._cut(len(self._text))

    def _settle(self, char: str) -> None:
        """Settle the full stop in doubt, if `char` tells enough about the word after it."""
        assert self._doubt is not None
        position, stop = self._doubt
        if char.isalnum():
            self._word_after += char
        elif not self._word_after:
            return
        ends = ends_before(stop, self._word_after, "" if char.isalnum() else char)
        if ends is not None:
            self._doubt = None
        if ends:
            self._cut(position)

    def _look_for_end(self, char: str) -> None:
        """End the unit at `char`, its last character, if that is certain."""
        before = self._text[:-1]
        if not (char.isspace() or char in _CERTAIN or char in _CLOSING_QUOTES) or _in_inline_code(before):
            return
        if char.isspace():
            self._look_before_space(before)
        elif char in _CERTAIN:
            if _is_sentence_mark(before, char):
                self._end_at_mark()
        elif _is_quoted_end(before):
            self._end_at_mark()

    def _look_before_space(self, before: str) -> None:
        core = before.rstrip(_CLOSERS)
        if _in_inline_code(core):
            return
        if core.endswith(("..", "…")):
            self._leave_in_doubt(before, FullStop.END_IF_CAPITAL)
        elif core.endswith(tuple(_CERTAIN)):
            self._cut(len(before))
        elif core.endswith("."):
            match full_stop(core[:-1]):
                case FullStop.END:
                    self._cut(len(before))
                case FullStop.GOES_ON:
                    pass
                case stop:
                    self._leave_in_doubt(before, stop)
        elif (
            self._clause_will_do and len(before) >= MIN_CLAUSE_CHARS and _CLAUSE_END.search(self._text, len(before) - 2)
        ):
            self._cut(len(before))

    def _leave_in_doubt(self, before: str, stop: FullStop) -> None:
        self._doubt = (len(before), stop)
        self._word_after = ""

    def _end_at_mark(self) -> None:
        self._cut(len(self._text))
        self._just_ended = True

    def _cut(self, end: int) -> None:
        unit, self._text = self._text[:end].strip(), self._text[end:].lstrip()
        self._doubt = None
        if any(char.isalnum() for char in unit):
            self._ready.append(unit)
            self._clause_will_do = False


def _in_inline_code(text: str) -> bool:
    return text.count("`") % 2 == 1


def _is_sentence_mark(before: str, mark: str) -> bool:
    """Whether `mark` ends a sentence at once: not in an address, nor an operator (`a != b`) or the `!` of an image."""
    if mark not in "?!":
        return True
    token = before.rsplit(None, 1)[-1] if before and not before[-1].isspace() else ""
    return token[-1:] not in ("", *_OPENERS) and not _WEB_TOKEN.search(token)


def _is_quoted_end(before: str) -> bool:
    """Whether a quote that closes behind `before` ends the sentence; no number follows one, so `"No."` is an answer."""
    is_full_stop = before.endswith(".") and not before.endswith("..")
    return is_full_stop and full_stop(before[:-1]) in (FullStop.END, FullStop.END_IF_CAPITAL)


def _run_on_cut(text: str) -> int:
    """Where to cut a unit that has grown too long: its last clause, else its last word, else its length allowed."""
    earliest = MAX_UNIT_CHARS // 3
    clauses = [found.end() for found in _CLAUSE_END.finditer(text, earliest, MAX_UNIT_CHARS)]
    if clauses:
        return clauses[-1]
    space = text.rfind(" ", earliest, MAX_UNIT_CHARS)
    return space if space > 0 else MAX_UNIT_CHARS
