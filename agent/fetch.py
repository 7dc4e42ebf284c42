"""Downloading larger speech models, and finding those that have been: faster-whisper models and Piper voices.

Everything goes through huggingface_hub: its cache, its resumption of a cut transfer, its `HF_ENDPOINT`; a file
appears in the cache only when it is whole. It knows nothing of what the models do.
"""

import errno
import hashlib
import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.errors import DownloadError, InputError

if TYPE_CHECKING:
    from rich.console import Console

_VOICES_REPOSITORY = "rhasspy/piper-voices"
_VOICES_INDEX = "voices.json"
_WHISPER_FILES = re.compile(r"(config|preprocessor_config|tokenizer)\.json|vocabulary\.\w+|model\.bin")
_WHISPER_ESSENTIAL = ("config.json", "tokenizer.json", "model.bin")
_SPARE_BYTES = 100_000_000  # left free on the disk
_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Hub:
    """Where models come from and where they are kept; None means huggingface_hub's own environment and default."""

    endpoint: str | None = None
    cache: Path | None = None

    @classmethod
    def from_environment(cls) -> "Hub":
        """`HF_ENDPOINT` and `HF_HUB_CACHE` as they are now, not as they were when huggingface_hub was imported."""
        cache = os.environ.get("HF_HUB_CACHE")
        return cls(os.environ.get("HF_ENDPOINT") or None, Path(cache) if cache else None)


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file in a repository of the hub; its size, and its MD5 digest where the repository states one."""

    repository: str
    path: str
    size_bytes: int
    md5: str | None = None


# ---------------------------------------------------------------- what the commands call


def fetch_models(specs: Sequence[str], console: "Console", hub: Hub | None = None) -> None:
    """Download each `whisper:SIZE` and `piper:VOICE` that is not here yet. Raises InputError or DownloadError."""
    hub = hub or Hub.from_environment()
    parsed = [_parse(spec) for spec in specs]
    for kind, name in parsed:
        files = _whisper_files(name, hub) if kind == "whisper" else _voice_files(name, hub)
        missing = [file for file in files if _cached(file, hub) is None]
        size = _megabytes(sum(file.size_bytes for file in files))
        if missing:
            _download(f"{kind}:{name}", missing, hub, console)
        verb = "is fetched" if missing else "is already here"
        console.print(f"{kind}:{name} {verb} ({size})", soft_wrap=True)


def list_models(console: "Console", hub: Hub | None = None) -> None:
    """Print what can be fetched and what is here."""
    hub = hub or Hub.from_environment()
    here = fetched_whispers(hub)
    for name in _whisper_repositories():
        console.print(f"whisper:{name}{'  (here)' if name in here else ''}")
    for name in fetched_voices(hub):
        console.print(f"piper:{name}  (here)")
    console.print("piper:VOICE for any other Piper voice, such as piper:en_US-lessac-medium", soft_wrap=True)


def whisper_path(name: str, hub: Hub | None = None) -> Path:
    """The directory of a faster-whisper model: a local path, else a size or repository, downloaded if need be."""
    if (local := Path(name).expanduser()).is_dir():
        return local
    hub = hub or Hub.from_environment()
    repository = _whisper_repository(name)
    paths = [_in_cache(repository, file, hub) for file in _WHISPER_ESSENTIAL]
    if not all(paths):
        fetch_models([f"whisper:{name}"], _stderr(), hub)
        paths = [_in_cache(repository, "model.bin", hub)]
    assert paths[-1] is not None
    return paths[-1].parent


def voice_path(name: str, hub: Hub | None = None) -> Path:
    """The .onnx file of a Piper voice: a local path, else a voice name, downloaded if it is not here yet."""
    if name.endswith(".onnx"):
        if (local := Path(name).expanduser()).is_file():
            return local
        raise InputError(f"tts 'piper:{name}': there is no such file; right would be a voice's .onnx file or its name")
    hub = hub or Hub.from_environment()
    if name not in fetched_voices(hub):
        fetch_models([f"piper:{name}"], _stderr(), hub)
    onnx = next(file for file in _voice_files(name, hub, local_only=True) if file.path.endswith(".onnx"))
    path = _cached(onnx, hub)
    assert path is not None
    return path


def fetched_whispers(hub: Hub | None = None) -> list[str]:
    """The sizes that are here whole, smallest model first."""
    hub = hub or Hub.from_environment()
    found: dict[str, int] = {}
    for name, repository in _whisper_repositories().items():
        paths = [_in_cache(repository, file, hub) for file in _WHISPER_ESSENTIAL]
        if all(paths) and paths[-1] is not None:
            found[name] = paths[-1].stat().st_size
    return sorted(found, key=lambda name: found[name])


def fetched_voices(hub: Hub | None = None) -> list[str]:
    """The Piper voices that are here whole."""
    hub = hub or Hub.from_environment()
    index = _in_cache(_VOICES_REPOSITORY, _VOICES_INDEX, hub)
    if index is None:
        return []
    voices = json.loads(index.read_text(encoding="utf-8"))
    return sorted(name for name in voices if all(_cached(file, hub) is not None for file in _files_of(voices[name])))


# ---------------------------------------------------------------- what belongs to a model


def _parse(spec: str) -> tuple[str, str]:
    kind, _, name = spec.partition(":")
    if kind not in ("whisper", "piper") or not name:
        raise InputError(f"model '{spec}' is not one of: 'whisper:SIZE', 'piper:VOICE'")
    if kind == "whisper":
        _whisper_repository(name)
    return kind, name


def _whisper_repositories() -> dict[str, str]:
    # faster-whisper publishes the names but not the repositories behind them.
    from faster_whisper.utils import _MODELS

    return dict(_MODELS)


def _whisper_repository(name: str) -> str:
    if re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name):
        return name
    repositories = _whisper_repositories()
    if name not in repositories:
        raise InputError(f"'whisper:{name}' is neither a directory nor one of: {', '.join(repositories)}")
    return repositories[name]


def _whisper_files(name: str, hub: Hub) -> list[RemoteFile]:
    from huggingface_hub import HfApi

    repository = _whisper_repository(name)
    if all(_in_cache(repository, file, hub) for file in _WHISPER_ESSENTIAL):
        here = [_in_cache(repository, file, hub) for file in _WHISPER_ESSENTIAL]
        return [RemoteFile(repository, path.name, path.stat().st_size) for path in here if path]
    with _Explained(f"whisper:{name}", hub):
        info = HfApi(endpoint=hub.endpoint).model_info(repository, files_metadata=True, timeout=_TIMEOUT_S)
    siblings = [file for file in info.siblings or [] if _WHISPER_FILES.fullmatch(file.rfilename)]
    if not any(file.rfilename == "model.bin" for file in siblings):
        raise InputError(
            f"'whisper:{name}' holds no model.bin; right would be a CTranslate2 model such as 'whisper:base.en'"
        )
    # The weights last: where they are, all is.
    files = [RemoteFile(repository, file.rfilename, file.size or 0) for file in siblings]
    return sorted(files, key=lambda file: file.size_bytes)


def _voice_files(name: str, hub: Hub, *, local_only: bool = False) -> list[RemoteFile]:
    from huggingface_hub import HfApi, hf_hub_download

    with _Explained(f"piper:{name}", hub):
        if not local_only:  # a download would try an unreachable hub for half a minute, this does so once
            HfApi(endpoint=hub.endpoint).model_info(_VOICES_REPOSITORY, timeout=_TIMEOUT_S)
        index = hf_hub_download(
            _VOICES_REPOSITORY, _VOICES_INDEX, endpoint=hub.endpoint, cache_dir=hub.cache, local_files_only=local_only
        )
    voices: dict[str, Any] = json.loads(Path(index).read_text(encoding="utf-8"))
    if name not in voices:
        family = [voice for voice in voices if voice.startswith(name[:5])] or list(voices)
        raise InputError(f"'piper:{name}' is not a Piper voice; some are: {', '.join(family[:8])}")
    return _files_of(voices[name])


def _files_of(voice: dict[str, Any]) -> list[RemoteFile]:
    files = [
        RemoteFile(_VOICES_REPOSITORY, path, facts["size_bytes"], facts.get("md5_digest"))
        for path, facts in voice["files"].items()
        if path.endswith((".onnx", ".onnx.json"))
    ]
    return sorted(files, key=lambda file: file.size_bytes)


# ---------------------------------------------------------------- the cache and the download


def _in_cache(repository: str, path: str, hub: Hub) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(repository, path, cache_dir=hub.cache)
    return Path(found) if isinstance(found, str) else None


def _cached(file: RemoteFile, hub: Hub) -> Path | None:
    return _in_cache(file.repository, file.path, hub)


def _download(label: str, files: Iterable[RemoteFile], hub: Hub, console: "Console") -> None:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.utils import logging as hub_logging
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    files = list(files)
    total = sum(file.size_bytes for file in files)
    cache = hub.cache or Path(constants.HF_HUB_CACHE)
    _check_space(label, total, cache)
    hub_logging.set_verbosity(logging.ERROR)  # it tells of every retry, across the progress bar
    numbers = DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    with Progress(TextColumn("{task.description}"), BarColumn(), *numbers, console=console) as progress:
        task = progress.add_task(label, total=total)
        for file in files:
            with _Explained(label, hub):
                path = Path(
                    hf_hub_download(
                        file.repository,
                        file.path,
                        endpoint=hub.endpoint,
                        cache_dir=cache,
                        tqdm_class=_advancing(lambda count: progress.advance(task, count)),
                    )
                )
            _check_digest(label, file, path)


def _check_space(label: str, needed: int, cache: Path) -> None:
    folder = next(parent for parent in (cache, *cache.parents) if parent.exists())
    free = shutil.disk_usage(folder).free
    if free < needed + _SPARE_BYTES:
        raise InputError(
            f"{label} needs {_megabytes(needed)} in '{cache}', where {_megabytes(free)} are free;"
            " right would be more room, or HF_HUB_CACHE on another disk"
        )


def _check_digest(label: str, file: RemoteFile, path: Path) -> None:
    if file.md5 is None:
        return
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "md5").hexdigest()
    if digest != file.md5:
        path.resolve().unlink()
        path.unlink(missing_ok=True)
        raise DownloadError(f"{label}: {path.name} arrived damaged (MD5 {digest}, expected {file.md5}); fetch it again")


def _advancing(advance: Callable[[int], None]) -> type[Any]:
    """What huggingface_hub takes for a progress bar: it reports bytes here instead of drawing."""
    from tqdm import tqdm  # type: ignore[import-untyped]  # it publishes no type information

    class Reporting(tqdm):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> bool | None:
            advance(int(n or 0))
            return None

    return Reporting


class _Explained:
    """Turns the hub's faults into one line that says what could not be had, and what to do instead."""

    def __init__(self, label: str, hub: Hub) -> None:
        self._label = label
        self._hub = hub

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> None:
        from huggingface_hub import constants
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

        if error is None or not isinstance(error, Exception):
            return
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EACCES, errno.EROFS, errno.EDQUOT):
            raise InputError(
                f"{self._label} could not be kept: {error.strerror} ('{error.filename}'); right would be a writable"
                " HF_HUB_CACHE with room"
            ) from error
        endpoint = self._hub.endpoint or constants.ENDPOINT
        if isinstance(error, RepositoryNotFoundError) or (
            isinstance(error, EntryNotFoundError) and not isinstance(error, LocalEntryNotFoundError)
        ):
            raise DownloadError(
                f"{self._label} does not exist on {endpoint} (404); `quickturn fetch --list` names some"
            ) from error
        flag, path = ("--stt", "whisper:PATH") if self._label.startswith("whisper") else ("--tts", "piper:PATH.onnx")
        raise DownloadError(
            f"{self._label} could not be downloaded: {endpoint} did not answer ({_reason(error)}); use {flag} embedded,"
            f" a local {flag} {path}, or set HF_ENDPOINT to a mirror"
        ) from error


def _reason(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return (str(error).splitlines() or [type(error).__name__])[0]


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False)
