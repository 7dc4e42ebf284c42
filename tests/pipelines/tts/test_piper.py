import asyncio
import json
import shutil
from contextlib import aclosing
from pathlib import Path

import numpy as np
import pytest

from pipelines.errors import StageError
from pipelines.events import Pcm
from pipelines.models import PIPER_VOICES
from pipelines.tts.piper import Piper

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def voice() -> Piper:
    return Piper(PIPER_VOICES["nano"])


def spoken(voice: Piper, text: str) -> list[Pcm]:
    async def collect() -> list[Pcm]:
        return [pcm async for pcm in voice.synthesize(text)]

    return asyncio.run(collect())


def test_a_sentence_is_one_piece_of_audible_16_bit_speech(voice: Piper) -> None:
    (pcm,) = spoken(voice, "The weather in Boston is sunny today.")
    assert pcm.dtype == np.int16
    assert 1.5 < len(pcm) / voice.sample_rate_hz < 4
    assert np.abs(pcm).max() > 5_000


def test_sentences_come_piece_by_piece(voice: Piper) -> None:
    assert len(spoken(voice, "Yes. The table is booked. See you at seven.")) == 3


@pytest.mark.parametrize("text", ["...", "?", "", "   ", "!?"])
def test_text_without_sound_gives_nothing(voice: Piper, text: str) -> None:
    assert spoken(voice, text) == []


def test_longer_text_is_longer_speech(voice: Piper) -> None:
    short, long = (sum(map(len, spoken(voice, text))) for text in ("Yes.", "Yes, there is a table for two at seven."))
    assert long > 2 * short


def test_the_rate_is_the_voice_s_own(voice: Piper) -> None:
    config = json.loads(Path(f"{PIPER_VOICES['nano']}.json").read_text())
    assert voice.sample_rate_hz == config["audio"]["sample_rate"]


def test_several_texts_are_synthesized_at_once_without_mixing(voice: Piper) -> None:
    texts = ["One.", "The second text is a little longer.", "And the third one is the longest of them all, by far."]
    alone = [sum(map(len, spoken(voice, text))) for text in texts]

    async def length(text: str) -> int:
        return sum([len(pcm) async for pcm in voice.synthesize(text)])

    async def together() -> list[int]:
        return list(await asyncio.gather(*(length(text) for text in texts)))

    assert asyncio.run(together()) == alone


def test_a_cancelled_text_is_dropped_and_the_next_one_spoken(voice: Piper) -> None:
    async def scenario() -> int:
        async def speak() -> None:
            async for _ in voice.synthesize("This is a rather long sentence. " * 20):
                pass

        task = asyncio.create_task(speak())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return sum([len(pcm) async for pcm in voice.synthesize("Yes.")])

    assert asyncio.run(scenario()) == sum(map(len, spoken(voice, "Yes.")))


def test_closing_after_the_first_piece_is_clean(voice: Piper) -> None:
    async def scenario() -> None:
        async with aclosing(voice.synthesize("One. Two. Three.")) as pieces:
            assert len(await anext(pieces))

    asyncio.run(scenario())


def test_the_event_loop_runs_on_during_synthesis(voice: Piper) -> None:
    async def scenario() -> int:
        ticks = 0

        async def tick() -> None:
            nonlocal ticks
            while True:
                await asyncio.sleep(0.001)
                ticks += 1

        ticking = asyncio.create_task(tick())
        async for _ in voice.synthesize("This sentence is long enough to take some time to be synthesized. " * 4):
            pass
        ticking.cancel()
        return ticks

    assert asyncio.run(scenario()) >= 5


def test_a_file_that_is_no_voice_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "voice.onnx"
    path.write_bytes(b"not a model")
    shutil.copy(f"{PIPER_VOICES['nano']}.json", f"{path}.json")
    with pytest.raises(StageError, match=r"no Piper voice could be loaded from '.*voice.onnx'") as caught:
        Piper(path)
    assert "\n" not in str(caught.value)


def test_a_voice_without_its_configuration_is_refused(tmp_path: Path) -> None:
    shutil.copy(PIPER_VOICES["nano"], tmp_path / "voice.onnx")
    with pytest.raises(StageError, match=r"no Piper voice could be loaded.*FileNotFoundError"):
        Piper(tmp_path / "voice.onnx")
