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
    return 10 * np.log10(np.mean(np.square(frames), axis=1) + 1e-12)


def speech_end_s(left: NDArray[np.float64], turn: dict[str, Any]) -> float:
    """The end of the utterance that begins where the trace says and is over, give or take, where it says."""
    spoken_ms = next(span["start_ms"] for span in turn["spans"] if span["stage"] == "speech")
    start = round((turn["speech_end_s"] + spoken_ms / 1_000) * 200)
    levels = levels_db(left)[start : round((turn["speech_end_s"] + 0.05) * 200)]
    return (start + int(np.flatnonzero(levels > levels.max() + SPEECH_DB)[-1]) + 1) / 200


def first_heard_s(right: NDArray[np.float64], after_s: float) -> float:
    """Where the first 5 ms begin, to the millisecond, that are audible after `after_s`."""
    start = round(after_s * 16_000)
    power = np.convolve(np.square(right[start : start + 16_000 * 20]), np.ones(FRAME) / FRAME, "valid")[::16]
    return (start + int(np.flatnonzero(power > 10 ** (AUDIBLE_DBFS / 10))[0]) * 16) / 16_000


def wav_of(folder: Path, turn: dict[str, Any]) -> Path:
    """The turn's WAV: named for its recording, and for model and mode where the folder holds several runs."""
    plain = folder / f"{turn['recording']}.wav"
    name = f"{turn['recording']}.{turn['llm'].replace('/', '-')}.{turn['mode']}.wav"
    return plain if plain.exists() else folder / name.replace(":", "-").replace("?", "-")


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
