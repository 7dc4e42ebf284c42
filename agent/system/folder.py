"""A folder to write into, made or refused before any work is done."""

from pathlib import Path

from pipelines.errors import InputError


def make_folder(out: Path, option: str = "--out") -> Path:
    """Create the folder and try it out; `option` is what named it. Raises InputError if it cannot be written into."""
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
