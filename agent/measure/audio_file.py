"""Audio files of any format as mono 16 kHz PCM, decoded in blocks. Independent of labels and of what is said."""

import logging
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import soundfile
import soxr

from pipelines.errors import InputError
from pipelines.events import SAMPLE_RATE_HZ, Pcm

logger = logging.getLogger(__name__)

_BLOCK_VALUES = 1 << 14  # decoded at a time, over all channels; what a damaged file loses before its damage
_FORMATS = "expected a WAV, FLAC, OGG or MP3 file"
_MAGIC = (b"RIFF", b"RIFX", b"RF64", b"fLaC", b"OggS", b"ID3")


class _Stream(soundfile.SoundFile):  # type: ignore[misc]  # soundfile publishes no types
    """A file read front to back: if it can, soundfile seeks after each block, and MP3 loses audio there."""

    def seekable(self) -> bool:
        return False


def read_audio(path: Path, max_minutes: float = 30.0) -> Pcm:
    """Mono 16 kHz PCM of any file that libsndfile reads, at any rate, depth and channel count.

    It is decoded in blocks, so only the result is held in memory. A truncated file yields what is there, with a
    warning. Raises InputError for anything that is not finite audio of at most `max_minutes`.
    """
    cut_short = _is_cut_short(path)
    try:
        file = _Stream(path)
    except (soundfile.LibsndfileError, TypeError) as error:  # TypeError: a name like x.raw
        raise InputError(f"{path}: is damaged or of an unknown kind; {_FORMATS}") from error
    with file:
        unknown = file.frames > 1 << 62  # a stream that was written without a length
        if not unknown:
            _refuse_long(path, file.frames / file.samplerate, max_minutes)
        pcm: Pcm = np.concatenate(list(_decode(path, file, max_minutes)))
        missing_s = 0 if unknown else file.frames / file.samplerate - len(pcm) / SAMPLE_RATE_HZ
    if not len(pcm):
        raise InputError(f"{path}: holds no audio (0 samples); expected a file with speech in it")
    if cut_short or missing_s > 0.01:
        logger.warning("%s is cut short; using the %.1f s that are there", path, len(pcm) / SAMPLE_RATE_HZ)
    return pcm


def _decode(path: Path, file: _Stream, max_minutes: float) -> Iterator[Pcm]:
    resampler = soxr.ResampleStream(file.samplerate, SAMPLE_RATE_HZ, 1, dtype="float32")
    done = 0
    while True:
        try:
            block = file.read(_BLOCK_VALUES // file.channels, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            if not done:
                raise InputError(f"{path}: cannot be decoded, not even its beginning; {_FORMATS}") from error
            block = np.zeros((0, file.channels), np.float32)
        finite = np.isfinite(block).all(axis=1)
        if not finite.all():
            at_s = (done + int(np.argmin(finite))) / file.samplerate
            raise InputError(f"{path}: the sample at {at_s:.3f} s is infinite or not a number; expected -1 to 1")
        done += len(block)
        _refuse_long(path, done / file.samplerate, max_minutes)
        resampled = resampler.resample_chunk(block.mean(axis=1), last=not len(block))
        yield np.clip(np.rint(resampled * 32_768), -32_768, 32_767).astype(np.int16)
        if not len(block):
            return


def _refuse_long(path: Path, seconds: float, max_minutes: float) -> None:
    if seconds > max_minutes * 60:
        raise InputError(
            f"{path}: is {seconds / 60:.1f} minutes long and replay runs in real time; "
            f"expected at most {max_minutes:g}: cut it, or raise --max-minutes"
        )


def _is_cut_short(path: Path) -> bool:
    """Whether a WAV file is shorter than its header says. Raises InputError if it cannot be an audio file."""
    try:
        if path.is_dir():
            raise InputError(f"{path}: is a directory; expected the audio files in it")
        if path.exists() and not path.is_file():
            raise InputError(f"{path}: is not a regular file; {_FORMATS}")
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(8)
    except FileNotFoundError as error:
        raise InputError(f"{path}: does not exist; {_FORMATS}") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror}); {_FORMATS}") from error
    if not size:
        raise InputError(f"{path}: is empty (0 bytes); {_FORMATS}")
    # libsndfile would try anything else as MP3 or, by its file name, as headerless audio.
    if not head.startswith(_MAGIC) and not (head[0] == 0xFF and head[1:2] >= b"\xe0"):
        raise InputError(f"{path}: does not begin like an audio file; {_FORMATS}")
    declared = int.from_bytes(head[4:8], "little") + 8
    streamed = declared > 0x7FFF_0000  # written to a pipe, without knowing the length
    return head.startswith(b"RIFF") and not streamed and declared > size
