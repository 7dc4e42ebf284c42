"""The folder where fetched speech models lie, each in one of its own that appears only when it is whole.

    QUICKTURN_MODELS, else XDG_CACHE_HOME/quickturn/models, else ~/.cache/quickturn/models
    ├── whisper-tiny.en/        its files, and origin.json: where they came from, their licence, sizes and hashes
    ├── .whisper-tiny.en/       while it is being fetched: where it is put together
    ├── .whisper-tiny.en.lock   one process fetches, others wait
    └── cuts-1/                 voices cut for an early start, by hash: pipelines.tts.cut_cache

Independent of where models come from or what they do.
"""

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.models.catalogue import ModelFile

_ORIGIN = "origin.json"


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the files of a model came from."""

    name: str
    source: str
    licence: str
    files: tuple[ModelFile, ...]


def store() -> Path:
    """The folder of all models, as the environment names it now."""
    if own := os.environ.get("QUICKTURN_MODELS"):
        return Path(own).expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "quickturn" / "models"


def folder_of(name: str) -> Path:
    """Where the model of that name lies, or would."""
    return store() / _plain(name)


def workshop_of(name: str) -> Path:
    """The folder in which it is put together, on the same disk."""
    return store() / f".{_plain(name)}"


def lock_of(name: str) -> Path:
    """The file to lock meanwhile."""
    return store() / f".{_plain(name)}.lock"


def _plain(name: str) -> str:
    return name.replace(":", "-", 1).replace("/", "--")


def names_here(kind: str) -> list[str]:
    """The models of that kind that are here whole, by the names they were fetched under."""
    origins = (_read(path) for path in sorted(store().glob(f"{kind}-*/{_ORIGIN}")))
    return [origin.name for origin in origins if origin and fault_of(origin.name) is None]


def origin_of(name: str) -> Origin | None:
    """Where the model came from; None if it is not here."""
    return _read(folder_of(name) / _ORIGIN)


def _read(path: Path) -> Origin | None:
    try:
        raw = json.loads(path.read_text("utf-8"))
        return Origin(raw["name"], raw["source"], raw["licence"], tuple(ModelFile(**file) for file in raw["files"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def fault_of(name: str, expected: Sequence[ModelFile] | None = None, *, hashes: bool = False) -> str | None:
    """Why the model cannot be used as it lies here; None if it can. Sizes are looked at, and `hashes` if wished.

    `expected` are its files by the catalogue, by default those that were fetched.
    """
    origin = origin_of(name)
    if origin is None:
        return "it is not here"
    if expected is not None and tuple(expected) != origin.files:
        return "what is here is not the version that is in the catalogue"
    faults = (fault_in(folder_of(name), file, hashes=hashes) for file in origin.files)
    return next((fault for fault in faults if fault), None)


def fault_in(folder: Path, file: ModelFile, *, hashes: bool) -> str | None:
    """What is wrong with one file."""
    path = folder / file.name
    if not path.is_file():
        return f"{file.name} is missing"
    if (size := path.stat().st_size) != file.size_bytes:
        return f"{file.name} has {size:,} bytes, expected {file.size_bytes:,}"
    if hashes and file.sha256:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        if digest != file.sha256:
            return f"{file.name} is damaged: SHA-256 {digest[:12]}…, expected {file.sha256[:12]}…"
    return None


def put_in_place(folder: Path, origin: Origin) -> None:
    """Make the origin's files in `folder`, somewhere in the workshop, the model, in the place of what may lie there."""
    target, workshop = folder_of(origin.name), workshop_of(origin.name)
    finished = workshop / "finished"
    finished.mkdir()
    for file in origin.files:
        (folder / file.name).replace(finished / file.name)
    (finished / _ORIGIN).write_text(json.dumps(asdict(origin), indent=1), encoding="utf-8")
    if target.exists():
        target.replace(workshop / "old")
    finished.replace(target)
