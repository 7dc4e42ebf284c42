import asyncio
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from agent import engines, fetch
from agent.engines import load_stt, load_tts
from pipelines.errors import InputError
from pipelines.models import PIPER_VOICES, WHISPER_MICRO_EN


@pytest.fixture(autouse=True)
def nothing_fetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "empty"))


def without(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setattr(engines, "find_spec", lambda name: None if name == package else object())


def fetched_to(monkeypatch: pytest.MonkeyPatch, whispers: Sequence[str] = (), voices: Sequence[str] = ()) -> None:
    """Pretends that models lie in the cache, with the embedded ones in their place."""
    monkeypatch.setattr(fetch, "fetched_whispers", lambda hub=None: list(whispers))
    monkeypatch.setattr(fetch, "fetched_voices", lambda hub=None: list(voices))
    monkeypatch.setattr(fetch, "whisper_path", lambda name, hub=None: WHISPER_MICRO_EN)
    monkeypatch.setattr(fetch, "voice_path", lambda name, hub=None: PIPER_VOICES["nano"])


@pytest.mark.parametrize(
    "spec", ["", "wisper", "whisper", "whisper:", "embedded:large", "pocketsphinx:en", "auto:base"]
)
def test_an_unknown_recogniser_is_answered_with_the_allowed_ones(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        load_stt(spec, live=False)
    assert str(caught.value) == (
        f"stt '{spec}' is not one of: 'auto', 'embedded', 'whisper:SIZE_OR_PATH', 'pocketsphinx'"
    )


@pytest.mark.parametrize("spec", ["", "bob", "piper", "piper:", "embedded:bob"])
def test_an_unknown_voice_is_answered_with_the_allowed_ones(spec: str) -> None:
    with pytest.raises(InputError, match=rf"tts '{spec}' is not one of: 'auto', .* 'embedded:micro_slt'"):
        load_tts(spec)


@pytest.mark.parametrize("window_s", [-1, 30.5])
def test_an_impossible_window_is_refused(window_s: float) -> None:
    with pytest.raises(InputError, match=r"encoder window .* is not between 0"):
        load_stt("embedded", live=False, window_s=window_s)


@pytest.mark.slow
def test_auto_takes_the_embedded_model_for_recordings_and_says_why() -> None:
    stt, note = load_stt("auto", live=False)
    assert stt.name == "embedded"
    assert "no larger model has been fetched" in note
    assert "demo's domain" in note


@pytest.mark.slow
def test_auto_takes_pocketsphinx_for_live_speech_where_it_is_installed() -> None:
    pytest.importorskip("pocketsphinx")
    stt, note = load_stt("auto", live=True)
    assert stt.name == "pocketsphinx"
    assert "live speech" in note


@pytest.mark.slow
def test_auto_falls_back_to_the_embedded_model_for_live_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "pocketsphinx")
    stt, note = load_stt("auto", live=True)
    assert stt.name == "embedded"
    assert "neither a whisper model nor PocketSphinx is here" in note


@pytest.mark.slow
@pytest.mark.parametrize("live", [True, False])
def test_auto_takes_the_largest_fetched_model(monkeypatch: pytest.MonkeyPatch, live: bool) -> None:
    fetched_to(monkeypatch, whispers=["tiny.en", "base.en"])
    stt, note = load_stt("auto", live=live)
    assert stt.name == "whisper:base.en"
    assert "largest model that has been fetched" in note


@pytest.mark.slow
def test_a_local_whisper_directory_is_loaded(tmp_path: Path) -> None:
    shutil.copytree(WHISPER_MICRO_EN, tmp_path / "mine")
    stt, _ = load_stt(f"whisper:{tmp_path / 'mine'}", live=False)
    assert stt.name == f"whisper:{tmp_path / 'mine'}"


@pytest.mark.slow
@pytest.mark.parametrize("spec", ["embedded", "embedded:micro", "embedded:micro_slt", "embedded:nano"])
def test_each_embedded_voice_speaks(spec: str) -> None:
    tts, note = load_tts(spec)

    async def samples() -> int:
        return sum([len(pcm) async for pcm in tts.synthesize("Good morning.")])

    assert asyncio.run(samples()) > tts.sample_rate_hz / 2
    assert tts.name.startswith("embedded:")
    assert "test voice" in note


@pytest.mark.slow
def test_auto_speaks_with_a_fetched_voice_before_the_embedded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_tts("auto")[0].name == "embedded:micro"
    fetched_to(monkeypatch, voices=["en_US-lessac-medium"])
    assert load_tts("auto")[0].name == "piper:en_US-lessac-medium"


def test_choosing_engines_imports_no_heavy_library() -> None:
    code = (
        "import agent.engines, sys; print([m for m in ('faster_whisper', 'piper', 'onnxruntime') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
