"""Where the embedded speech models lie: package data, so an installed wheel works too. It loads nothing.

A model card beside this file (whisper-micro-en.md, piper.md) says how the models were made, what they scored and
where they fail.
"""

from importlib.resources import files
from pathlib import Path

_HERE = Path(str(files(__package__)))

WHISPER_MICRO_EN = _HERE / "whisper-micro-en"
"""CTranslate2 directory of the embedded Whisper-architecture English model."""

PIPER_VOICES = {name: _HERE / "piper" / f"en_US-{name}-low.onnx" for name in ("micro", "micro_slt", "nano")}
"""Embedded Piper voices by short name; each has its configuration beside it."""
