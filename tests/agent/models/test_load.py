import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.models.fetch import voice_path, whisper_path
from agent.models.load import load_stt, load_tts
from pipelines.errors import InputError

VOCABULARY = "token\n" * 51_864


@pytest.fixture
def whisper(tmp_path: Path) -> Path:
    """A folder that has the files of an English Whisper, but no weights in them."""
    for name, text in {"model.bin": "x", "config.json": "{}", "tokenizer.json": "{}"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "vocabulary.txt").write_text(VOCABULARY)
    return tmp_path


def said_of_stt(folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_stt(f"whisper:{folder}")
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(folder), "FOLDER")


def said_of_tts(onnx: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_tts(f"piper:{onnx}")
    assert "\n" not in str(caught.value)
    return str(caught.value).replace(str(onnx.parent), "FOLDER")


@pytest.mark.parametrize("spec", ["", "wisper", "whisper", "whisper:", "auto", "embedded", "pocketsphinx"])
def test_an_unknown_recogniser_is_answered_with_what_there_is(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        load_stt(spec)
    assert str(caught.value) == f"stt '{spec}' is not one of: 'whisper:SIZE_OR_PATH', such as 'whisper:tiny.en'"


@pytest.mark.parametrize("spec", ["", "bob", "piper", "piper:", "auto", "embedded:micro"])
def test_an_unknown_voice_is_answered_with_what_there_is(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        load_tts(spec)
    assert str(caught.value) == f"tts '{spec}' is not one of: 'piper:VOICE_OR_PATH', such as 'piper:en_US-joe-medium'"


@pytest.mark.parametrize("window_s", [-1, 30.5])
def test_an_impossible_window_is_refused(window_s: float) -> None:
    with pytest.raises(InputError, match=r"encoder window .* is not between 0"):
        load_stt("whisper:tiny.en", window_s=window_s)


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json", "vocabulary.txt"])
@pytest.mark.parametrize("how", ["missing", "empty"])
def test_a_whisper_folder_without_one_of_its_files_is_refused(whisper: Path, name: str, how: str) -> None:
    (whisper / name).unlink()
    if how == "empty":
        (whisper / name).touch()
    lacking = "vocabulary.txt or vocabulary.json" if name == "vocabulary.txt" else name
    assert said_of_stt(whisper) == (
        f"stt 'whisper:FOLDER': {lacking} is missing in 'FOLDER'; expected an English Whisper for CTranslate2, such as"
        " 'whisper:tiny.en'"
    )


@pytest.mark.parametrize("as_json", [False, True])
def test_a_multilingual_whisper_is_refused_by_its_vocabulary(whisper: Path, as_json: bool) -> None:
    if as_json:
        (whisper / "vocabulary.txt").unlink()
        (whisper / "vocabulary.json").write_text(json.dumps(["token"] * 51_865))
    else:
        (whisper / "vocabulary.txt").write_text(f"{VOCABULARY}one more\n")
    assert said_of_stt(whisper) == (
        "stt 'whisper:FOLDER' is multilingual, and this agent speaks English; expected an English model, such as"
        " 'whisper:tiny.en'"
    )


def test_a_vocabulary_that_is_none_is_named(whisper: Path) -> None:
    (whisper / "vocabulary.txt").write_bytes(b"\xff\xfe")
    assert said_of_stt(whisper).startswith("stt 'whisper:FOLDER': vocabulary.txt cannot be read: 'utf-8' codec")


def test_weights_that_are_none_are_named(whisper: Path) -> None:
    assert said_of_stt(whisper).startswith(
        "stt 'whisper:FOLDER': no faster-whisper (CTranslate2) model could be loaded"
    )


@pytest.mark.slow
def test_weights_that_were_cut_are_named(tmp_path: Path) -> None:
    real = whisper_path("tiny.en")
    for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
        (tmp_path / name).symlink_to(real / name)
    with (real / "model.bin").open("rb") as stream:
        (tmp_path / "model.bin").write_bytes(stream.read(5_000_000))
    assert "no faster-whisper (CTranslate2) model could be loaded from 'FOLDER': " in said_of_stt(tmp_path)


def test_a_voice_without_its_configuration_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").touch()
    assert said_of_tts(tmp_path / "mine.onnx") == (
        "tts 'piper:FOLDER/mine.onnx': mine.onnx.json is missing in 'FOLDER'; expected it beside the voice"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<html>", "mine.onnx.json is not JSON: "),
        ("{}", "mine.onnx.json is not a Piper configuration; expected a key 'audio'"),
    ],
)
def test_a_voice_with_another_configuration_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.onnx").touch()
    (tmp_path / "mine.onnx.json").write_text(text)
    assert message in said_of_tts(tmp_path / "mine.onnx")


@pytest.mark.slow
def test_a_voice_that_was_cut_short_is_named(tmp_path: Path) -> None:
    real = voice_path("en_US-joe-medium")
    (tmp_path / "mine.onnx.json").symlink_to(f"{real}.json")
    with real.open("rb") as stream:
        (tmp_path / "mine.onnx").write_bytes(stream.read(5_000_000))
    assert "no Piper voice could be loaded from 'FOLDER/mine.onnx': " in said_of_tts(tmp_path / "mine.onnx")


@pytest.mark.slow
def test_the_default_voice_speaks_and_the_default_recogniser_is_loaded() -> None:
    tts = load_tts("piper:en_US-joe-medium")

    async def samples() -> int:
        return sum([len(pcm) async for pcm in tts.synthesize("Good morning.")])

    assert asyncio.run(samples()) > tts.sample_rate_hz / 2
    assert tts.name == "piper:en_US-joe-medium"
    assert load_stt("whisper:tiny.en").name == "whisper:tiny.en"


@pytest.mark.slow
def test_a_model_of_the_users_own_is_loaded_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "mine").symlink_to(whisper_path("tiny.en"))
    assert load_stt(f"whisper:{tmp_path / 'mine'}").name == f"whisper:{tmp_path / 'mine'}"


def test_choosing_engines_imports_no_heavy_library() -> None:
    heavy = ("faster_whisper", "piper", "onnxruntime", "huggingface_hub", "filelock")
    code = f"import agent.models.load, sys; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
