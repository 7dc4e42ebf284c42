"""A key leaves the process in its own header alone: a server repeats it in all that it says, and we do not."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.command_line import quickturn

MARKER = "sk-marker-4711-never-to-be-seen"
QUESTION = Path(__file__).parents[3] / "recordings" / "yes.flac"


class Parrot(http.server.BaseHTTPRequestHandler):
    """Refuses everything, with the key that it was given in the message, as some providers do."""

    protocol_version = "HTTP/1.1"

    def _refuse(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        status = 404 if self.command == "GET" else 400
        body = json.dumps({"error": {"message": f"bad request with {self.headers['authorization']}"}}).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = _refuse  # noqa: N815 - the names that http.server calls

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An agent whose provider is the parrot, and whose key is the marker."""
    monkeypatch.setenv("PARROT_API_KEY", MARKER)
    monkeypatch.setenv("OPENAI_API_KEY", MARKER)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Parrot)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    providers = tmp_path / "providers.toml"
    providers.write_text(
        f'[providers.parrot]\nbase_url = "http://127.0.0.1:{server.server_port}/v1"\napi_key_env = "PARROT_API_KEY"\n'
        '[[providers.parrot.models]]\nid = "p"\nusd_per_m_input = 1\nusd_per_m_output = 1\n'
    )
    path = tmp_path / "agent.toml"
    path.write_text(f'[agent]\nllm = "parrot/p"\nproviders = "{providers}"\n')
    yield path
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "arguments",
    [
        ["replay", str(QUESTION), "--json"],
        ["replay", str(QUESTION), "--standby", "sim/60:1800"],
        ["compare", str(QUESTION), "--llm", "parrot/p", "--llm", "sim/60:1800"],
        ["bench", "--llm", "parrot/p", "--scenario", "short_qa", "--rounds", "1"],
        ["doctor", "--llm", "parrot/p"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_key_is_in_no_output(
    config: Path, tmp_path: Path, arguments: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")] if arguments[0] != "doctor" else []
    trace = ["--trace", str(tmp_path / "t.jsonl")] if arguments[0] in ("replay", "compare") else []
    quickturn("--verbose", *arguments, "--config", config, *out, *trace)
    said = capfd.readouterr()
    assert "parrot/p" in said.out + said.err  # it was really asked
    assert MARKER not in said.out + said.err
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or MARKER.encode() not in path.read_bytes(), path
