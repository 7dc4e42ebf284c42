"""A local model hub and a local package index, on one port, that can also misbehave.

The hub has what huggingface_hub asks for, the index is a PEP 503 one whose only wheel is made here.
"""

import asyncio
import hashlib
import io
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LOGIN = "<html><body><h1>Please sign in to this network</h1></body></html>"
Files = dict[str, bytes]


class ModelServer:
    """`hub` is "well", "hangs", "html" or "refuses", `index` one of these or "half"; `cuts` is how many more transfers
    of files over 100 kB break off half-way.
    """

    def __init__(self) -> None:
        self.repositories: dict[str, Files] = {}
        self.wheels: dict[str, bytes] = {}
        self.hub = self.index = "well"
        self.cuts = 0
        self.asked: list[str] = []
        self.gets: list[str] = []
        self.ranges: list[str] = []
        self.url = ""
        self._released = asyncio.Event()

    def add_wheel(self, name: str, version: str, files: Files) -> int:
        """Put a wheel with these members on the index; returns its size."""
        plain = name.replace("-", "_")
        info = f"{plain}-{version}.dist-info"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for path, body in files.items():
                archive.writestr(path, body)
            archive.writestr(f"{plain}/__init__.py", "raise RuntimeError('nobody may import this')")
            archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
            archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            archive.writestr(f"{info}/RECORD", "")
        self.wheels[f"{plain}-{version}-py3-none-any.whl"] = packed.getvalue()
        return len(packed.getvalue())

    def app(self) -> web.Application:
        app = web.Application(middlewares=[self._misbehave])
        app.router.add_get("/api/models/{owner}/{name}", self._info)
        app.router.add_get("/api/models/{owner}/{name}/revision/{revision}", self._info)
        app.router.add_get("/api/models/{owner}/{name}/tree/{revision}", self._tree)
        app.router.add_route("*", "/{owner}/{name}/resolve/{revision}/{path:.+}", self._file)
        app.router.add_get("/simple/{project}/", self._project)
        app.router.add_get("/wheels/{name}", self._wheel)
        return app

    def release(self) -> None:
        """Let go of whoever hangs."""
        self._released.set()

    @web.middleware
    async def _misbehave(self, request: web.Request, handler: "web.Handler") -> web.StreamResponse:  # type: ignore[name-defined]
        self.asked.append(request.path)
        how = self.index if request.path.startswith(("/simple", "/wheels")) else self.hub
        if how == "hangs":
            await self._released.wait()
        if how == "html":
            return web.Response(text=LOGIN, content_type="text/html")
        if how == "refuses":
            return web.Response(status=503)
        return await handler(request)  # type: ignore[no-any-return]

    def _repository(self, request: web.Request) -> tuple[str, Files | None]:
        name = f"{request.match_info['owner']}/{request.match_info['name']}"
        return name, self.repositories.get(name)

    async def _info(self, request: web.Request) -> web.Response:
        name, files = self._repository(request)
        if files is None:
            return _missing("RepoNotFound")
        siblings = [{"rfilename": path, **_facts(body)} for path, body in files.items()]
        return web.json_response({"id": name, "sha": COMMIT, "siblings": siblings, "tags": ["license:mit"]})

    async def _tree(self, request: web.Request) -> web.Response:
        _, files = self._repository(request)
        if files is None:
            return _missing("RepoNotFound")
        return web.json_response(
            [{"type": "file", "path": path, "oid": _oid(body), **_facts(body)} for path, body in files.items()]
        )

    async def _file(self, request: web.Request) -> web.StreamResponse:
        _, files = self._repository(request)
        body = (files or {}).get(request.match_info["path"])
        if body is None:
            return _missing("EntryNotFound" if files is not None else "RepoNotFound")
        headers = {"ETag": f'"{_oid(body)}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if request.method == "HEAD":
            return web.Response(headers={**headers, "Content-Length": str(len(body))})
        self.gets.append(request.match_info["path"])
        return await self._send(request, body, headers)

    async def _project(self, request: web.Request) -> web.Response:
        project = request.match_info["project"].replace("-", "_")
        links = [f'<a href="/wheels/{name}">{name}</a>' for name in self.wheels if name.startswith(f"{project}-")]
        if not links:
            return web.Response(status=404)
        return web.Response(text=f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>", content_type="text/html")

    async def _wheel(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        self.gets.append(name)
        if self.index == "half":
            self.cuts = 1
        return await self._send(request, self.wheels[name], {})

    async def _send(self, request: web.Request, body: bytes, headers: dict[str, str]) -> web.StreamResponse:
        start = 0
        if wanted := request.headers.get("Range"):
            self.ranges.append(wanted)
            start = int(wanted.removeprefix("bytes=").split("-")[0])
            headers = {**headers, "Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(body) - start
        await response.prepare(request)
        if len(body) > 100_000 and self.cuts:
            self.cuts -= 1
            await response.write(body[start : start + (len(body) - start) // 2])
            assert request.transport is not None
            request.transport.close()
        else:
            await response.write(body[start:])
        return response


def _facts(body: bytes) -> dict[str, object]:
    """Size and, for large files as on the real hub, the SHA-256."""
    lfs = {"lfs": {"sha256": hashlib.sha256(body).hexdigest(), "oid": hashlib.sha256(body).hexdigest()}}
    size = {"size": len(body), "pointerSize": 130}
    return {"size": len(body), **({"lfs": lfs["lfs"] | size} if len(body) > 10_000 else {})}


def _oid(body: bytes) -> str:
    return hashlib.sha1(body).hexdigest()


def _missing(code: str) -> web.Response:
    return web.Response(status=404, headers={"X-Error-Code": code, "X-Error-Message": "not found"})


@contextmanager
def serving(server: ModelServer) -> Iterator[ModelServer]:
    """Serve from a thread of its own until the block ends."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(server.app(), shutdown_timeout=1)

    async def start() -> None:
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"

    loop.run_until_complete(start())
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(server.release)
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()
