"""What `doctor` says of the speech models, without downloading any."""

import asyncio
from dataclasses import replace

import pytest

from agent.models.fetch import voice_path, whisper_path
from agent.setup.config import load_config
from agent.setup.doctor import Check, State, _engines, _models, show
from tests.agent.models.model_server import ModelServer
from tests.agent.models.model_world import WEIGHTS, server

__all__ = ["server"]  # a fixture


def models(stt: str = "whisper:tiny.en", tts: str = "piper:en_US-mary-low") -> dict[str, Check]:
    config = load_config()
    checks = _models(replace(config, agent=replace(config.agent, stt=stt, tts=tts)))
    return {check.name: check for check in checks}


def test_a_model_that_is_here_is_shown_with_its_place_origin_licence_and_hash(server: ModelServer) -> None:
    server.hub = "refuses"
    folder = whisper_path("tiny.en")
    check = models()["whisper:tiny.en"]
    assert check.state is State.OK
    assert check.found == (f"{folder}; from the package index (small-models==1.0); licence MIT; 0.5 MB, hashes hold")


def test_a_damaged_model_is_broken_and_has_a_fix(server: ModelServer) -> None:
    (whisper_path("tiny.en") / "model.bin").write_bytes(bytes(len(WEIGHTS)))
    check = models()["whisper:tiny.en"]
    assert check.state is State.BROKEN
    assert "model.bin is damaged: SHA-256" in check.found
    assert check.fix == "quickturn fetch whisper:tiny.en"


def test_nothing_is_downloaded_by_looking(server: ModelServer) -> None:
    config = load_config()
    config = replace(config, agent=replace(config.agent, stt="whisper:tiny.en", tts="piper:en_US-mary-low"))
    assert {check.state for check in models().values()} == {State.NOTE}
    assert asyncio.run(_engines(config)) == []
    assert server.asked == []


def test_a_configured_model_that_is_no_name_is_broken(server: ModelServer) -> None:
    voice_path("en_US-mary-low")
    checks = models(stt="whisper:tiny")
    assert checks["whisper:tiny"].state is State.BROKEN
    assert "multilingual" in checks["whisper:tiny"].found
    assert checks["piper:en_US-mary-low"].state is State.OK


def test_brackets_in_what_was_found_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show([Check("a [b]", State.NOTE, "found [x]", "pip install 'quickturn[agent-session]'")], as_json=False)
    out = capsys.readouterr().out
    assert "a [b]: found [x]" in out
    assert "pip install 'quickturn[agent-session]'" in out
