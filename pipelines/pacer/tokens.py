"""Cuts text into tokens roughly as a byte-pair tokenizer cuts plain English. Pure.

A word goes with the space before it, punctuation stands alone, digits come in groups of three (as in Llama 3 and
GPT-4), and long words fall in two. On spoken English that gives about 1.2 tokens per word, punctuation included.
"""

import re

_TOKEN = re.compile(r" ?[^\W\d_]{1,10}(?:'[a-z]{1,2}\b)?| ?\d{1,3}|\s|[^\w\s]|_")


def split_tokens(text: str) -> list[str]:
    """The tokens of `text`; joined they are `text` again."""
    return _TOKEN.findall(text)
