"""What a recogniser that is not the agent's own understands of what was heard of the agent."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from agent.output_folder import write_wav
from pipelines.audio import AUDIBLE_DBFS

_STEP = 80  # 5 ms
_SILENCE = 8_000  # half a second on both sides, as a recogniser is used to


def transcribed(track: Any, folder: Path) -> str:
    """The words between the first and the last audible sample of a track at 16 kHz; `folder` takes the WAV."""
    steps = np.asarray(track[: len(track) // _STEP * _STEP], np.float64).reshape(-1, _STEP) / 32_768
    audible = np.flatnonzero(np.sqrt((steps**2).mean(axis=1)) > 10 ** (AUDIBLE_DBFS / 20)) * _STEP
    assert len(audible), "nothing was heard"
    pcm = np.pad(track[audible[0] : audible[-1] + _STEP].astype(np.int16), _SILENCE)
    wav = write_wav(folder / "agent.wav", pcm)
    command = [sys.executable, "-c", "from agent.cli import main; main()", "replay", str(wav), "--stt", "pocketsphinx"]
    run = subprocess.run([*command, "--json"], check=True, capture_output=True, text=True, timeout=60)
    return " ".join(turn["transcript"] for turn in json.loads(run.stdout)["turns"])
