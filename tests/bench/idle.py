"""What an idle agent costs: `python -m tests.bench.idle [SECONDS]` listens to silence with the models loaded.

Prints CPU as a share of one core and resident memory. Bars: under 6 % and under 700 MB.
"""

import asyncio
import resource
import sys
import time

import numpy as np

from agent.measure.recordings import Recording
from agent.measure.replay import FRAME_SAMPLES, Replay
from agent.setup.config import load_config
from agent.setup.engines import open_engines
from pipelines.events import SAMPLE_RATE_HZ


async def main(seconds: float) -> None:
    """Listen to silence through a whole session."""
    config = load_config()
    frames = round(seconds * SAMPLE_RATE_HZ) // FRAME_SAMPLES
    silence = Recording("silence", "silence", "none", True, np.zeros(frames * FRAME_SAMPLES, np.int16), (), True)
    async with open_engines(config, [config.agent.llm]) as engines:
        started, busy = time.monotonic(), time.process_time()
        await Replay(silence, engines.clock).run(engines.session_builder(config.agent.llm, config.agent.mode))
        share = (time.process_time() - busy) / (time.monotonic() - started)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"idle for {seconds:.0f} s: {share:.1%} of one core, peak memory {peak_mb:.0f} MB (bars: 6 %, 700 MB)")


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 30.0))
