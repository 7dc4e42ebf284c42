"""What the first audio of a sentence costs: `python -m tests.bench.first_audio [VOICE_OR_PATH] [--runs N]`.

Measures, in one process and by turns, the voice cut into windows and the same voice undivided, as it was used before
(on one thread), on one thread and on two: the phonemes, the part up to the frames, the first window of flow and
decoder, the whole sentence, and what counts: text handed over -> first piece, and -> the first *audible* piece.
Medians. It also prints what loading costs. Bars for the first audio: 70 ms for sentences of 1 to 2 s, 110 ms for 5 s.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from rich.console import Console
from rich.table import Table

from agent.models.fetch import voice_path
from pipelines.audio import first_audible_sample
from pipelines.tts.piper import Piper, open_session
from pipelines.tts.voices import CutVoice, WholeVoice
from pipelines.tts.windows import decode

SENTENCES = {
    "1 to 2 s": (
        "Your table is booked for two.",
        "What would you like to order?",
        "It is twelve degrees and cloudy.",
        "Let me check that for you.",
    ),
    "5 s": (
        "The weather in Boston will be sunny tomorrow, with a high of seventy degrees and some light wind.",
        "Your flight to San Francisco leaves at nine fifteen from gate twenty two, and boarding begins at eight.",
        "There are three options left for tonight: a window seat, an aisle seat, or an upgrade to business.",
    ),
}

Marks = dict[str, float]  # milliseconds by column


def undivided(path: Path, piper: Piper, threads: int) -> WholeVoice:
    """The voice as it was used before it was cut."""
    from piper.voice import PiperVoice

    assert isinstance(piper.voice, CutVoice), piper.how
    return WholeVoice(PiperVoice(session=open_session(str(path), threads), config=piper.voice.piper.config))


async def spoken(piper: Piper, text: str) -> Marks:
    """A text through the whole stage, event loop and threads included."""
    started = time.perf_counter()
    marks: Marks = {}
    async with aclosing(piper.synthesize(text)) as pieces:
        async for pcm in pieces:
            now = 1e3 * (time.perf_counter() - started)
            marks.setdefault("first audio", now)
            if first_audible_sample(pcm, piper.sample_rate_hz) is not None:
                marks.setdefault("first audible", now)
    return marks | {"sentence": 1e3 * (time.perf_counter() - started)}


def in_parts(voice: CutVoice, text: str) -> Marks:
    """The steps to the first window, one after the other."""
    config = voice.piper.config
    times = [time.perf_counter()]
    (phonemes,) = voice.piper.phonemize(text)
    times.append(time.perf_counter())
    frames = voice.frames(phonemes, config.noise_scale, config.noise_w_scale)
    times.append(time.perf_counter())
    next(decode(frames, voice.flow, voice.decoder))
    times.append(time.perf_counter())
    steps = ("phonemes", "to the frames", "first window")
    return {step: 1e3 * (end - start) for step, start, end in zip(steps, times, times[1:], strict=False)}


COLUMNS = ("phonemes", "to the frames", "first window", "sentence", "first audio", "first audible")


async def measured(contestants: dict[str, Piper], texts: tuple[str, ...], runs: int) -> dict[str, list[Marks]]:
    """Every contestant by turns, so that a busy moment of the machine strikes all of them."""
    marks: dict[str, list[Marks]] = {name: [] for name in contestants}
    for run in range(runs + 1):
        for text in texts:
            for name, piper in contestants.items():
                parts = in_parts(piper.voice, text) if isinstance(piper.voice, CutVoice) else {}
                made = await spoken(piper, text)
                if run:  # the first warms the memory that texts of this length take
                    marks[name].append(parts | made)
    return marks


def loaded(path: Path, cache: Path, threads: int) -> tuple[Piper, float]:
    """The voice, and the seconds that loading took."""
    started = time.perf_counter()
    piper = Piper(path, threads=threads, cache=cache)
    return piper, time.perf_counter() - started


def main() -> None:
    """Load, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("voice", nargs="?", default="en_US-joe-medium")
    arguments.add_argument("--runs", type=int, default=9, help="of each sentence")
    asked = arguments.parse_args()
    path = voice_path(asked.voice)
    import onnxruntime  # noqa: F401  # and piper: what a load costs is not what their import costs
    import piper.voice  # noqa: F401

    contestants: dict[str, Piper] = {}
    with tempfile.TemporaryDirectory() as cache:
        _, cutting_s = loaded(path, Path(cache), 1)
        for threads in (1, 2):
            started = time.perf_counter()
            open_session(str(path), threads)
            whole_s = time.perf_counter() - started
            contestants[f"cut, {threads} thr."], cut_s = loaded(path, Path(cache), threads)
            before, _ = loaded(path, Path(cache), threads)
            before.voice = undivided(path, before, threads)
            contestants[f"undivided, {threads} thr."] = before
    console = Console(width=120)
    console.print(f"load: cut anew {cutting_s:.2f} s, from the cache {cut_s:.2f} s, undivided {whole_s:.2f} s")
    for length, texts in SENTENCES.items():
        table = Table("ms, p50", *COLUMNS, title=f"{length}: {len(texts)} sentences, {asked.runs} runs each")
        for name, marks in asyncio.run(measured(contestants, texts, asked.runs)).items():
            found = ([mark[column] for mark in marks if column in mark] for column in COLUMNS)
            table.add_row(name, *(f"{statistics.median(values):.0f}" if values else "-" for values in found))
        console.print(table)


if __name__ == "__main__":
    main()
