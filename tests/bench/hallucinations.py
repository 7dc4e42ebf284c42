"""What the recogniser makes of a minute each of sounds that are no speech: `python -m tests.bench.hallucinations`.

Each sound goes through voice activity and recogniser as in a conversation; a turn is a stretch of it that the
voice activity takes for speech, and hallucinated if words are understood. Bar: none. Short utterances that the guards
must let through are counted beside them.
"""

import asyncio
import sys

import numpy as np
from rich.console import Console
from rich.table import Table

from agent.measure.recordings import shipped
from agent.measure.silences import understood
from agent.models.load import load_stt
from agent.setup.config import load_config
from agent.system.resources import shipped as folder
from pipelines.audio import to_float
from pipelines.events import SAMPLE_RATE_HZ, Pcm

SECONDS = 60
PIECE_S = 5  # a turn is not longer: what goes on is decoded piece by piece


def sounds(seconds: int) -> dict[str, Pcm]:
    """The generators of the recordings, and babble of the shipped questions."""
    sys.path.insert(0, str(folder("recordings")))
    import conditions
    import sounds

    samples = seconds * SAMPLE_RATE_HZ
    made = {name: make(samples, name) for name, make in sounds.SOUNDS.items()}
    talkers = [to_float(one.pcm).astype(np.float64) for one in shipped("question_long")[:8]]
    made["babble"] = 0.05 * conditions.babble(talkers, samples, "babble")
    return {name: np.round(np.clip(signal, -1, 1) * 32_767).astype(np.int16) for name, signal in made.items()}


async def main(seconds: int) -> None:
    """Listen and print."""
    config = load_config()
    stt = load_stt(config.agent.stt)
    table = Table("sound", "seconds", "taken for speech", "with words", "which")
    for name, pcm in sounds(seconds).items():
        heard: list[str] = []
        for start in range(0, len(pcm), PIECE_S * SAMPLE_RATE_HZ):
            heard += await understood(pcm[start : start + PIECE_S * SAMPLE_RATE_HZ], stt, config.vad)
        words = [text for text in heard if text]
        table.add_row(name, str(seconds), str(len(heard)), str(len(words)), "; ".join(dict.fromkeys(words))[:60])
    short = [one for one in shipped("one_word")]
    through = [bool((await understood(one.pcm, stt, config.vad) or [""])[-1]) for one in short]
    console = Console()
    console.print(table)
    console.print(f"of {len(short)} single words spoken by voices, {sum(through)} are understood as words")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
