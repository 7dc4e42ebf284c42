"""Barge-in on recordings: `python tests/bench/barge_in.py [--json]`.

How long from the first voiced sample of an interruption until the agent's track is silent (in the samples of the
recorded output, not by anybody's clock), and how often a backchannel or a sound stops the agent for good.
"""

import asyncio
import json
import sys

import numpy as np

from agent.measure.recordings import Recording, shipped
from agent.measure.replay import Replay, Replayed
from agent.setup.config import load_config
from agent.setup.engines import open_engines
from pipelines.events import SAMPLE_RATE_HZ, Pcm
from pipelines.modes import Mode, Outcome
from pipelines.stopwatch.percentiles import percentiles
from pipelines.stopwatch.timeline import Stage

LLM = "sim/cerebras-llama3.1-8b"


def voiced_onset_samples(pcm: Pcm) -> int:
    """The first 40 ms with a pitch of 60 to 400 Hz, within 25 dB of the loudest: not the "s" of "stop"."""
    size, hop = SAMPLE_RATE_HZ // 25, SAMPLE_RATE_HZ // 200
    frames = [pcm[at : at + size].astype(np.float64) for at in range(0, len(pcm) - size, hop)]
    loudest = max(float(np.sum(frame**2)) for frame in frames)
    for number, frame in enumerate(frames):
        energy = float(np.sum(frame**2))
        if energy < loudest * 10**-2.5:
            continue
        autocorrelation = np.correlate(frame, frame, "full")[size - 1 :] / energy
        if autocorrelation[SAMPLE_RATE_HZ // 400 : SAMPLE_RATE_HZ // 60].max() > 0.5:
            return number * hop
    raise ValueError("no voice in it")


def onset_to_silence_ms(replayed: Replayed) -> float | None:
    """From the voiced onset of the second turn to the last audible sample of the first answer; None if not cut."""
    if len(replayed.turns) < 2 or replayed.turns[0].finished.outcome is not Outcome.INTERRUPTED:
        return None
    label = replayed.recording.turns[1]
    spans = replayed.turns[1].trace.timeline.spans.values()
    onset_s = next(span.start_s for span in spans if span.stage is Stage.SPEECH) - replayed.epoch_s
    onset_s += voiced_onset_samples(replayed.recording.pcm[label.start_samples : label.end_samples]) / SAMPLE_RATE_HZ
    answer = replayed.turns[1].finished.turn.answer
    until_s = (answer.reply.playout.started_s or 0.0) - replayed.epoch_s if answer else len(replayed.agent)
    sounding = np.flatnonzero(replayed.agent[: round(until_s * SAMPLE_RATE_HZ)])
    return float(sounding[-1] / SAMPLE_RATE_HZ - onset_s) * 1_000


async def main() -> None:
    """Measure and print."""
    config = load_config()
    async with open_engines(config, [LLM]) as engines:

        async def replayed(recording: Recording) -> Replayed:
            return await Replay(recording, engines.clock).run(engines.session_builder(LLM, Mode.SPECULATIVE))

        interruptions = [await replayed(recording) for recording in shipped("barge_in")]
        sounds = await asyncio.gather(*map(replayed, shipped("backchannel", "sounds")))
    cut_ms = [onset_to_silence_ms(each) for each in interruptions]
    stopped = [turn for each in sounds for turn in each.turns[1:]]
    first = [each.turns[0].finished.turn for each in sounds]
    cut = percentiles(cut_ms).model_dump()
    pauses_ms = [(f.resumed_s - f.paused_s) * 1_000 for turn in first for f in turn.false_starts]
    made = sum(len(each.recording.turns) - 1 for each in sounds)
    if "--json" in sys.argv:
        found = {"missed": cut_ms.count(None), "sounds": made, "false_barge_ins": len(stopped)}
        print(json.dumps({"onset_to_silence_ms": cut, **found, "pause_ms": percentiles(pauses_ms).model_dump()}))
        return
    print(f"barge-in, voiced onset to silence: p50 {cut['p50']} ms, p95 {cut['p95']} ms, n = {cut['n']}")
    print(f"  missed: {cut_ms.count(None)}; each: {[round(each) for each in cut_ms if each is not None]}")
    print(f"backchannels and sounds: {made}; stopped the agent for good: {len(stopped)}")
    print(f"  silent for a moment: {len(pauses_ms)} times, p50 {percentiles(pauses_ms).p50} ms")


if __name__ == "__main__":
    asyncio.run(main())
