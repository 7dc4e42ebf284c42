"""Downloads against a local server that behaves like the model hub."""

import asyncio
import hashlib
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from huggingface_hub import constants
from rich.console import Console

from agent import fetch
from agent.fetch import Hub, fetch_models, fetched_voices, fetched_whispers, list_models, voice_path, whisper_path
from pipelines.errors import DownloadError, InputError

COMMIT = "0123456789abcdef0123456789abcdef01234567"
WHISPER = "Systran/faster-whisper-base.en"
VOICES = "rhasspy/piper-voices"
VOICE = "en/en_US/lessac/medium/en_US-lessac-medium.onnx"
WEIGHTS = bytes(range(256)) * 2_000
ONNX = b"onnx" * 5_000
CONFIG = b'{"audio": {"sample_rate": 22050}}'


def index(onnx_md5: str) -> bytes:
    files = {
        VOICE: {"size_bytes": len(ONNX), "md5_digest": onnx_md5},
        f"{VOICE}.json": {"size_bytes": len(CONFIG), "md5_digest": hashlib.md5(CONFIG).hexdigest()},
        "en/en_US/lessac/medium/MODEL_CARD": {"size_bytes": 10, "md5_digest": "0"},
    }
    return json.dumps({"en_US-lessac-medium": {"key": "en_US-lessac-medium", "files": files}}).encode()


class LocalHub:
    """The routes that huggingface_hub uses. `cuts` is how many more transfers of the weights break off half-way."""

    def __init__(self) -> None:
        self.files = {
            WHISPER: {
                "config.json": b"{}",
                "tokenizer.json": b'{"version": "1.0"}',
                "vocabulary.txt": b"a\nb\n",
                "model.bin": WEIGHTS,
                "README.md": b"not wanted",
            },
            VOICES: {VOICE: ONNX, f"{VOICE}.json": CONFIG, "voices.json": index(hashlib.md5(ONNX).hexdigest())},
        }
        self.cuts = 0
        self.ranges: list[str] = []
        self.gets: list[str] = []
        self.url = ""

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/api/models/{owner}/{name}", self.info)
        app.router.add_get("/api/models/{owner}/{name}/revision/{revision}", self.info)
        app.router.add_route("*", "/{owner}/{name}/resolve/{revision}/{path:.+}", self.file)
        return app

    async def info(self, request: web.Request) -> web.Response:
        repository = f"{request.match_info['owner']}/{request.match_info['name']}"
        if repository not in self.files:
            return missing("RepoNotFound")
        siblings = [{"rfilename": path, "size": len(body)} for path, body in self.files[repository].items()]
        return web.json_response({"id": repository, "modelId": repository, "sha": COMMIT, "siblings": siblings})

    async def file(self, request: web.Request) -> web.StreamResponse:
        repository = f"{request.match_info['owner']}/{request.match_info['name']}"
        body = self.files.get(repository, {}).get(request.match_info["path"])
        if body is None:
            return missing("EntryNotFound" if repository in self.files else "RepoNotFound")
        headers = {"ETag": f'"{hashlib.sha1(body).hexdigest()}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(body))})
        self.gets.append(request.match_info["path"])
        start = 0
        if wanted := request.headers.get("Range"):
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(body) - 1}/{len(body)}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(body) - start
        await response.prepare(request)
        if body is WEIGHTS and self.cuts:
            self.cuts -= 1
            await response.write(body[start : start + (len(body) - start) // 2])
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write(body[start:])
        return response


def missing(code: str) -> web.Response:
    return web.Response(status=404, headers={"X-Error-Code": code, "X-Error-Message": "not found"})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    local = LocalHub()
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(local.app())

    async def start() -> None:
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        local.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield local
    asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(5)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(5)
    loop.close()


@pytest.fixture
def hub(server: LocalHub, tmp_path: Path) -> Hub:
    return Hub(server.url, tmp_path / "cache")


@pytest.fixture
def output() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def console(output: io.StringIO) -> Console:
    return Console(file=output, width=200, highlight=False)


def test_a_whisper_model_is_downloaded_whole(hub: Hub, server: LocalHub, console: Console, output: io.StringIO) -> None:
    fetch_models(["whisper:base.en"], console, hub)
    assert fetched_whispers(hub) == ["base.en"]
    folder = whisper_path("base.en", hub)
    assert (folder / "model.bin").read_bytes() == WEIGHTS
    assert (folder / "vocabulary.txt").exists()
    assert not (folder / "README.md").exists()
    assert server.gets[-1] == "model.bin"  # the weights last: where they are, all is
    assert "whisper:base.en is fetched (0.5 MB)" in output.getvalue()


def test_what_is_here_is_not_downloaded_again(
    hub: Hub, server: LocalHub, console: Console, output: io.StringIO
) -> None:
    fetch_models(["whisper:base.en", "piper:en_US-lessac-medium"], console, hub)
    count = len(server.gets)
    fetch_models(["whisper:base.en", "piper:en_US-lessac-medium"], console, hub)
    assert len(server.gets) == count
    assert output.getvalue().count("is already here") == 2


def test_a_voice_is_downloaded_with_its_configuration(hub: Hub, console: Console) -> None:
    assert fetched_voices(hub) == []
    fetch_models(["piper:en_US-lessac-medium"], console, hub)
    assert fetched_voices(hub) == ["en_US-lessac-medium"]
    path = voice_path("en_US-lessac-medium", hub)
    assert path.read_bytes() == ONNX
    assert Path(f"{path}.json").read_bytes() == CONFIG


def test_a_model_named_but_not_here_is_downloaded_when_its_path_is_asked_for(hub: Hub) -> None:
    assert (whisper_path("base.en", hub) / "config.json").exists()
    assert voice_path("en_US-lessac-medium", hub).exists()


def test_a_cut_transfer_goes_on_where_it_broke_off(
    hub: Hub, server: LocalHub, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunk = 64_000  # huggingface_hub keeps whole chunks of what arrived; its own are longer than this file
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", chunk)
    server.cuts = 1
    fetch_models(["whisper:base.en"], console, hub)
    assert server.ranges == [f"bytes={len(WEIGHTS) // 2 // chunk * chunk}-"]
    assert (whisper_path("base.en", hub) / "model.bin").read_bytes() == WEIGHTS


def test_a_download_that_fails_leaves_no_half_model(hub: Hub, server: LocalHub, console: Console) -> None:
    del server.files[WHISPER]["model.bin"]
    server.files[WHISPER]["model.bin"] = b""

    class Gone(dict[str, bytes]):
        def get(self, path: str, default: bytes | None = None) -> bytes | None:  # type: ignore[override]
            return None if path == "model.bin" else super().get(path, default)

    server.files[WHISPER] = Gone(server.files[WHISPER])
    with pytest.raises(DownloadError):
        fetch_models(["whisper:base.en"], console, hub)
    assert fetched_whispers(hub) == []
    assert hub.cache is not None
    assert not list(hub.cache.rglob("model.bin"))


def test_a_damaged_voice_is_refused_and_not_kept(hub: Hub, server: LocalHub, console: Console) -> None:
    server.files[VOICES]["voices.json"] = index("0" * 32)
    with pytest.raises(DownloadError, match=r"lessac-medium.onnx arrived damaged \(MD5 .*, expected 000"):
        fetch_models(["piper:en_US-lessac-medium"], console, hub)
    assert fetched_voices(hub) == []


def test_a_repository_that_does_not_exist_is_named(hub: Hub, console: Console) -> None:
    with pytest.raises(DownloadError, match=r"whisper:nobody/nothing does not exist on .*404"):
        fetch_models(["whisper:nobody/nothing"], console, hub)


def test_a_repository_without_weights_is_no_model(hub: Hub, server: LocalHub, console: Console) -> None:
    server.files["someone/text"] = {"README.md": b"hello"}
    with pytest.raises(InputError, match=r"'whisper:someone/text' holds no model.bin"):
        fetch_models(["whisper:someone/text"], console, hub)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("whisper:huge", r"'whisper:huge' is neither a directory nor one of: tiny.en, tiny"),
        ("piper:en_US-nobody-low", r"'piper:en_US-nobody-low' is not a Piper voice; some are: en_US-lessac-medium"),
        ("base.en", r"model 'base.en' is not one of: 'whisper:SIZE', 'piper:VOICE'"),
        ("whisper:", r"model 'whisper:' is not one of"),
    ],
)
def test_an_unknown_name_is_answered_with_those_that_exist(hub: Hub, console: Console, spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fetch_models([spec], console, hub)


@pytest.mark.parametrize("spec", ["whisper:base.en", "piper:en_US-lessac-medium"])
def test_a_dead_server_gets_one_line_that_says_what_to_do(
    spec: str, tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    hub = Hub("http://127.0.0.1:9", tmp_path / "cache")
    with pytest.raises(DownloadError) as caught:
        fetch_models([spec], console, hub)
    message = str(caught.value)
    assert message.startswith(f"{spec} could not be downloaded: http://127.0.0.1:9 did not answer")
    assert "embedded" in message
    assert "HF_ENDPOINT" in message
    assert "\n" not in message


def test_offline_mode_gets_the_same_line(tmp_path: Path, console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DownloadError, match=r"whisper:base.en could not be downloaded: .* use --stt embedded"):
        whisper_path("base.en", Hub("http://127.0.0.1:9", tmp_path / "cache"))


def test_a_fetched_model_is_found_without_the_server(hub: Hub, console: Console, tmp_path: Path) -> None:
    fetch_models(["whisper:base.en", "piper:en_US-lessac-medium"], console, hub)
    dead = Hub("http://127.0.0.1:9", hub.cache)
    assert whisper_path("base.en", dead) == whisper_path("base.en", hub)
    assert voice_path("en_US-lessac-medium", dead).exists()


def test_a_full_disk_is_noticed_before_the_download(
    hub: Hub, server: LocalHub, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetch, "_SPARE_BYTES", 1 << 60)
    with pytest.raises(InputError, match=r"whisper:base.en needs 0.5 MB in '.*', where .* MB are free"):
        fetch_models(["whisper:base.en"], console, hub)
    assert server.gets == []


def test_a_local_directory_or_voice_file_needs_no_hub(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine.onnx").touch()
    assert whisper_path(str(tmp_path / "mine")) == tmp_path / "mine"
    assert voice_path(str(tmp_path / "mine.onnx")) == tmp_path / "mine.onnx"


def test_a_voice_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        voice_path(str(tmp_path / "gone.onnx"))


def test_the_environment_names_the_hub_and_its_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert Hub.from_environment() == Hub("http://mirror.example", tmp_path)


def test_the_list_shows_what_is_here(hub: Hub, console: Console, output: io.StringIO) -> None:
    fetch_models(["whisper:base.en", "piper:en_US-lessac-medium"], console, hub)
    list_models(console, hub)
    lines = output.getvalue().splitlines()
    assert "whisper:base.en  (here)" in lines
    assert "whisper:tiny.en" in lines
    assert "piper:en_US-lessac-medium  (here)" in lines
