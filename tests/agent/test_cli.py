import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.command_line import quickturn


@pytest.fixture
def wav(tmp_path: Path) -> Path:
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(1_600), 16_000)
    return path


BAD_INPUT = {
    "a missing file": (["replay", "none.wav"], "none.wav: does not exist"),
    "a directory": (["replay", "."], "is a directory"),
    "an unknown provider": (["replay", "--llm", "cerebros/llama"], "'cerebros' is not one of: 'cerebras'"),
    "an unknown simulated profile": (
        ["replay", "--llm", "sim/gpu-cloud-7b"],
        "'gpu-cloud-7b' is not one of: 'gpu-cloud-",
    ),
    "an unknown mode": (["replay", "--mode", "eager"], "'eager'"),
    "an unknown mode to compare": (
        ["compare", "--llm", "sim/1:100", "--mode", "eager"],
        "sequential, streaming, speculative",
    ),
    "an unknown engine": (["replay", "--stt", "wisper"], "stt 'wisper' is not one of"),
    "an unknown voice": (["replay", "--tts", "bob"], "tts 'bob' is not one of: 'piper:VOICE_OR_PATH'"),
    "a multilingual recogniser": (["replay", "--stt", "whisper:tiny"], "expected 'whisper:tiny.en'"),
    "a folder that is not there": (["replay", "--stt", "whisper:./none"], "there is no such folder"),
    "an unknown turn detector": (["replay", "--config", "detector.toml"], "turn detector 'clever' is not one of"),
    "a voice file that is not there": (["replay", "--tts", "piper:./none.onnx"], "none.onnx"),
    "a missing key": (["replay", "--llm", "groq/llama-3.3-70b-versatile"], "GROQ_API_KEY"),
    "a missing configuration": (["replay", "--config", "none.toml"], "none.toml cannot be read"),
}


@pytest.mark.parametrize("case", BAD_INPUT)
def test_bad_input_gets_one_line_and_exit_code_2(
    case: str, tmp_path: Path, wav: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "detector.toml").write_text('[agent]\nturn_detector = "clever"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    argv, message = BAD_INPUT[case]
    if case not in ("a missing file", "a directory"):
        argv = [*argv, str(wav)]
    code = quickturn(*argv)
    out, err = capsys.readouterr()
    assert code == 2
    assert not out
    assert message in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize(
    "argv",
    [
        ["replay"],
        ["demo"],
        ["compare", "--llm", "sim/1:100"],
        ["talk"],
        ["web"],
        ["room", "join", "--room", "kitchen"],
        ["room", "worker"],
        ["stt-eval"],
        ["endpointing-eval"],
        ["fetch"],
    ],
    ids=" ".join,
)
def test_offline_refuses_to_download_with_one_line(
    argv: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("QUICKTURN_MODELS", str(tmp_path / "none"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    for name, value in {"URL": "ws://127.0.0.1:9", "API_KEY": "devkey", "API_SECRET": "secret"}.items():
        monkeypatch.setenv(f"LIVEKIT_{name}", value)
    code = quickturn(*argv, "--offline")
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith(
        "quickturn: whisper:tiny.en: it is not here, and downloads are off (--offline, HF_HUB_OFFLINE)"
    )
    assert last.endswith("quickturn fetch whisper:tiny.en")
    assert argv == ["demo"] or err.count("\n") == 1  # the demo says first what it will do


def test_compare_replays_the_recordings_of_its_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Those and no others: one that is not shipped has to be given."""
    turn = {"type": "turn", "recording": "mine", "llm": "sim/1:100", "mode": "streaming", "outcome": "completed"}
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(json.dumps(line) for line in ({"type": "session", "version": 1}, turn)) + "\n")
    code = quickturn("compare", "--baseline", trace)
    out, err = capsys.readouterr()
    assert (code, out) == (2, "")
    assert err == (
        "quickturn: recording 'mine' of the trace is not among the shipped ones: give the files of all of them\n"
    )


def test_an_unknown_configuration_key_is_named_by_its_full_path(
    tmp_path: Path, wav: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text("[endpointing]\nlikly_ms = 200\n")
    code = quickturn("replay", wav, "--config", tmp_path / "mine.toml")
    err = capsys.readouterr().err
    assert code == 2
    assert "endpointing.likly_ms is not one of: likely_ms" in err


@pytest.mark.parametrize("option", ["--out", "--trace"])
def test_an_unwritable_place_is_refused_before_anything_is_measured(
    option: str, tmp_path: Path, wav: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    code = quickturn("replay", wav, option, tmp_path / "file" / "below")
    err = capsys.readouterr().err
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.slow
def test_a_full_disk_ends_with_one_line(wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to stand for a full disk")
    code = quickturn("replay", wav, "--trace", "/dev/full")
    err = capsys.readouterr().err
    assert code == 2
    assert err.strip().splitlines()[-1].startswith("quickturn: trace /dev/full cannot be written: No space left")


def test_a_port_in_use_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code = quickturn("llm-sim", "--port", port)
        err = capsys.readouterr().err
    assert code == 2
    assert f"port {port}" in err


@pytest.mark.long  # no test runs beside it
def test_help_answers_in_half_a_second() -> None:
    took_s = []
    for _ in range(3):
        started_s = time.monotonic()
        shown = subprocess.run([sys.executable, "-m", "agent", "--help"], capture_output=True, text=True, check=True)
        took_s.append(time.monotonic() - started_s)
        assert "demo" in shown.stdout
    assert min(took_s) < 0.5  # other programs can only make it later


@pytest.mark.slow
@pytest.mark.long
def test_json_is_one_document_on_stdout_and_nothing_else(wav: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = quickturn("replay", wav, "--json")
    out = capsys.readouterr().out
    document = json.loads(out)
    assert code == 0
    assert document["turns"][0]["outcome"] == "no_speech"
    assert document["summary"]["turn_latency_ms"]["n"] == 0
