"""PCM of 16 kHz in WAV files."""

from pathlib import Path

from pipelines.errors import InputError
from pipelines.events import SAMPLE_RATE_HZ, Pcm


def write_wav(path: Path, pcm: Pcm) -> Path:
    """Write PCM at 16 kHz, shape (samples,) or (samples, channels). Raises InputError."""
    import soundfile

    try:
        soundfile.write(path, pcm, SAMPLE_RATE_HZ, subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError) as error:
        raise InputError(f"{path} cannot be written: {error}") from None
    return path


def read_wav(path: Path) -> Pcm:
    """Read back what `write_wav` wrote."""
    import soundfile

    pcm: Pcm = soundfile.read(path, dtype="int16")[0]
    return pcm
