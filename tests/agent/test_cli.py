import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agent.cli import main
from tests.timing import once_undisturbed


def quickturn(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *argv: object
) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command line."""
    monkeypatch.setattr(sys, "argv", ["quickturn", *map(str, argv)])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    code = ended.value.code
    return (code if isinstance(code, int) else 0), captured.out, captured.err


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
    code, out, err = quickturn(monkeypatch, capsys, *argv)
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
    code, out, err = quickturn(monkeypatch, capsys, *argv, "--offline")
    assert (code, out) == (2, "")
    last = err.strip().splitlines()[-1]
    assert last.startswith(
        "quickturn: whisper:tiny.en: it is not here, and downloads are off (--offline, HF_HUB_OFFLINE)"
    )
    assert last.endswith("quickturn fetch whisper:tiny.en")
    assert argv == ["demo"] or err.count("\n") == 1  # the demo says first what it will do


def test_compare_replays_the_recordings_of_its_baseline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those and no others: one that is not shipped has to be given."""
    turn = {"type": "turn", "recording": "mine", "llm": "sim/1:100", "mode": "streaming"}
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(json.dumps(line) for line in ({"type": "session", "version": 1}, turn)) + "\n")
    code, out, err = quickturn(monkeypatch, capsys, "compare", "--baseline", trace)
    assert (code, out) == (2, "")
    assert err == (
        "quickturn: recording 'mine' of the trace is not among the shipped ones: give the files of all of them\n"
    )


def test_an_unknown_configuration_key_is_named_by_its_full_path(
    tmp_path: Path, wav: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.toml").write_text("[endpointing]\nlikly_ms = 200\n")
    code, _, err = quickturn(monkeypatch, capsys, "replay", wav, "--config", tmp_path / "mine.toml")
    assert code == 2
    assert "endpointing.likly_ms is not one of: likely_ms" in err


@pytest.mark.parametrize("option", ["--out", "--trace"])
def test_an_unwritable_place_is_refused_before_anything_is_measured(
    option: str, tmp_path: Path, wav: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    code, _, err = quickturn(monkeypatch, capsys, "replay", wav, option, tmp_path / "file" / "below")
    assert code == 2
    assert "cannot be written" in err


@pytest.mark.slow
def test_a_full_disk_ends_with_one_line(
    wav: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full to stand for a full disk")
    code, _, err = quickturn(monkeypatch, capsys, "replay", wav, "--trace", "/dev/full")
    assert code == 2
    assert err.strip().splitlines()[-1].startswith("quickturn: trace /dev/full cannot be written: No space left")


def test_a_port_in_use_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        code, _, err = quickturn(monkeypatch, capsys, "llm-sim", "--port", port)
    assert code == 2
    assert f"port {port}" in err


@once_undisturbed
def test_help_answers_in_half_a_second() -> None:
    started = time.monotonic()
    shown = subprocess.run([sys.executable, "-m", "agent", "--help"], capture_output=True, text=True, check=True)
    took_s = time.monotonic() - started
    assert "demo" in shown.stdout
    assert took_s < 0.5


@pytest.mark.slow
def test_json_is_one_document_on_stdout_and_nothing_else(
    wav: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = quickturn(monkeypatch, capsys, "replay", wav, "--json")
    document = json.loads(out)
    assert code == 0
    assert document["turns"][0]["outcome"] == "no_speech"
    assert document["summary"]["turn_latency_ms"]["n"] == 0
