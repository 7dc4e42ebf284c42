"""How sure is the recogniser that a sentence has ended: finished sentences against hesitations after the same words.

    python tests/bench/hesitations.py [--microphone]

Each of 24 texts is spoken by five voices twice: as a sentence of its own, and cut out of a longer one that it begins,
where a hesitating speaker would pause. For each threshold it prints the share of both that the recogniser takes for
finished. It says how far `endpointing.confident_end_probability` carries beyond the shipped recordings, with which it
shares a few texts. With `--microphone` all of them go through what `talk` does to a microphone at 48 kHz: as it is
shipped, and with noise suppression. It takes a minute and the Debian packages that recordings/make.py names.
"""

import asyncio
import importlib.util
import sys
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import numpy as np

from agent.engines import load_stt
from agent.sound.echo import Cleaner, SoundSettings
from pipelines.audio import resample
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Heard, Pcm
from pipelines.stt import SpeechToText
from pipelines.vad import VoiceActivity

VOICES = ("flite:slt", "flite:rms", "flite:awb", "flite:kal16", "festival:cmu_us_slt_arctic_hts")
UNSEEN = "festival:cmu_us_slt_arctic_hts"
THRESHOLDS = (0.5, 0.7, 0.8, 0.85, 0.9, 0.95)
_CARD_HZ = 48_000
TEXTS = """
What is the weather like in Paris? | tomorrow evening?
Explain neural networks. | to a five year old.
Tell me a joke. | about an elephant.
What is the time to first token? | for the large model?
I need a room in Boston. | for five nights please.
Book a table for two. | at seven this evening.
Set a timer. | for ten minutes.
Play some music. | in the living room.
How much is a ticket? | to San Francisco?
Turn off the lights. | in the kitchen please.
What time does the museum open? | on Sunday morning?
I would like to order a large pizza. | with extra cheese.
How long does it take to drive? | from Boston to New York?
Remind me to call Sarah. | at half past nine.
Find a good restaurant. | near the train station.
Can you tell me a story? | about a lion and a monkey?
How many tokens per second can the model generate? | on a single card?
Schedule a meeting with Peter. | on Monday afternoon.
How fast is the large model? | on a laptop?
Give me directions. | to the library.
Do I have any meetings? | on Friday?
Send a message to Anna. | about the meeting.
What is on my calendar? | next week?
Cancel my reservation. | for tomorrow night.
"""


def synthesizers() -> ModuleType:
    """The script that makes the recordings, as a module."""
    path = Path(__file__).parents[2] / "recordings" / "make.py"
    spec = importlib.util.spec_from_file_location("make_recordings", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


def speak(make: ModuleType, voice: str, line: str) -> tuple[str, Pcm, Pcm]:
    """The voice, the finished sentence, and the same words before a hesitation; each ends with its last sound."""
    sentence, _, rest = (part.strip() for part in line.partition("|"))
    finished = make.utter(voice, sentence, 1.0)
    hesitation = make.utter(voice, f"{sentence[:-1]} {{900 complete}} {rest}", 1.0)
    cuts = (finished.signal[: finished.end], hesitation.signal[: hesitation.pauses[0][0]])
    return voice, *((np.clip(cut, -1, 1) * 32_767).astype(np.int16) for cut in cuts)


def captured(pcm: Pcm, settings: SoundSettings) -> Pcm:
    """The same as `talk` would hear it at a card of 48 kHz, with nothing played."""
    cleaner, block = Cleaner(settings, _CARD_HZ, _CARD_HZ), _CARD_HZ // 50
    pcm = resample(np.pad(pcm, (SAMPLE_RATE_HZ, 0)), SAMPLE_RATE_HZ, _CARD_HZ)
    pcm = np.pad(pcm, (0, -len(pcm) % block))
    return np.concatenate([cleaner.clean(part, np.zeros_like(part), 0.04) for part in pcm.reshape(-1, block)])


async def heard(pcm: Pcm) -> AsyncIterator[Heard]:
    """The signal and a silence, with the voice activity's events, faster than real time."""
    vad, before, speaking = VoiceActivity(), [], False
    pcm = np.concatenate([pcm, np.zeros(SAMPLE_RATE_HZ * 6 // 10, np.int16)])
    for start in range(0, len(pcm), 160):
        frame = AudioFrame(pcm[start : start + 160], start)
        events = vad.hear(frame)
        before.append(frame)
        if speaking or events:
            for event in [*events[:1], *before[-40:]] if not speaking else [frame, *events]:
                yield event
            speaking = True
        await asyncio.sleep(0)


async def end_probability(stt: SpeechToText, pcm: Pcm) -> float:
    """What the recogniser thinks at the pause; 0 where it heard nothing."""
    finals = [t async for t in stt.transcribe(heard(pcm)) if t.is_final]
    return (finals[-1].end_probability if finals else None) or 0.0


async def main() -> None:
    """Synthesize, then recognise and print."""
    make = synthesizers()
    lines = [line for line in TEXTS.splitlines() if line]
    with ThreadPoolExecutor() as pool:
        spoken = list(pool.map(lambda job: speak(make, *job), [(v, line) for v in VOICES for line in lines]))
    stt, _ = load_stt("embedded", live=False)
    print(f"{len(lines)} texts x {len(VOICES)} voices; taken for finished: finished sentences / hesitations")
    if "--microphone" not in sys.argv:
        await show(stt, spoken)
        return
    for settings in (SoundSettings(), SoundSettings(noise_suppression=True)):
        print(f"noise suppression {'on' if settings.noise_suppression else 'off'}")
        await show(stt, [(voice, captured(a, settings), captured(b, settings)) for voice, a, b in spoken])


async def show(stt: SpeechToText, spoken: Sequence[tuple[str, Pcm, Pcm]]) -> None:
    """Recognise and print the table."""
    judged = [(voice, await end_probability(stt, a), await end_probability(stt, b)) for voice, a, b in spoken]
    for threshold in THRESHOLDS:
        shares = []
        for name, unseen in (("voices it learnt from", False), ("a voice it never heard", True)):
            mine = [(a, b) for voice, a, b in judged if (voice == UNSEEN) == unseen]
            finished, hesitating = (np.mean([pair[i] >= threshold for pair in mine]) for i in (0, 1))
            shares.append(f"{name} {finished:4.0%} / {hesitating:4.0%}")
        print(f"p >= {threshold:.2f}: {', '.join(shares)}")


if __name__ == "__main__":
    asyncio.run(main())
