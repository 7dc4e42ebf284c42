"""Markdown, HTML and emoji to plain text: what a reader would see, without what only a screen can show.

It works on one unit or one whole reply alike and forgives marks that were opened and never closed. It does not know how
anything is pronounced.
"""

import re
from html import unescape

_FENCE = re.compile(r"^[ \t]*```[^\n]*\n.*?(?:^[ \t]*```[^\n]*$|\Z)|```.*?(?:```|\Z)", re.MULTILINE | re.DOTALL)
_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]]*)\](?:\([^()\s]*(?:\([^()]*\)[^()\s]*)?(?:\s+\"[^\"]*\")?\)|\[[^\[\]]*\])")
_AUTOLINK = re.compile(r"<((?:https?://|mailto:|www\.)[^<>\s]+|[^<>\s@]+@[^<>\s]+)>")
_CITATION = re.compile(r"\s?\[\^?\d+\]")
_TABLE_RULE = re.compile(r"^[ \t]*\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t]*:?-{2,}:?[ \t]*)*\|?[ \t]*$", re.MULTILINE)
_TABLE_EDGE = re.compile(r"^[ \t]*\|[ \t]*|[ \t]*\|[ \t]*$", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_=][ \t]*){3,}$", re.MULTILINE)
_LINE_START = re.compile(r"^[ \t]*(?:#{1,6}[ \t]+|>[ \t]?|[-*+•‣▪–][ \t]+(?:\[[ xX]\][ \t]+)?)+", re.MULTILINE)
_LIST_NUMBER = re.compile(r"^([ \t*_]*\d{1,3})[.)]([*_]*)[ \t]+(?=\S)", re.MULTILINE)
_HEADING_END = re.compile(r"[ \t]+#+[ \t]*$", re.MULTILINE)
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>")
_ESCAPE = re.compile(r"\\([^\w\s])")
_STARS = re.compile(r"(?<=\d)\s?\*\s?(?=\d)")
_MARKS = re.compile(r"\*+|~~+|`+|(?<!\w)_+(?=\w)|(?<=\w)_+(?!\w)")
_EMOJI = re.compile(
    "["
    "\U0001f000-\U0001faff\U000e0020-\U000e007f"  # pictographs, flags, tags
    "\u2600-\u27bf\u2b00-\u2bff\u2300-\u23ff\u25a0-\u25ff"  # symbols, dingbats, clocks, shapes
    "\ufe0e\ufe0f\u200d\u20e3"  # what joins and varies them
    "©®™\u200b\u200c\u2060\ufeff]"
)


def plain_text(text: str) -> str:
    """Links, code spans and table cells keep their text; code blocks, rules, markers, tags and emoji go.

    A numbered item's "1." becomes "1,", so that a synthesizer does not take it for a sentence of its own.
    """
    if "```" in text:
        text = _FENCE.sub(" ", text)
    text = _AUTOLINK.sub(r"\1", text)
    if "[" in text:
        text = _CITATION.sub("", _IMAGE_OR_LINK.sub(r"\1", text))
    if "|" in text:
        text = _TABLE_EDGE.sub("", _TABLE_RULE.sub("", text)).replace("|", ", ")
    text = _LINE_START.sub("", _RULE.sub("", text))
    text = _LIST_NUMBER.sub(r"\1,\2 ", text)
    text = _HEADING_END.sub("", text)
    if "<" in text or "&" in text:
        text = unescape(_TAG.sub(" ", text))
    text = _ESCAPE.sub(r"\1", text)
    if any(mark in text for mark in "*_`~"):
        text = _MARKS.sub("", _STARS.sub(" times ", text))
    return _EMOJI.sub("", text)
