import asyncio
import functools
import json
import shutil
import threading
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from piper.config import PiperConfig, SynthesisConfig
from piper.voice import PiperVoice

from agent.models.fetch import voice_path
from pipelines.audio import first_audible_sample
from pipelines.errors import StageError
from pipelines.events import Pcm
from pipelines.tts import piper
from pipelines.tts.cut_cache import folder_for
from pipelines.tts.piper import Piper
from pipelines.tts.voices import CutVoice, to_pcm
from pipelines.tts.windows import FIRST_FRAMES

pytestmark = pytest.mark.slow

FRAME_SAMPLES = 256
LONG = "The weather in Boston will be sunny tomorrow, with a high of seventy degrees and a light wind from the north. "
CUT = "cut: text, flow and decoder"


@pytest.fixture(scope="module")
def path() -> Path:
    return voice_path("en_US-joe-medium")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cuts")


@pytest.fixture(scope="module")
def voice(path: Path, cache: Path) -> Piper:
    return Piper(path, cache=cache)


def set_up(path: Path, folder: Path, **changes: object) -> Path:
    """The same voice in a folder of its own, with another configuration."""
    config = json.loads(Path(f"{path}.json").read_text())
    (folder / path.name).symlink_to(path)
    (folder / f"{path.name}.json").write_text(json.dumps(config | changes))
    return folder / path.name


@pytest.fixture(scope="module")
def steady_path(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The voice without its noise, so that the same text is the same speech."""
    return set_up(path, tmp_path_factory.mktemp("steady"), inference={"noise_scale": 0.0, "noise_w": 0.0})


@pytest.fixture(scope="module")
def steady(steady_path: Path, cache: Path) -> Piper:
    return Piper(steady_path, cache=cache)


def spoken(voice: Piper, text: str) -> list[Pcm]:
    async def collect() -> list[Pcm]:
        return [pcm async for pcm in voice.synthesize(text)]

    return asyncio.run(collect())


@functools.cache
def pipers_own(path: Path) -> PiperVoice:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return PiperVoice(session=session, config=PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text())))


def undivided(path: Path, text: str, *, normalised: bool = False) -> list[np.ndarray]:
    """What Piper's own package makes of it with the undivided graph, sentence by sentence, in floats."""
    made = pipers_own(path).synthesize(text, SynthesisConfig(normalize_audio=normalised))
    return [chunk.audio_float_array for chunk in made]


# ---------------------------------------------------------------- the same speech as the undivided voice's


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    ["Yes.", "I", "Your table is booked.", LONG, LONG * 3, "Really? Yes! The train, at nine, is late.", "42"],
)
def test_the_pieces_are_the_undivided_voice_s_samples(steady: Piper, steady_path: Path, text: str) -> None:
    assert isinstance(steady.voice, CutVoice)
    whole = np.concatenate(undivided(steady_path, text))
    pieces = np.concatenate(spoken(steady, text))
    assert len(pieces) == len(whole)
    off = np.abs(pieces.astype(int) - to_pcm(whole, steady.voice.gain)) / np.iinfo(np.int16).max
    assert off.max() <= 1e-3


def test_a_long_sentence_begins_with_a_short_piece_that_is_audible(voice: Piper) -> None:
    first, *others = spoken(voice, LONG)
    assert len(first) == FIRST_FRAMES * FRAME_SAMPLES
    assert len(others) >= 3
    audible = first_audible_sample(first, voice.sample_rate_hz)
    assert audible is not None
    assert len(first) - audible > 0.2 * voice.sample_rate_hz


@pytest.mark.long
def test_it_is_about_as_loud_as_piper_itself_and_nothing_clips(voice: Piper, path: Path) -> None:
    texts = [LONG, "Your table is booked for two at seven.", "Could you repeat the last four digits?", "One moment."]
    ours = [np.concatenate(spoken(voice, text)) / 32767 for text in texts]
    theirs = [np.concatenate(undivided(path, text, normalised=True)) for text in texts]
    loudness = [20 * np.log10(np.median([np.sqrt(np.square(pcm).mean()) for pcm in made])) for made in (ours, theirs)]
    assert abs(loudness[0] - loudness[1]) < 3
    assert max(np.abs(pcm).max() for pcm in ours) < 1


def test_what_is_too_loud_is_bent_and_never_reaches_full_scale() -> None:
    ramp = np.linspace(-1, 1, 2_001).astype(np.float32)
    bent = to_pcm(ramp, 1.5).astype(int)
    assert (np.diff(bent) >= 0).all()
    assert np.abs(bent).max() < 32_767
    quiet = np.abs(ramp * 1.5) < 0.79
    assert np.abs(bent[quiet] - (ramp * 1.5 * 32_767)[quiet]).max() <= 1


# ---------------------------------------------------------------- as a TextToSpeech


def test_speech_is_audible_16_bit_and_as_long_as_such_a_text_takes(voice: Piper) -> None:
    pcm = np.concatenate(spoken(voice, "The weather in Boston is sunny today."))
    assert pcm.dtype == np.int16
    assert 1.5 < len(pcm) / voice.sample_rate_hz < 4
    assert np.abs(pcm.astype(int)).max() > 5_000


@pytest.mark.parametrize("text", ["...", "?", "", "   ", "!?"])
def test_text_without_sound_gives_nothing(voice: Piper, text: str) -> None:
    assert spoken(voice, text) == []


def test_longer_text_is_longer_speech(voice: Piper) -> None:
    short, long = (sum(map(len, spoken(voice, text))) for text in ("Yes.", "Yes, there is a table for two at seven."))
    assert long > 2 * short


def test_the_rate_is_the_voice_s_own(voice: Piper, path: Path) -> None:
    assert voice.sample_rate_hz == json.loads(Path(f"{path}.json").read_text())["audio"]["sample_rate"]


def test_several_texts_are_synthesized_at_once_without_mixing(steady: Piper) -> None:
    texts = ["One.", "The second text is a little longer.", "And the third one is the longest of them all, by far."]
    alone = [np.concatenate(spoken(steady, text)) for text in texts]

    async def speech(text: str) -> Pcm:
        return np.concatenate([pcm async for pcm in steady.synthesize(text)])

    async def together() -> list[Pcm]:
        return list(await asyncio.gather(*(speech(text) for text in texts)))

    for one, other in zip(asyncio.run(together()), alone, strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_cancelled_text_stops_behind_its_window_and_the_next_one_is_spoken(
    steady: Piper, monkeypatch: pytest.MonkeyPatch
) -> None:
    windows_made = 0
    counted: Callable[..., Pcm] = to_pcm

    def count(*arguments: object) -> Pcm:
        nonlocal windows_made
        windows_made += 1
        return counted(*arguments)

    async def scenario() -> int:
        monkeypatch.setattr("pipelines.tts.voices.to_pcm", count)
        first = asyncio.Event()

        async def speak() -> None:
            async for _ in steady.synthesize(LONG):
                first.set()

        task = asyncio.create_task(speak())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.get_running_loop().run_in_executor(None, steady._threads.shutdown)
        return windows_made

    total = len(spoken(steady, LONG))
    pool = steady._threads
    try:
        assert asyncio.run(scenario()) <= 2 < total
    finally:
        steady._threads = type(pool)(2)
    assert spoken(steady, "Yes.")


def test_closing_after_the_first_piece_is_clean(voice: Piper) -> None:
    async def scenario() -> None:
        async with aclosing(voice.synthesize("One. Two. Three.")) as pieces:
            assert len(await anext(pieces))

    asyncio.run(scenario())


def test_the_event_loop_runs_on_during_synthesis(voice: Piper, monkeypatch: pytest.MonkeyPatch) -> None:
    """No window is done before the loop has turned once more."""
    turns = threading.Semaphore(0)
    made: Callable[..., Pcm] = to_pcm

    def make(*arguments: object) -> Pcm:
        while turns.acquire(blocking=False):
            pass
        assert turns.acquire(timeout=5), "the event loop stands still"
        return made(*arguments)

    async def scenario() -> int:
        async with aclosing(voice.synthesize(LONG)) as pieces:
            speaking = asyncio.create_task(anext(pieces))
            while not speaking.done():
                turns.release()
                await asyncio.sleep(0)
            return len(await speaking)

    monkeypatch.setattr("pipelines.tts.voices.to_pcm", make)
    assert asyncio.run(scenario())


# ---------------------------------------------------------------- loading


def test_a_voice_is_cut_once_and_taken_from_the_cache_afterwards(
    voice: Piper, path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_cut(path: Path) -> None:
        raise AssertionError(f"'{path}' was cut again")

    monkeypatch.setattr(piper, "cut", no_cut)
    again = Piper(path, cache=cache)
    assert (voice.how, again.how) == (CUT, CUT)
    assert isinstance(again.voice, CutVoice)
    assert isinstance(voice.voice, CutVoice)
    assert again.voice.gain == voice.voice.gain
    assert [entry.name for entry in folder_for(path, cache).parent.iterdir()] == [folder_for(path, cache).name]


def cut_quickly(patch: pytest.MonkeyPatch) -> None:
    """Find the level over one sentence, where something else is looked at."""
    patch.setattr("pipelines.tts.voices.CALIBRATION", ("What would you like to know?",))


@pytest.fixture(scope="module")
def quick_cache(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("quick")
    with pytest.MonkeyPatch.context() as patch:
        cut_quickly(patch)
        Piper(path, cache=folder)
    return folder


@pytest.mark.parametrize(("part", "content"), [("decoder.onnx", b"half"), ("cut.json", b"[1]"), ("flow.onnx", None)])
def test_a_damaged_cache_is_made_anew(
    path: Path, quick_cache: Path, tmp_path: Path, part: str, content: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_quickly(monkeypatch)
    shutil.copytree(quick_cache, tmp_path / "cache")
    damaged = folder_for(path, tmp_path / "cache") / part
    whole = damaged.read_bytes()
    damaged.unlink()
    if content is not None:
        damaged.write_bytes(content)
    assert Piper(path, cache=tmp_path / "cache").how == CUT
    assert damaged.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_no_error(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_quickly(monkeypatch)
    (tmp_path / "file").write_text("no folder")
    assert Piper(path, cache=tmp_path / "file").how == CUT


def test_a_graph_that_cannot_be_cut_is_used_whole_and_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.tts.cut._LOCAL", frozenset())
    whole = Piper(path)
    assert whole.how.startswith("whole: ")
    assert len(spoken(whole, "Yes. The table is booked. See you at seven.")) == 3


def test_windows_that_differ_from_the_whole_are_not_used(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cut_quickly(monkeypatch)
    monkeypatch.setattr("pipelines.tts.cut._margin", lambda graph: 2)
    assert Piper(path).how.startswith("whole: its windows differ from the whole by 0.")


def test_a_file_that_is_no_voice_is_refused_in_one_line(path: Path, tmp_path: Path) -> None:
    bad = tmp_path / "voice.onnx"
    shutil.copy(f"{path}.json", f"{bad}.json")
    for content in (b"not a model", path.read_bytes()[:1_000_000], b""):
        bad.write_bytes(content)
        with pytest.raises(StageError, match=r"no Piper voice could be loaded from '.*voice.onnx'") as caught:
            Piper(bad, cache=tmp_path)
        assert "\n" not in str(caught.value)


def test_a_voice_without_its_configuration_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "voice.onnx").symlink_to(path)
    with pytest.raises(StageError, match=r"no Piper voice could be loaded.*FileNotFoundError"):
        Piper(tmp_path / "voice.onnx")


@pytest.mark.parametrize("content", ["[]", "{}", '{"audio": 3}', "not JSON", '{"audio": {"sample_rate": 22050}}'])
def test_a_configuration_of_another_shape_is_refused_in_one_line(path: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "voice.onnx").symlink_to(path)
    (tmp_path / "voice.onnx.json").write_text(content)
    with pytest.raises(StageError, match=r"no Piper voice could be loaded from") as caught:
        Piper(tmp_path / "voice.onnx")
    assert "\n" not in str(caught.value)
