"""How much slower this machine is than the one on which the bars of latency were set.

The bars were set where Whisper tiny.en's encoder takes 75 ms for a window of 12 s on one core. On a slower machine a
turn takes longer by what its engines take; a bound in milliseconds must not fail for that, and must not excuse more.
"""

import time
from functools import cache

import numpy as np
from faster_whisper import WhisperModel

from agent.models.store import folder_of

_REFERENCE_ENCODER_MS = 75.0
_REFERENCE_ENGINES_MS = 133.0 + 55.0  # a final decode and the first audio of a sentence (tests/README.md)
_FRAMES = 1_200  # 12 s of mel frames


@cache
def slowdown() -> float:
    """The stock encoder's time on this machine, the soonest of five, over the reference's; at least 1."""
    model = WhisperModel(str(folder_of("whisper:tiny.en")), device="cpu", compute_type="int8", cpu_threads=1)
    mel = np.random.default_rng(1).normal(size=(80, _FRAMES)).astype(np.float32)
    taken_s = []
    for _ in range(5):
        began_s = time.perf_counter()
        model.encode(mel)
        taken_s.append(time.perf_counter() - began_s)
    return max(1.0, min(taken_s) * 1_000 / _REFERENCE_ENCODER_MS)


def allowance_ms(engines_ms: float) -> float:
    """What a bound of latency may be exceeded by: 0 on a machine like the reference.

    `engines_ms` is what recognition and synthesis took of the turn's critical path. What they took more than on the
    reference is allowed, but no more than the machine's slowness explains.
    """
    return min(max(0.0, engines_ms - _REFERENCE_ENGINES_MS), (slowdown() - 1) * _REFERENCE_ENGINES_MS)
