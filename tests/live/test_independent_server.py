"""The client, `bench` and a whole conversation against OpenAI-compatible servers that are not ours.

LiteLLM's proxy stands in front of the pacer, so that every request and answer passes an implementation of its own in
both directions. llama.cpp's server runs a model with random weights: what it says is nonsense, how it says it is not.
"""

import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from agent.system.resources import shipped
from tests.command_line import quickturn
from tests.ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]
KEY = "sk-only-on-this-machine-0123456789"


@contextmanager
def server(command: list[str], ready_url: str, log: Path) -> Iterator[None]:
    """A server process until it is no longer needed."""
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL) as process,
    ):
        try:
            deadline = time.monotonic() + 90
            while not _answers(ready_url):
                assert process.poll() is None, log.read_text()[-2_000:]
                assert time.monotonic() < deadline, log.read_text()[-2_000:]
                time.sleep(0.2)
            yield
        finally:
            process.terminate()


def _answers(url: str) -> bool:
    with suppress(OSError), urllib.request.urlopen(url, timeout=2):
        return True
    return False


def providers(folder: Path, name: str, base_url: str, key_env: str = "") -> Path:
    """A configuration whose provider `name` is at `base_url`."""
    key = f'api_key_env = "{key_env}"\n' if key_env else ""
    (folder / "providers.toml").write_text(
        f'[providers.{name}]\nbase_url = "{base_url}"\n{key}[[providers.{name}.models]]\nid = "model"\n'
        "usd_per_m_input = 0.1\nusd_per_m_output = 0.1\nsource = 'this test'\ndate = '2026-11-21'\n"
    )
    (folder / "config.toml").write_text(f'[agent]\nproviders = "{folder / "providers.toml"}"\n')
    return folder / "config.toml"


@pytest.fixture(scope="module")
def litellm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration for LiteLLM's proxy in front of the pacer."""
    program = shutil.which("litellm")
    if program is None:
        pytest.skip("no litellm on PATH: pip install 'litellm[proxy]' into an environment of its own")
    folder, pacer, port = tmp_path_factory.mktemp("litellm"), free_port(), free_port()
    (folder / "litellm.yaml").write_text(
        "model_list: [{model_name: model, litellm_params: {model: openai/cerebras-llama3.1-8b, api_key: none, "
        f"api_base: 'http://127.0.0.1:{pacer}/v1'}}}}]\ngeneral_settings: {{master_key: {KEY}}}\n"
    )
    os.environ |= {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_TEST_KEY": KEY}
    ours = [sys.executable, "-c", "from agent.cli import main; main()", "llm-sim", "--port", str(pacer)]
    theirs = [program, "--config", str(folder / "litellm.yaml"), "--host", "127.0.0.1", "--port", str(port)]
    with (
        server(ours, f"http://127.0.0.1:{pacer}/v1/models", folder / "pacer.log"),
        server(theirs, f"http://127.0.0.1:{port}/health/liveliness", folder / "litellm.log"),
    ):
        yield providers(folder, "other", f"http://127.0.0.1:{port}/v1", "LITELLM_TEST_KEY")


@pytest.fixture(scope="module")
def llama_cpp(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The configuration for llama-cpp-python's server with a model of random weights."""
    python = os.environ.get("LLAMA_CPP_PYTHON")
    if not python:
        pytest.skip("set LLAMA_CPP_PYTHON to a Python that has: pip install 'llama-cpp-python[server]' gguf")
    folder, port = tmp_path_factory.mktemp("llama"), free_port()
    script = Path(__file__).with_name("tiny_gguf.py")
    subprocess.run([python, script, folder / "tiny.gguf"], check=True, timeout=60)
    command = [python, "-m", "llama_cpp.server", "--model", str(folder / "tiny.gguf"), "--chat_format", "chatml"]
    # By default that server breaks off an answer when another request comes.
    command += ["--n_ctx", "16384", "--interrupt_requests", "false", "--host", "127.0.0.1", "--port", str(port)]
    with server(command, f"http://127.0.0.1:{port}/v1/models", folder / "server.log"):
        yield providers(folder, "other", f"http://127.0.0.1:{port}/v1")


def bench(config: Path, capsys: pytest.CaptureFixture[str], *scenarios: str) -> dict[str, dict[str, Any]]:
    """Rows by scenario."""
    named = [argument for name in scenarios for argument in ("--scenario", name)]
    quickturn("bench", "--config", config, "--llm", "other/model", *named, "--rounds", 2, "--json")
    return {row["scenario"]: row for row in json.loads(capsys.readouterr().out)["rows"]}


def replayed(config: Path, capsys: pytest.CaptureFixture[str], name: str) -> dict[str, Any]:
    """The first turn of a recording, and the exit code."""
    wav = shipped("recordings") / f"{name}.flac"
    code = quickturn("replay", wav, "--config", config, "--llm", "other/model", "--json")
    turn: dict[str, Any] = json.loads(capsys.readouterr().out)["turns"][0]
    return turn | {"exit_code": code}


def test_all_scenarios_pass_litellm_unharmed(litellm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(litellm, capsys)
    assert len(rows) == 5
    for row in rows.values():
        assert row["error_rate"] == 0
        assert row["success_rate"] == 1
        assert row["usd_per_success"] > 0
        assert not row["tokens_estimated"]
    assert rows["json_tool_call"]["structured_error_rate"] == 0


def test_a_conversation_runs_through_litellm(litellm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turn = replayed(litellm, capsys, "coffee_shop")
    assert (turn["outcome"], turn["exit_code"]) == ("completed", 0)
    assert not turn["usage"]["estimated"]


def test_a_tool_is_called_through_litellm(litellm: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turn = replayed(litellm, capsys, "weather_in_berlin")
    assert (turn["outcome"], turn["exit_code"]) == ("tool", 0)
    assert not turn["tools"][0]["failed"]


def test_a_key_that_litellm_refuses_is_one_clear_line(
    litellm: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITELLM_TEST_KEY", "sk-wrong")
    turn = replayed(litellm, capsys, "coffee_shop")
    assert (turn["outcome"], turn["exit_code"]) == ("failed", 1)
    assert "other/model" in turn["error"]
    assert "sk-wrong" not in json.dumps(turn)


def test_nonsense_of_llama_cpp_is_timed_and_counted(llama_cpp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = bench(llama_cpp, capsys, "short_qa", "multi_turn")
    for row in rows.values():
        assert set(row["errors"]) <= {"empty"}  # random weights end some answers before they begin
        assert row["ttft_ms"]["n"] > 0
        assert row["tokens_estimated"]  # this server tells no usage of a stream
        assert row["tokens_per_success"] is None


def test_a_conversation_runs_on_llama_cpp(llama_cpp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    turn = replayed(llama_cpp, capsys, "coffee_shop")
    assert turn["outcome"] in ("completed", "no_speech")
    assert turn["usage"]["estimated"]
