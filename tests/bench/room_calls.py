"""Callers who ask recorded questions in rooms of a real LiveKit server, and what they hear: for the benches.

All is measured at the caller's ear: from the labelled end of the question, as it was spoken into the room, to the first
audible sample of the answer, as it came out of the room.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from agent.measure.recordings import Recording, shipped
from tests.live.caller import Caller, joined
from tests.live.livekit_server import LiveKitServer

KIND = "question_short"
_ANSWER_S = 8.0  # one that takes longer to begin is none
_WHOLE_S = 30.0
_SETTLE_S = 3.0  # the jitter buffers find their size
_PAUSE_S = (0.3, 1.3)  # of the caller, before the next question


@dataclass(frozen=True, slots=True)
class Asked:
    """One question; `latency_ms` is None where no answer was heard."""

    recording: str
    latency_ms: float | None


def questions() -> list[Recording]:
    """Those that the other figures of the README are taken on."""
    return shipped(KIND)


async def call(server: LiveKitServer, room: str, asked: Sequence[Recording], seed: int = 0) -> list[Asked]:
    """Enter the room, wait for the agent and ask one question after another."""
    chance = random.Random(seed)
    answers = []
    async with joined(server, room, f"caller-{seed}") as caller:
        await caller.until(lambda: caller.agent and caller.agent in caller.tracks and caller.states(), 30, "an agent")
        await asyncio.sleep(_SETTLE_S)
        for one in asked:
            await asyncio.sleep(chance.uniform(*_PAUSE_S))
            answers.append(await _ask(caller, one))
    return answers


async def _ask(caller: Caller, asked: Recording) -> Asked:
    label = asked.turns[0]
    said = caller.say(asked.pcm[label.clip_start_samples : label.clip_end_samples])
    await said.over.wait()
    end_s = said.at_s(label.end_samples - label.clip_start_samples)
    try:
        heard_s = await caller.until_heard(end_s, _ANSWER_S)
        await caller.until_quiet(0.7, _WHOLE_S)
    except AssertionError:  # nobody answers
        return Asked(asked.name, None)
    return Asked(asked.name, (heard_s - end_s) * 1_000)


def figures(asked: Sequence[Asked]) -> str:
    """p50 and p95 of the turn latency as heard, and how many were answered."""
    heard = [one.latency_ms for one in asked if one.latency_ms is not None]
    if not heard:
        return f"none of {len(asked)} answered"
    p50, p95 = np.percentile(heard, [50, 95])
    return f"p50 {p50:4.0f} ms  p95 {p95:4.0f} ms  ({len(heard)} of {len(asked)} answered)"
