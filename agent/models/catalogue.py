"""The catalogue of speech models, read from configs/speech.toml: files by size and hash, their licence, their sources.

It knows the shape of the file and how to say what is wrong with it, and nothing of how models are fetched or used.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from agent.system.resources import shipped
from pipelines.toml_file import read_toml, validated


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file of a model. `sha256` is 64 hexadecimal digits, or empty where its source states none."""

    name: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class HubSource:
    """A repository of the model hub at a revision, and the folder in it, "" for its top."""

    repository: str
    revision: str
    folder: str = ""


@dataclass(frozen=True, slots=True)
class WheelSource:
    """A package of the Python index (NAME==VERSION), the size of its wheel, and the folder in it."""

    requirement: str
    size_bytes: int
    folder: str


@dataclass(frozen=True, slots=True)
class SpeechModel:
    """A model that can be fetched. `name` is KIND:NAME; those of the `default` set are what a fresh machine needs."""

    name: str
    licence: str
    files: tuple[ModelFile, ...]
    hub: HubSource
    wheel: WheelSource | None = None
    about: str = ""
    default: bool = False

    @property
    def size_bytes(self) -> int:
        """Of all its files."""
        return sum(file.size_bytes for file in self.files)


_Text = Annotated[str, StringConstraints(min_length=1)]
_Size = Annotated[int, Field(gt=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _File(_Strict):
    name: Annotated[str, StringConstraints(pattern=r"^[\w][\w.-]*$")]
    size_bytes: _Size
    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class _Hub(_Strict):
    repository: Annotated[str, StringConstraints(pattern=r"^[\w.-]+/[\w.-]+$")]
    revision: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]
    folder: str = ""


class _Wheel(_Strict):
    requirement: Annotated[str, StringConstraints(pattern=r"^[\w.-]+==[\w.!+]+$")]
    size_bytes: _Size
    folder: _Text


class _Model(_Strict):
    licence: _Text
    files: Annotated[list[_File], Field(min_length=1)]
    hub: _Hub
    wheel: _Wheel | None = None
    about: str = ""
    default: bool = False


class _Catalogue(_Strict):
    whisper: dict[str, _Model] = {}
    piper: dict[str, _Model] = {}
    turn: dict[str, _Model] = {}


_EXPECTED = {
    "sha256": "64 hexadecimal digits",
    "revision": "a commit, 40 hexadecimal digits",
    "repository": "OWNER/NAME",
    "requirement": "NAME==VERSION",
    "name": "a plain file name",
}


@cache
def speech_catalogue() -> dict[str, SpeechModel]:
    """The shipped models by name."""
    return read_speech_catalogue(shipped("configs") / "speech.toml")


def read_speech_catalogue(path: Path) -> dict[str, SpeechModel]:
    """The models of a file by name. Raises InputError for an unreadable file, ConfigError for its content."""
    raw = read_toml(path, "catalogue of speech models")
    catalogue = validated(_Catalogue, raw, str(path), expected=_EXPECTED)
    kinds = {"whisper": catalogue.whisper, "piper": catalogue.piper, "turn": catalogue.turn}
    return {
        f"{kind}:{name}": _model(f"{kind}:{name}", entry)
        for kind, models in kinds.items()
        for name, entry in models.items()
    }


def _model(name: str, entry: _Model) -> SpeechModel:
    return SpeechModel(
        name,
        entry.licence,
        tuple(ModelFile(**dict(file)) for file in entry.files),
        HubSource(**dict(entry.hub)),
        WheelSource(**dict(entry.wheel)) if entry.wheel else None,
        entry.about,
        entry.default,
    )
