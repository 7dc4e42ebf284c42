"""Where a voice's cut is kept, by the hash of the file that it was cut from. Independent of graphs and speech.

A folder holds the three graphs and `cut.json`; it appears under its name only when all of them are there.
"""

import hashlib
import json
import shutil
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipelines.tts.cut import Cut

_FORMAT = "cuts-1"  # another number when a cut is made or calibrated in another way


@dataclass(frozen=True, slots=True)
class KeptCut:
    """A cut on disk: the paths of its graphs, the margins of the last two in frames, and the voice's gain."""

    text: Path
    flow: Path
    decoder: Path
    flow_margin: int
    decoder_margin: int
    gain: float


def folder_for(voice: Path, cache: Path) -> Path:
    """Where the cut of this file belongs. Reads the whole file: 45 ms for 63 MB. Raises OSError."""
    with voice.open("rb") as file:
        return cache / _FORMAT / hashlib.file_digest(file, "sha256").hexdigest()


def kept_cut(folder: Path) -> KeptCut | None:
    """What is kept there; None if there is nothing, or nothing that can be read."""
    try:
        facts = json.loads((folder / "cut.json").read_text(encoding="utf-8"))
        return KeptCut(
            folder / "text.onnx",
            folder / "flow.onnx",
            folder / "decoder.onnx",
            int(facts["flow_margin"]),
            int(facts["decoder_margin"]),
            float(facts["gain"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep_cut(cut: Cut, gain: float, folder: Path) -> None:
    """Keep a cut, in place of one that may be there; a cache that cannot be written is none, and no error."""
    facts = {"flow_margin": cut.flow.margin_frames, "decoder_margin": cut.decoder.margin_frames, "gain": gain}
    with suppress(OSError):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix="new-") as made:
            new = Path(made) / "cut"
            new.mkdir()
            for name, graph in (("text", cut.text), ("flow", cut.flow.onnx), ("decoder", cut.decoder.onnx)):
                (new / f"{name}.onnx").write_bytes(graph)
            (new / "cut.json").write_text(json.dumps(facts), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            new.rename(folder)
