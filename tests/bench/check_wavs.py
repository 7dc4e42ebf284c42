"""Check the stopwatch from outside: `quickturn replay --out DIR`, then `python tests/bench/check_wavs.py DIR`.

For every turn with a latency it finds, in the samples of the two-track WAV alone, where the recording's labelled end of
speech was fed (left) and where the agent is first heard (right), and compares the time between them with what the trace
says. Exit code 1 over 10 ms. It takes shipped recordings, whose samples it looks for.
"""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from agent.measure.recordings import Recording, shipped

MAX_ERROR_MS = 10.0
AUDIBLE_DBFS = -50.0
SNIPPET = 1_600  # samples of the speech that are looked for, 0.1 s
NEAR = 4_800  # ... within 0.3 s of where the trace says


def speech_end_s(left: NDArray[np.float64], turn: dict[str, Any], recordings: dict[str, Recording]) -> float:
    """Where the end of the turn's label was fed, by the samples at the beginning of its speech."""
    recording = recordings[turn["recording"]]
    label = next(one for one in recording.turns if one.text == turn["reference"])
    spoken_ms = next(span["start_ms"] for span in turn["spans"] if span["stage"] == "speech")
    around = round((turn["speech_end_s"] + spoken_ms / 1_000) * 16_000)
    first = max(0, around - NEAR)
    searched = np.round(left[first : around + NEAR + SNIPPET] * 32_768)
    wanted = recording.pcm[label.start_samples : label.start_samples + SNIPPET].astype(np.float64)
    apart = np.abs(np.lib.stride_tricks.sliding_window_view(searched, SNIPPET) - wanted).sum(axis=1)
    start = first + int(np.argmin(apart))
    return (start + label.end_samples - label.start_samples) / 16_000


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
    errors, recordings = [], {one.name: one for one in shipped()}
    lines = map(json.loads, (folder / "trace.jsonl").read_text().splitlines())
    for turn in (line for line in lines if line["type"] == "turn" and line["turn_latency_ms"] is not None):
        left, right = soundfile.read(wav_of(folder, turn))[0].T
        end_s = speech_end_s(left, turn, recordings)
        measured_ms = (first_heard_s(right, turn["speech_end_s"]) - end_s) * 1_000
        errors.append(abs(measured_ms - turn["turn_latency_ms"]))
        if errors[-1] > MAX_ERROR_MS:
            print(f"{turn['recording']} {turn['mode']}: WAV {measured_ms:.1f} ms, trace {turn['turn_latency_ms']} ms")
    over = sum(error > MAX_ERROR_MS for error in errors)
    print(f"{len(errors)} turns: WAV and trace differ by p50 {np.median(errors):.1f}, at most {max(errors):.1f} ms")
    return int(over > 0)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
