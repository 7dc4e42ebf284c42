"""A LiveKit server for the tests: the one that the environment names, or one of our own on loopback.

Our own is told to offer no address but 127.0.0.1, and no STUN server, so it works on a machine (or in a namespace)
without a network. Its clients, WebRTC, do not count the loopback as an interface: one other must be up, a dummy or veth
without a route will do. Independent of agents or of what is said in its rooms.
"""

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from livekit import api

PROGRAM = "livekit-server"
HOW_TO_GET_ONE = (
    f"no LiveKit server: set LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET, or put {PROGRAM} on PATH (a release "
    "from github.com/livekit/livekit, `brew install livekit`, or its source with Go >= 1.24: `go build ./cmd/server`)"
)
_NOT_OURS = "the server at LIVEKIT_URL is not ours to stop; unset it and put livekit-server on PATH"
_CONFIG = """
port: {http}
bind_addresses: [127.0.0.1]
keys: {{{key}: {secret}}}
rtc:
  tcp_port: {tcp}
  udp_port: {udp}
  node_ip: 127.0.0.1  # given, it also keeps the server from asking a STUN server for its address
  use_external_ip: false
  enable_loopback_candidate: true
  interfaces: {{includes: [lo, lo0]}}
  ips: {{includes: [127.0.0.1/32]}}
"""


class LiveKitServer:
    """Where the server is and how to be let in; if it is `ours`, it can be stopped and started again."""

    def __init__(self, url: str, api_key: str, api_secret: str) -> None:
        self.url = url
        self.api_key = api_key
        self.api_secret = api_secret

    @property
    def environment(self) -> dict[str, str]:
        """This process's environment, with the server in it: for a `quickturn room` of its own."""
        return {
            **os.environ,
            "LIVEKIT_URL": self.url,
            "LIVEKIT_API_KEY": self.api_key,
            "LIVEKIT_API_SECRET": self.api_secret,
        }

    def token(self, room: str, identity: str, *, agent: bool = False, ttl_s: float = 3_600) -> str:
        """A token that lets `identity` into `room`: to speak, to listen, and to set its own attributes.

        An agent may also send texts in another's name; from anybody else the server puts the sender's own on them.
        """
        grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True, agent=agent)
        token = api.AccessToken(self.api_key, self.api_secret).with_identity(identity).with_grants(grants)
        return token.with_kind("agent" if agent else "standard").with_ttl(timedelta(seconds=ttl_s)).to_jwt()

    @property
    def pid(self) -> int:
        """Skips the test if the server is not ours, as do `stop` and `restart`."""
        pytest.skip(_NOT_OURS)

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        pytest.skip(_NOT_OURS)

    def restart(self) -> None:
        pytest.skip(_NOT_OURS)


class OwnServer(LiveKitServer):
    """A server process; its log is appended to `log` over all its lives. Rooms do not outlive it."""

    def __init__(self, folder: Path) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self._choose_ports()

    def _choose_ports(self) -> None:
        with ExitStack() as held:
            http, tcp, udp = (held.enter_context(_free(kind)) for kind in ("tcp", "tcp", "udp"))
            ports = {"http": http.getsockname()[1], "tcp": tcp.getsockname()[1], "udp": udp.getsockname()[1]}
        # 64 characters: PyJWT warns of secrets of fewer than 32 bytes, such as the "secret" of --dev.
        super().__init__(f"ws://127.0.0.1:{ports['http']}", "tests", secrets.token_hex(32))
        self.log = self._folder / f"livekit-server-{ports['http']}.log"
        self._config = _CONFIG.format(key=self.api_key, secret=self.api_secret, **ports)

    @property
    def pid(self) -> int:
        assert self._process is not None, "it is stopped"
        return self._process.pid

    def start(self) -> None:
        """Returns when it answers."""
        # The config goes by the environment, where other users cannot read its secret.
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [PROGRAM, "--dev"], env={**os.environ, "LIVEKIT_CONFIG": self._config}, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 10
        while not self._answers():
            assert self._process.poll() is None, f"{PROGRAM} ended: {self.log.read_text()[-2_000:]}"
            assert time.monotonic() < deadline, f"{PROGRAM} does not answer: {self.log.read_text()[-2_000:]}"
            time.sleep(0.02)

    def has_started(self) -> bool:
        """Start it; False where another process has one of its ports."""
        try:
            self.start()
        except AssertionError:
            if "address already in use" not in self.log.read_text():
                raise
            return False
        return True

    def stop(self, with_signal: signal.Signals = signal.SIGTERM) -> None:
        """Returns when it has ended. SIGTERM tells its clients; SIGKILL lets them find out."""
        if self._process is None:
            return
        self._process.send_signal(with_signal)
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:  # it waits for rooms to empty; a second signal ends it
            self._process.kill()
            self._process.wait(5)
        self._process = None

    def restart(self) -> None:
        """A new process on the same ports, with the same keys and without the rooms."""
        self.stop()
        self.start()

    def _answers(self) -> bool:
        try:
            with urlopen(self.url.replace("ws:", "http:"), timeout=1) as answer:
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False


@contextmanager
def livekit_server(folder: Path) -> Iterator[LiveKitServer]:
    """The server of the environment or our own, which ends with the block; skips the test where there is neither."""
    if url := os.environ.get("LIVEKIT_URL"):
        key, secret = os.environ.get("LIVEKIT_API_KEY"), os.environ.get("LIVEKIT_API_SECRET")
        if not key or not secret:
            pytest.skip("LIVEKIT_URL is set, LIVEKIT_API_KEY and LIVEKIT_API_SECRET are not")
        yield LiveKitServer(url, key, secret)
        return
    if shutil.which(PROGRAM) is None:
        pytest.skip(HOW_TO_GET_ONE)
    server = OwnServer(folder)
    if not server.has_started():  # somebody took one of its ports in between
        server = OwnServer(folder)
        server.start()
    try:
        yield server
    finally:
        server.stop()


def _free(kind: str) -> socket.socket:
    """A socket at a port that nobody has; the port is free again once it is closed."""
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    held.bind(("127.0.0.1", 0))
    return held
