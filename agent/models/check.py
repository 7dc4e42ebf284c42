"""What is wrong with the files of a speech model, said before a library says it in its own words.

It loads none of them, so weights that are damaged inside are found by whoever does.
"""

import json
from pathlib import Path

from pipelines.errors import InputError

_VOCABULARIES = ("vocabulary.txt", "vocabulary.json")
_ENGLISH_TOKENS = 51_864
"""Tokens of the English-only Whispers; the multilingual ones have at least one more."""


def check_whisper(spec: str, folder: Path) -> None:
    """Raise InputError unless `folder` holds the files of an English Whisper for CTranslate2."""
    vocabulary = next((folder / name for name in _VOCABULARIES if _has_content(folder / name)), None)
    lacking = [name for name in ("model.bin", "config.json", "tokenizer.json") if not _has_content(folder / name)]
    lacking += [] if vocabulary else [" or ".join(_VOCABULARIES)]
    if vocabulary is None or lacking:
        raise InputError(
            f"stt '{spec}': {lacking[0]} is missing in '{folder}'; expected an English Whisper for CTranslate2, such as"
            " 'whisper:tiny.en'"
        )
    if _count(spec, vocabulary) > _ENGLISH_TOKENS:
        raise InputError(
            f"stt '{spec}' is multilingual, and this agent speaks English; expected an English model, such as"
            " 'whisper:tiny.en'"
        )


def check_voice(spec: str, onnx: Path) -> None:
    """Raise InputError unless the voice's configuration lies beside its .onnx file."""
    beside = Path(f"{onnx}.json")
    if not beside.is_file():
        raise InputError(f"tts '{spec}': {beside.name} is missing in '{beside.parent}'; expected it beside the voice")
    try:
        config = json.loads(beside.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"tts '{spec}': {beside.name} is not JSON: {error}") from error
    if not isinstance(config, dict) or "audio" not in config:
        raise InputError(f"tts '{spec}': {beside.name} is not a Piper configuration; expected a key 'audio' in it")


def _has_content(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _count(spec: str, vocabulary: Path) -> int:
    """How many tokens a vocabulary has: a line each, or an item each."""
    try:
        text = vocabulary.read_text("utf-8")
        return len(json.loads(text)) if vocabulary.suffix == ".json" else text.count("\n")
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"stt '{spec}': {vocabulary.name} cannot be read: {error}") from error
