"""LiveKit's JavaScript client as the caller: Chromium speaks a recording into a room and hears the agent there.

The page is room_page.html; the client comes from npm for the time of the test. The agent is `quickturn room join` in a
process of its own with the shipped engines, the server a real one.
"""

import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest

from agent.measure.recordings import shipped
from tests.live.chromium import browser, opened, recorded, shot, spoken, turns_of
from tests.live.livekit_server import LiveKitServer, livekit_server
from tests.live.room_agent import Agent, from_label_ms, quickturn_room

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on PATH: apt-get install chromium"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="no npm on PATH: apt-get install npm"),
]
CLIENT = "livekit-client@2"
PAGE = Path(__file__).with_name("room_page.html")
ROOM = "browser"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the page, with LiveKit's client beside it."""
    folder = tmp_path_factory.mktemp("site")
    packed = subprocess.run(["npm", "pack", CLIENT, "--silent"], cwd=folder, capture_output=True, text=True, timeout=60)
    if packed.returncode:
        pytest.skip(f"npm cannot get {CLIENT}: {packed.stderr.strip().splitlines()[-1:]}")
    with tarfile.open(folder / packed.stdout.split()[-1]) as package:
        client = package.extractfile("package/dist/livekit-client.umd.js")
        assert client is not None
        (folder / "livekit-client.umd.js").write_bytes(client.read())
    shutil.copy(PAGE, folder / "page.html")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        serving = Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}/page.html"
        server.shutdown()
        serving.join()


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing on stderr."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    with livekit_server(tmp_path_factory.mktemp("livekit")) as running:
        yield running


@contextmanager
def agent_in_the_room(server: LiveKitServer, folder: Path) -> Iterator[Agent]:
    """The agent, from the moment that it is in the room."""
    with quickturn_room(server, folder, "join", "--room", ROOM) as agent:
        agent.until_line(f"in room '{ROOM}'")
        yield agent


def joined_page(chromium: Any, site: str, server: LiveKitServer, complaints: list[str]) -> Any:
    asked = urlencode({"url": server.url, "token": server.token(ROOM, "browser")})
    return opened(chromium, f"{site}?{asked}", complaints, viewport={"width": 900, "height": 700})


def kept(page: Any) -> dict[str, Any]:
    """What the page has heard, and what it shows."""
    return dict(
        page.evaluate("({...kept, shown: [...document.querySelectorAll('.words')].map(words => words.innerText)})")
    )


def test_a_turn_is_heard_and_shown_by_livekits_own_client(server: LiveKitServer, site: str, tmp_path: Path) -> None:
    complaints: list[str] = []
    microphone = spoken(tmp_path / "microphone.wav", recorded("coffee_shop"))
    with agent_in_the_room(server, tmp_path) as agent, browser(microphone) as chromium:
        page = joined_page(chromium, site, server, complaints)
        page.wait_for_selector(".words.agent", timeout=30_000)
        shot(page, "room-speaking")
        page.wait_for_selector(".words.agent:not(.growing)", timeout=30_000)
        page.wait_for_function("kept.states.at(-1) === 'listening'", timeout=10_000)
        shot(page, "room-answered")
        got = kept(page)
        # A server older than this client has data tracks switched off, and closes the channel for them.
        complained = [text for text in complaints if "'DATA_TRACK_LOSSY' closed unexpectedly" not in text]
    (turn,) = agent.turns()
    assert turn["transcript"] == "Where is the nearest coffee shop?"
    assert got["shown"] == [f"browser\n{turn['transcript']}", f"quickturn\n{turn['reply']}"]
    assert got["states"] == ["listening", "thinking", "speaking", "listening"]
    finals = [(text["identity"], text["text"]) for text in got["texts"] if text["final"]]
    assert finals == [("browser", turn["transcript"]), ("quickturn", turn["reply"])]
    assert all(text["track"].startswith("TR_") for text in got["texts"])
    agent_ms = got["levels"]["agent"]
    assert agent_ms[-1] - agent_ms[0] > 3_000
    # By the page's ear, which counts both ways through WebRTC and Chromium's own buffers.
    label = next(one for one in shipped("question_short") if one.name == "coffee_shop").turns[0]
    heard_ms = agent_ms[0] - got["levels"]["user"][0] - (label.end_samples - label.start_samples) / 16
    traced_ms = from_label_ms(turn, label)
    print(f"heard in the browser after {heard_ms:.0f} ms, by the trace {traced_ms:.0f} ms")
    assert traced_ms < heard_ms < traced_ms + 400
    assert complained == []


def test_speaking_over_the_answer_silences_it_in_the_browser(server: LiveKitServer, site: str, tmp_path: Path) -> None:
    question, interruption = turns_of("barge_in", "barge_in_question")
    microphone = spoken(tmp_path / "microphone.wav", question, 2.5, interruption)
    with agent_in_the_room(server, tmp_path) as agent, browser(microphone) as chromium:
        page = joined_page(chromium, site, server, [])
        page.wait_for_function("document.querySelectorAll('.words.agent:not(.growing)').length === 2", timeout=60_000)
        shot(page, "room-interrupted")
        got = kept(page)
    cut, answered = agent.turns()
    assert (cut["outcome"], answered["outcome"]) == ("interrupted", "completed")
    asked, told, *rest = (words.partition("\n")[2] for words in got["shown"])
    assert [asked, *rest] == [cut["transcript"], answered["transcript"], answered["reply"]]
    # What was shown is not taken back, also where the cut then swallowed the last words.
    assert told.startswith(cut["heard"])
    assert len(told.split()) - len(cut["heard"].split()) <= 3
    assert len(told) < len(cut["reply"]) / 2
    user_ms, agent_ms = (np.array(got["levels"][side]) for side in ("user", "agent"))
    interrupts_ms = user_ms[np.flatnonzero(np.diff(user_ms) > 1_500)[0] + 1]
    spoken_on = agent_ms[agent_ms > interrupts_ms]
    silent_ms = spoken_on[np.flatnonzero(np.diff(spoken_on) > 300)[0]] - interrupts_ms
    apart_ms = (answered["speech_samples"][0] - cut["speech_samples"][0]) / 16 - (interrupts_ms - user_ms[0])
    print(f"silent {silent_ms:.0f} ms after the interruption began, by the page's ear; heard {apart_ms:+.0f} ms late")
    assert 0 < silent_ms < 600
