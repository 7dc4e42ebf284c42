"""What a run leaves in its `--out` folder: the two-track WAVs, the trace, the report with its pictures."""

from collections.abc import Sequence
from pathlib import Path

from agent.measure.replay import Replayed
from agent.report import write_pictures, write_report
from pipelines.errors import InputError
from pipelines.events import SAMPLE_RATE_HZ, Pcm
from pipelines.stopwatch.record import SessionRecord, TurnRecord
from pipelines.stopwatch.summary import Row


def make_folder(out: Path, option: str = "--out") -> Path:
    """Create the folder, or refuse it before anything is measured. Raises InputError."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{option} {out} cannot be written into: it is a file; give a folder")
    probe = out / ".writable"
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(f"{option} {out} cannot be written: {error.strerror}; give a folder that can") from None
    return out


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


def wav_name(replayed: Replayed, llm: str, mode: str, *, only_run: bool) -> str:
    """`NAME.wav`, with the model and mode in it where a folder holds several runs of one recording."""
    if only_run:
        return f"{replayed.recording.name}.wav"
    return f"{replayed.recording.name}.{llm.replace('/', '-')}.{mode}.wav".replace(":", "-").replace("?", "-")


def write_findings(
    out: Path,
    session: SessionRecord,
    turns: Sequence[TurnRecord],
    rows: Sequence[Row],
    *,
    title: str,
    audio: Sequence[tuple[str, Path]],
) -> Path:
    """Write `report.html` and `pictures/`; returns the report's path."""
    report = out / "report.html"
    write_report(report, session, turns, rows, title=title, audio=audio)
    write_pictures(out / "pictures", turns, rows)
    return report
