#!/usr/bin/env python3
"""Make every recording of this folder, and `recordings.toml`, from Debian's speech synthesizers.

    apt-get install flite espeak-ng festival festvox-us-slt-hts
    pip install numpy soxr
    python recordings/make.py

The table below is the whole set; running it again on the same synthesizers gives the same bytes. Files are 16 kHz mono
16-bit.

Where speech begins and ends is measured, not guessed: on the clean synthesizer output, before noise or attenuation, cut
into 5 ms frames, speech is everything from the first to the last frame whose RMS is within 45 dB of the loudest one's.
Each turn has 300 ms before its speech and 100 ms after it (1.2 s where there is noise, which outlives the turn).

A pause inside an utterance is silence of exactly the stated length. The utterance is synthesized whole and cut where a
word ends, as the synthesizer itself times it, moved to the quietest frame of the next 25 ms: the melody is that of a
speaker who hesitates. Parts marked `apart` are synthesized separately instead, so that the first one sounds finished.

The signal-to-noise ratio counts only the frames within 45 dB of the loudest. The script knows nothing of the agent.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import wave
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr
from numpy.typing import NDArray

Signal = NDArray[np.float64]
"""Mono audio at 16 kHz, shape (samples,), full scale at 1."""

RATE_HZ = 16_000
FRAME = 80
LEAD = 4_800
TAIL = 1_600
NOISE_TAIL = 19_200
EDGE_DB = -45.0
PEAK = 0.5
HTS = "festival:cmu_us_slt_arctic_hts"


@dataclass(frozen=True, slots=True)
class Fixture:
    """One recording. `turns` are texts, in which `{600 dangling}` is a pause of 600 ms after a dangling word; `[cough]`
    is a sound of that name and no text.

    `barge_in_ms`: each turn from the second on begins that long after the first audible sample of the answer to the
    first.
    """

    name: str
    kind: str
    voice: str
    turns: Sequence[str]
    rate: float = 1.0
    gain_db: float = 0.0
    noise: str | None = None
    snr_db: float | None = None
    barge_in_ms: Sequence[int] = ()


STORY = "Tell me a story about a lion and a monkey."
BACKCHANNELS = ["Uh-huh.", "Yeah.", "Okay.", "Right.", "I see.", "Oh, great."]
SOUNDS = ["[cough]", "[click]", "[knock]", "[music]", "[noise]", "[typing]"]
EVERY_4_S = [2_000, 6_000, 10_000, 14_000, 18_000, 22_000]

# fmt: off
FIXTURES = [
    Fixture("time_in_tokyo", "question_short", "flite:slt", ["What time is it in Tokyo?"]),
    Fixture("why_so_fast", "question_short", "flite:rms", ["Why is the small model so fast?"]),
    Fixture("umbrella", "question_short", "flite:awb", ["Do I need an umbrella tomorrow?"]),
    Fixture("fast_on_a_wafer", "question_short", "flite:kal16", ["How fast is the large model on a wafer?"]),
    Fixture("a_joke", "question_short", "espeak:en-us+m3", ["Can you tell me a joke?"]),
    Fixture("coffee_shop", "question_short", "espeak:en-us+f2", ["Where is the nearest coffee shop?"]),
    Fixture("capital_of_norway", "question_short", HTS, ["What is the capital of Norway?"]),

    Fixture("tokens_per_second", "question_long", "flite:slt",
            ["How many tokens per second can the small model generate on a single card?"]),
    Fixture("first_token", "question_long", "flite:rms",
            ["What is the time to first token for the language model on a laptop?"]),
    Fixture("wafer_scale", "question_long", "flite:awb",
            ["How do wafer scale chips make language models faster?"]),
    Fixture("boston_to_new_york", "question_long", "espeak:en-us+f2",
            ["How long does it take to drive from Boston to New York?"]),
    Fixture("train_station", "question_long", "espeak:en-gb",
            ["How do I get to the train station from here?"]),
    Fixture("which_is_faster", "question_long", HTS,
            ["Which model is faster, the small model or the large model?"]),

    Fixture("yes", "one_word", "flite:slt", ["Yes."]),
    Fixture("continue", "one_word", "flite:rms", ["Continue."]),
    Fixture("maybe", "one_word", "espeak:en-gb", ["Maybe."]),

    Fixture("phone_number", "numbers", "flite:rms", ["My phone number is five five five zero one four two."]),
    Fixture("percent", "numbers", "espeak:en-us+m3", ["What is fifteen percent of two hundred and forty?"]),
    Fixture("flight_gate", "numbers", "flite:slt", ["My flight leaves at quarter past nine from gate fourteen."]),

    Fixture("weather_in_berlin", "tool", "flite:rms", ["What is the weather like in Berlin tomorrow?"]),
    Fixture("timer", "tool", "flite:kal16", ["Set a timer for ten minutes."]),
    Fixture("rain_in_london", "tool", "espeak:en-gb", ["Will it rain in London this weekend?"]),

    Fixture("dialogue", "dialogue", "flite:rms", [
        "Hello, can you hear me?",
        "What is the weather like in Lisbon today?",
        "Do I need an umbrella tonight?",
        "Find a good vegetarian restaurant near me.",
        "How long does it take to walk to the restaurant?",
        "Thank you, that is all I needed.",
    ]),

    Fixture("pause_complete_300", "pause", "flite:slt",
            ["What is the weather like in Paris {300 complete} tomorrow evening?"]),
    Fixture("pause_complete_600", "pause", "flite:rms",
            ["Explain neural networks {600 complete} to a five year old."]),
    Fixture("pause_complete_900", "pause", "flite:awb",
            ["Tell me a joke {900 complete} about an elephant."]),
    Fixture("pause_complete_300_male", "pause", "flite:rms",
            ["Find a good restaurant {300 complete} near the train station."]),
    Fixture("pause_complete_600_female", "pause", "flite:slt",
            ["How much is a ticket {600 complete} to San Francisco?"]),
    Fixture("pause_complete_900_male", "pause", "flite:kal16",
            ["Do I have any meetings {900 complete} on Friday?"]),
    # A finished sentence, melody and all, that then goes on: nobody can know, so these are a kind of their own.
    Fixture("pause_apart_600", "pause_finished", "espeak:en-us+m3",
            ["I need a hotel in Madrid {600 complete apart} for five nights, please."]),
    Fixture("pause_apart_900", "pause_finished", "espeak:en-gb",
            ["What is the time to first token {900 complete apart} for the large model?"]),
    Fixture("pause_dangling_300", "pause", "flite:rms",
            ["How far is it from Rome to {300 dangling} Vienna?"]),
    Fixture("pause_dangling_600", "pause", "flite:slt",
            ["Can you compare the small model with the {600 dangling} large model?"]),
    Fixture("pause_dangling_900", "pause", "flite:awb",
            ["Turn off the lights and the {900 dangling} heater in the kitchen."]),
    Fixture("pause_dangling_600_male", "pause", "flite:kal16",
            ["Play some jazz in the {600 dangling} living room."]),
    Fixture("pause_dangling_900_unseen", "pause", HTS,
            ["Find me a flight from Boston to {900 dangling} Seattle on Friday."]),

    Fixture("noise_20db_pink", "noise_20db", "flite:slt", ["How does batching make language models faster?"],
            noise="pink", snr_db=20.0),
    Fixture("noise_20db_speech", "noise_20db", "espeak:en-us+f2", ["What is the best way to learn Spanish?"],
            noise="speech_shaped", snr_db=20.0),
    Fixture("noise_10db_pink", "noise_10db", "flite:rms", ["What time does the museum open today?"],
            noise="pink", snr_db=10.0),
    Fixture("noise_10db_speech", "noise_10db", "flite:slt", ["Give me directions to the library."],
            noise="speech_shaped", snr_db=10.0),

    Fixture("fast_slt", "fast", "flite:slt", ["How much memory does the large model need?"], rate=1.3),
    Fixture("fast_espeak", "fast", "espeak:en-us+m3", ["Find a Japanese restaurant in Chicago for lunch."], rate=1.3),
    Fixture("quiet", "quiet", "flite:rms", ["What is the price per million tokens?"], gain_db=-30.0),

    Fixture("barge_in_stop", "barge_in", "flite:slt",
            ["Tell me a story about a lion and a monkey.", "Stop, that is not what I meant."], barge_in_ms=[1_500]),
    Fixture("barge_in_wait", "barge_in", "espeak:en-us+m3",
            ["Tell me about black holes.", "Wait, I meant volcanoes."], barge_in_ms=[800]),

    Fixture("barge_in_question", "barge_in", "flite:rms", [STORY, "What time is it in Tokyo?"], barge_in_ms=[2_300]),
    Fixture("barge_in_no", "barge_in", "flite:awb", [STORY, "No, tell me a joke instead."], barge_in_ms=[3_100]),
    Fixture("barge_in_word", "barge_in", "flite:kal16", [STORY, "Stop."], barge_in_ms=[1_900]),
    Fixture("barge_in_hold_on", "barge_in", "espeak:en-us+f2", [STORY, "Hold on, how fast is the small model?"],
            barge_in_ms=[2_700]),
    Fixture("barge_in_gb", "barge_in", "espeak:en-gb", [STORY, "Wait a moment, please."], barge_in_ms=[4_200]),
    Fixture("barge_in_unseen", "barge_in", HTS, [STORY, "Do I need an umbrella tomorrow?"], barge_in_ms=[3_600]),

    Fixture("backchannels_slt", "backchannel", "flite:slt", [STORY, *BACKCHANNELS], barge_in_ms=EVERY_4_S),
    Fixture("backchannels_rms", "backchannel", "flite:rms", [STORY, *BACKCHANNELS], barge_in_ms=EVERY_4_S),
    Fixture("backchannels_m3", "backchannel", "espeak:en-us+m3", [STORY, *BACKCHANNELS], barge_in_ms=EVERY_4_S),
    Fixture("backchannels_gb", "backchannel", "espeak:en-gb", [STORY, *BACKCHANNELS], barge_in_ms=EVERY_4_S),
    Fixture("sounds", "sounds", "flite:slt", [STORY, *SOUNDS], barge_in_ms=EVERY_4_S),

    Fixture("silence", "silence", "none", []),
    Fixture("noise", "noise_only", "none", []),
    Fixture("tones", "tones", "none", []),
]
# fmt: on


# ---------------------------------------------------------------- the synthesizers


def output_of(*command: str) -> str:
    """Run a synthesizer and return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def read_wav(path: Path) -> Signal:
    """A synthesizer's mono 16-bit file at 16 kHz."""
    with wave.open(str(path)) as file:
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32_768
        return np.asarray(soxr.resample(pcm, file.getframerate(), RATE_HZ), np.float64)


def flite(name: str, parts: Sequence[str], rate: float, wav: Path) -> list[float]:
    """Speak with flite; return the time in seconds at which each part but the last ends.

    Flite times phones, not words: the end of a part is the end of as many phones as the text up to there has.
    """
    command = ["flite", "-voice", name, "--setf", f"duration_stretch={1 / rate}", "-o", str(wav)]
    timed = [phone.split(":") for phone in output_of(*command, "-psdur", "-t", " ".join(parts)).split()]
    ends = [float(end) for phone, end in timed if phone != "pau"]
    cuts = []
    for count in range(1, len(parts)):
        phones = output_of("flite", "-voice", name, "-ps", "-t", " ".join(parts[:count]), "none").split()
        cuts.append(ends[sum(phone != "pau" for phone in phones) - 1])
    return cuts


def espeak(name: str, parts: Sequence[str], rate: float, wav: Path) -> list[float]:
    """Speak with eSpeak NG, which tells no times: it takes one part only."""
    if len(parts) > 1:
        raise ValueError(f"espeak-ng cannot time the words of {parts!r}; mark the pause `apart`")
    output_of("espeak-ng", "-v", name, "-s", str(round(165 * rate)), "-w", str(wav), parts[0])
    return []


def festival(name: str, parts: Sequence[str], rate: float, wav: Path) -> list[float]:
    """Speak with Festival at its own rate; return the time in seconds at which each part but the last ends."""
    if rate != 1.0:
        raise ValueError(f"the HTS voice has one rate, not {rate}")
    script = wav.with_suffix(".scm")
    script.write_text(
        f'(voice_{name}) (set! u (utt.synth (Utterance Text "{" ".join(parts)}"))) (utt.save.wave u "{wav}" \'riff)'
        """(mapcar (lambda (w) (format t "%f\\n" (item.feat w "word_end"))) (utt.relation.items u 'Word))"""
    )
    ends = [float(end) for end in output_of("festival", "-b", str(script)).split()]
    return [ends[len(" ".join(parts[:count]).split()) - 1] for count in range(1, len(parts))]


ENGINES = {"flite": flite, "espeak": espeak, "festival": festival}


def speak(voice: str, parts: Sequence[str], rate: float) -> list[Signal]:
    """The parts of one utterance, spoken in one breath and cut apart at the quietest frame near each boundary."""
    engine, _, name = voice.partition(":")
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "speech.wav")
        cuts_s = ENGINES[engine](name, parts, rate, wav)
        signal = read_wav(wav)
    levels = frame_rms(signal)
    cuts = []
    for cut_s in cuts_s:
        near = round(cut_s * RATE_HZ / FRAME)
        # Not earlier: the closure of a final stop is quieter than its release.
        quietest = near + int(np.argmin(levels[near : near + 5]))
        cuts.append(quietest * FRAME + FRAME // 2)
    return np.split(signal, cuts)


# ---------------------------------------------------------------- speech, pauses, labels


def frame_rms(signal: Signal) -> Signal:
    """Level of each whole 5 ms frame."""
    whole = len(signal) // FRAME * FRAME
    return np.asarray(np.sqrt(np.mean(signal[:whole].reshape(-1, FRAME) ** 2, axis=1)), np.float64)


def is_speech(signal: Signal, loudest: float) -> NDArray[np.bool_]:
    """Which frames lie within 45 dB of the loudest."""
    return frame_rms(signal) > loudest * 10 ** (EDGE_DB / 20)


def edges(signal: Signal, loudest: float) -> tuple[int, int]:
    """Start and end of the speech in samples."""
    frames = np.flatnonzero(is_speech(signal, loudest))
    return int(frames[0]) * FRAME, (int(frames[-1]) + 1) * FRAME


@dataclass(frozen=True, slots=True)
class Utterance:
    """Clean speech of one turn with 300 ms before and `TAIL` after it; times in samples of `signal`."""

    text: str
    signal: Signal
    start: int
    end: int
    pauses: list[tuple[int, int, str]]


PAUSE = re.compile(r"\s*\{(\d+) (complete|dangling)( apart)?\}\s*")


def utter(voice: str, marked: str, rate: float) -> Utterance:
    """Speak a text of the table, or make its sound."""
    if marked.startswith("["):
        return join("", [sound(marked.strip("[]"))], [])
    first, *rest = PAUSE.split(marked)
    breaths, gaps = [[first]], []
    for length_ms, after, apart, part in zip(rest[0::4], rest[1::4], rest[2::4], rest[3::4], strict=True):
        gaps.append((int(length_ms) * RATE_HZ // 1_000, after))
        if apart:
            breaths.append([part])
        else:
            breaths[-1].append(part)
    pieces = [piece for breath in breaths for piece in speak(voice, breath, rate)]
    return join(PAUSE.sub(" ", marked), pieces, gaps)


def join(text: str, pieces: list[Signal], gaps: list[tuple[int, str]]) -> Utterance:
    """Set silence of exactly the length of each gap between the speech of the pieces."""
    scale = PEAK / max(np.abs(piece).max() for piece in pieces)
    pieces = [piece * scale for piece in pieces]
    loudest = max(frame_rms(piece).max() for piece in pieces)
    spans = [edges(piece, loudest) for piece in pieces]

    start, end = spans[0][0], spans[-1][1]
    before, after = pieces[0][max(0, start - LEAD) : start], pieces[-1][end : end + TAIL]
    signal = [np.pad(before, (LEAD - len(before), 0))]
    pauses, at = [], LEAD
    for index, (piece, (first, last)) in enumerate(zip(pieces, spans, strict=True)):
        speech = piece[first:last].copy()
        if index > 0:
            length, word = gaps[index - 1]
            pauses.append((at, at + length, word))
            signal.append(np.zeros(length))
            at += length
            speech[:FRAME] *= np.linspace(0, 1, FRAME)
        if index < len(pieces) - 1:
            speech[-FRAME:] *= np.linspace(1, 0, FRAME)
        signal.append(speech)
        at += len(speech)
    signal.append(np.pad(after, (0, TAIL - len(after))))
    return Utterance(text, np.concatenate(signal), LEAD, at, pauses)


# ---------------------------------------------------------------- noise and tones


def pink_noise(length: int, seed: str) -> Signal:
    """Noise whose power falls by 3 dB per octave above 50 Hz; RMS 1."""
    spectrum = np.fft.rfft(np.random.default_rng(zlib.crc32(seed.encode())).standard_normal(length))
    frequency_hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    noise = np.fft.irfft(np.where(frequency_hz < 50, 0, spectrum / np.sqrt(np.maximum(frequency_hz, 50))), length)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float64)


def speech_shaped_noise(length: int, seed: str, speech: Signal) -> Signal:
    """White noise filtered to the long-term spectrum of the talker, like the murmur of many; RMS 1."""
    windows = speech[: len(speech) // 256 * 256].reshape(-1, 256) * np.hanning(256)
    power = np.mean(np.abs(np.fft.rfft(windows)) ** 2, axis=0)
    white = np.fft.rfft(np.random.default_rng(zlib.crc32(seed.encode())).standard_normal(length))
    gain = np.interp(np.fft.rfftfreq(length), np.fft.rfftfreq(256), np.sqrt(power))
    noise = np.fft.irfft(white * gain, length)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), np.float64)


def add_noise(fixture: Fixture, clean: Signal) -> Signal:
    """The recording in noise at its signal-to-noise ratio, and the noise alone for a second more."""
    if fixture.noise is None or fixture.snr_db is None:
        return clean
    active = is_speech(clean, frame_rms(clean).max())
    speech = clean[: len(active) * FRAME][np.repeat(active, FRAME)]
    length = len(clean) - TAIL + NOISE_TAIL
    match fixture.noise:
        case "pink":
            noise = pink_noise(length, fixture.name)
        case _:
            noise = speech_shaped_noise(length, fixture.name, speech)
    noise *= np.sqrt(np.mean(speech**2)) * 10 ** (-fixture.snr_db / 20)
    noise[: len(clean)] += clean
    return noise


def tones() -> Signal:
    """Five seconds that are not speech: an arpeggio, then chords, each note of four decaying harmonics."""
    signal = np.zeros(5 * RATE_HZ)
    melody = [(index * 0.25, [note]) for index, note in enumerate([57, 60, 64, 69, 72, 69, 64, 60, 57])]
    chords = [(2.5 + index * 0.8, notes) for index, notes in enumerate([[57, 60, 64], [53, 57, 60], [55, 59, 62]])]
    for start_s, notes in melody + chords:
        at = round(start_s * RATE_HZ)
        time_s = np.arange(len(signal) - at) / RATE_HZ
        for note in notes:
            pitch_hz = 440 * 2 ** ((note - 69) / 12)
            harmonics = sum(np.sin(2 * np.pi * pitch_hz * k * time_s) / k**2 for k in range(1, 5))
            signal[at:] += 0.1 * np.minimum(1, time_s / 0.01) * np.exp(-time_s / 0.35) * harmonics
    return signal


def sound(name: str) -> Signal:
    """What happens in a room while somebody talks, about as loud as the talker; `music` and `noise` go on for 2 s."""
    random = np.random.default_rng(zlib.crc32(name.encode()))

    def burst(length_s: float, decay_s: float, low_hz: float, high_hz: float) -> Signal:
        """Noise of a band that dies away."""
        time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
        spectrum = np.fft.rfft(random.standard_normal(len(time_s)))
        frequency_hz = np.fft.rfftfreq(len(time_s), 1 / RATE_HZ)
        band = np.fft.irfft(np.where((frequency_hz > low_hz) & (frequency_hz < high_hz), spectrum, 0), len(time_s))
        return np.asarray(band / np.abs(band).max() * np.minimum(1, time_s / 0.004) * np.exp(-time_s / decay_s))

    match name:
        case "cough":
            return np.concatenate([burst(0.35, 0.07, 200, 3_500), burst(0.4, 0.1, 200, 3_000)])
        case "click":
            return np.concatenate([burst(0.25, 0.002, 1_000, 7_500) for _ in range(2)])
        case "knock":
            return np.concatenate([burst(0.22, 0.02, 60, 500) for _ in range(3)])
        case "typing":
            return np.concatenate([burst(random.uniform(0.08, 0.2), 0.006, 800, 7_000) for _ in range(12)])
        case "music":
            return tones()[RATE_HZ * 5 // 2 : RATE_HZ * 9 // 2]
        case _:
            return pink_noise(2 * RATE_HZ, name)


# ---------------------------------------------------------------- files


def make(fixture: Fixture) -> tuple[Signal, list[Utterance]]:
    """Audio and turns of one recording."""
    match fixture.kind:
        case "silence":
            return np.zeros(5 * RATE_HZ), []
        case "noise_only":
            return 0.03 * pink_noise(5 * RATE_HZ, fixture.name), []
        case "tones":
            return tones(), []
        case _:
            turns = [utter(fixture.voice, text, fixture.rate) for text in fixture.turns]
            clean = np.concatenate([turn.signal for turn in turns])
            return add_noise(fixture, clean) * 10 ** (fixture.gain_db / 20), turns


def write_wav(path: Path, signal: Signal) -> None:
    """16 kHz mono 16-bit."""
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", "not compressed"))
        file.writeframes(np.round(signal * 32_767).astype("<i2").tobytes())


HEADER = """\
# Made by recordings/make.py from Debian's speech synthesizers: run it again rather than edit this.
#
# Times are samples at 16 kHz from the start of the file. start_samples and end_samples are where the speech truly
# begins and ends: measured on the clean synthesizer output, before noise and attenuation, as the first and last 5 ms
# frame within 45 dB of the loudest. clip_*_samples is the part of the file that is fed for the turn. A pause is
# [start, end, how the words before it look]. barge_in_ms: the speech of this turn begins that long after the first
# audible sample of the agent's answer to the turn before.
"""


def label(fixture: Fixture, length: int, turns: list[Utterance]) -> str:
    """The recording's entry of recordings.toml."""
    lines = ["\n[[recording]]", f'name = "{fixture.name}"', f'file = "{fixture.name}.wav"', f'kind = "{fixture.kind}"']
    lines += [f'voice = "{fixture.voice}"', f"seen_voice = {json.dumps(fixture.voice != HTS)}"]
    if fixture.snr_db is not None:
        lines.append(f"noise_snr_db = {fixture.snr_db}")
    at = 0
    for index, turn in enumerate(turns):
        clip_end = length if index == len(turns) - 1 else at + len(turn.signal)
        lines += ["[[recording.turn]]", f"text = {json.dumps(turn.text)}"]
        lines += [f"start_samples = {at + turn.start}", f"end_samples = {at + turn.end}"]
        lines += [f"clip_start_samples = {at}", f"clip_end_samples = {clip_end}"]
        if turn.pauses:
            lines.append(f"pauses = {json.dumps([[at + start, at + end, after] for start, end, after in turn.pauses])}")
        if 0 < index <= len(fixture.barge_in_ms):
            lines.append(f"barge_in_ms = {fixture.barge_in_ms[index - 1]}")
        at = clip_end
    return "\n".join(lines) + "\n"


def main() -> None:
    """Make all recordings."""
    parser = argparse.ArgumentParser(description="Make the recordings and their labels.")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent, help="folder to write to (this one)")
    out: Path = parser.parse_args().out
    missing = [tool for tool in ("flite", "espeak-ng", "festival") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"{', '.join(missing)} not found: apt-get install flite espeak-ng festival festvox-us-slt-hts")

    out.mkdir(parents=True, exist_ok=True)
    entries, total = [HEADER], 0
    for number, fixture in enumerate(FIXTURES, 1):
        signal, turns = make(fixture)
        write_wav(out / f"{fixture.name}.wav", signal)
        entries.append(label(fixture, len(signal), turns))
        total += len(signal)
        print(f"{number:2}/{len(FIXTURES)} {fixture.name:28} {fixture.voice:32} {len(signal) / RATE_HZ:5.1f} s")
    (out / "recordings.toml").write_text("".join(entries))
    print(f"{total / RATE_HZ:.0f} s, {total * 2 / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
