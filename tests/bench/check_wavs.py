"""Check the stopwatch from outside: `quickturn replay --out DIR`, then `python tests/bench/check_wavs.py DIR`.

For every turn with a latency it finds, in the samples of the two-track WAV alone, where the user's speech ends (left)
and where the agent is first heard (right), and compares the time between them with what the trace says. Exit code 1
over 10 ms. In noise the end of speech is not to be seen in the samples; there only the agent's side is looked for.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

MAX_ERROR_MS = 10.0
FRAME = 80  # 5 ms at 16 kHz
AUDIBLE_DBFS = -50.0
SPEECH_DB = -45.0  # below the loudest frame: the rule by which recordings/make.py labels


def levels_db(track: NDArray[np.float64]) -> NDArray[np.float64]:
    """Level of each 5 ms frame in dBFS."""
    frames = track[: len(track) // FRAME * FRAME].reshape(-1, FRAME)
    levels: NDArray[np.float64] = 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-12)
    return levels


def speech_end_s(left: NDArray[np.float64], turn: dict[str, Any]) -> float:
    """The end of the utterance that begins where the trace says and is over, give or take, where it says."""
    spoken_ms = next(span["start_ms"] for span in turn["spans"] if span["stage"] == "speech")
    start, end = (round((turn["speech_end_s"] + offset_s) * 16_000) for offset_s in (spoken_ms / 1_000, 0.05))
    levels = levels_db(left[start:end])
    return float(start + (int(np.flatnonzero(levels > levels.max() + SPEECH_DB)[-1]) + 1) * FRAME) / 16_000


def first_heard_s(right: NDArray[np.float64], after_s: float) -> float:
    """The first audible millisecond within the first 5 ms after `after_s` that are audible together."""
    start = round(after_s * 16_000)
    audible = 10 ** (AUDIBLE_DBFS / 10)
    each_ms = np.square(right[start : start + (len(right) - start) // 16 * 16]).reshape(-1, 16).mean(axis=1)
    first = int(np.flatnonzero(np.convolve(each_ms, np.ones(5) / 5, "valid") > audible)[0])
    return (start + (first + int(np.flatnonzero(each_ms[first:] > audible)[0])) * 16) / 16_000


def wav_of(folder: Path, turn: dict[str, Any]) -> Path:
    """The turn's WAV: named for its recording, and for model and mode where the folder holds several runs."""
    plain = folder / f"{turn['recording']}.wav"
    name = f"{turn['recording']}.{turn['llm'].replace('/', '-')}.{turn['mode']}.wav"
    return plain if plain.exists() else folder / "wavs" / name.replace(":", "-").replace("?", "-")


def main(folder: Path) -> int:
    """Print the largest error and every turn that is over the bound."""
    errors = []
    lines = map(json.loads, (folder / "trace.jsonl").read_text().splitlines())
    for turn in (line for line in lines if line["type"] == "turn" and line["turn_latency_ms"] is not None):
        left, right = soundfile.read(wav_of(folder, turn))[0].T
        labelled_s = turn["speech_end_s"]
        end_s = labelled_s if turn["kind"].startswith("noise") else speech_end_s(left, turn)
        measured_ms = (first_heard_s(right, labelled_s) - end_s) * 1_000
        errors.append(abs(measured_ms - turn["turn_latency_ms"]))
        if errors[-1] > MAX_ERROR_MS:
            print(f"{turn['recording']} {turn['mode']}: WAV {measured_ms:.1f} ms, trace {turn['turn_latency_ms']} ms")
    over = sum(error > MAX_ERROR_MS for error in errors)
    print(f"{len(errors)} turns: WAV and trace differ by p50 {np.median(errors):.1f}, at most {max(errors):.1f} ms")
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
