"""Workers of a real LiveKit server: rooms come to them, they die, stop and are full, and the callers go on.

Each worker is a `quickturn room worker` process with the shipped engines; nothing of LiveKit is a double.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from agent.measure.recordings import shipped
from agent.room.worker.fleet import Heartbeat
from agent.room.worker.fleet_room import fleet_room
from pipelines.stt.wer import word_error_rate
from tests.live.caller import Caller, joined
from tests.live.livekit_server import LiveKitServer, livekit_server
from tests.live.room_agent import Agent, quickturn_room
from tests.live.transcribed import transcribed
from tests.ports import free_port

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

BAR_S = 5.0
GREETING = "Hello."
LONG = "This is a long greeting. It goes on for a while, so that there is time to stop the worker in the middle of it."
KILLED = (0, -signal.SIGKILL)


def config(greeting: str = GREETING) -> str:
    # The machine of a test does other things too: here, places alone count.
    return f'[room]\nfull_cpu_share = 99.0\nlate_ms = 60000\ngreeting = "{greeting}"\n'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveKitServer]:
    with livekit_server(tmp_path) as running:
        yield running


@contextmanager
def workers(
    server: LiveKitServer, folder: Path, count: int, *arguments: str, greeting: str = GREETING, killed: bool = False
) -> Iterator[list[Agent]]:
    """So many, which know of each other."""
    how = {"config": config(greeting), "ends_with": KILLED if killed else (0,)}
    with ExitStack() as stack:
        started = [
            stack.enter_context(quickturn_room(server, folder, "worker", "--health-port", "0", *arguments, **how))
            for _ in range(count)
        ]
        for worker in started:
            worker.until_line("registered at")
            if count > 1:
                worker.until_line("is there too")
        yield started


def serving(started: list[Agent], room: str) -> tuple[Agent, Agent]:
    """Of two workers, the one that serves the room and the other."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for one, other in (started, started[::-1]):
            if any(f"room '{room}' begins" in line for line in one.lines):
                return one, other
        time.sleep(0.02)
    raise AssertionError(f"nobody serves {room}: {[one.lines for one in started]}")


@asynccontextmanager
async def greeted(server: LiveKitServer, room: str, identity: str = "caller") -> AsyncIterator[Caller]:
    """A caller who has heard the agent begin to speak."""
    async with joined(server, room, identity) as caller:
        await caller.until(lambda: caller.agent, 20, "an agent")
        await caller.until_heard(0, 20)
        yield caller


async def another_agent(caller: Caller, before: str, since_s: float) -> float:
    """Wait until an agent other than `before` is heard; returns seconds since `since_s`."""
    await caller.until(lambda: caller.agent not in ("", before), 20, "another agent")
    return await caller.until_heard(since_s, 20) - since_s


def test_a_room_begins_within_a_second_and_every_caller_gets_an_agent(server: LiveKitServer, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            for name in ("den", "attic", "cellar"):
                await stack.enter_async_context(greeted(server, name))
            await asyncio.to_thread(look)

    def look() -> None:
        health = int(worker.until_line("health at port").rsplit(" ", 1)[1])
        assert got(health, "/") == "OK"
        deadline_s = time.monotonic() + 5
        while (told := json.loads(got(health, "/worker")))["worker_load"] < 1 and time.monotonic() < deadline_s:
            time.sleep(0.1)  # livekit-agents looks at the load twice a second
        assert (told["active_jobs"], told["worker_load"]) == (3, 1.0)
        scraped = got(metrics, "/metrics").splitlines()
        assert "quickturn_room_sessions 3.0" in scraped
        assert "quickturn_room_load 1.0" in scraped

    metrics = free_port()
    with workers(server, tmp_path, 1, "--sessions", "3", "--metrics-port", str(metrics)) as (worker,):
        asyncio.run(main())
    ready = [line for line in worker.lines if "begins: ready" in line]
    assert len(ready) == 3
    assert all(float(line.split("ready ")[1].split(" ms")[0]) < 1_000 for line in ready)
    print(*ready, sep="\n")


def got(port: int, path: str) -> str:
    with urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def test_a_room_beyond_the_bound_is_refused_and_one_after_it_is_not(server: LiveKitServer, tmp_path: Path) -> None:
    async def main() -> None:
        async with AsyncExitStack() as stack:
            callers = [await stack.enter_async_context(joined(server, f"room-{n}")) for n in range(4)]
            await asyncio.sleep(4)
            assert sum(bool(caller.agent) for caller in callers) == 2
        await asyncio.to_thread(worker.until_line, "there is room again", 60)
        async with greeted(server, "later"):
            pass

    with workers(server, tmp_path, 1, "--sessions", "2") as (worker,):
        asyncio.run(main())
    assert any(line.startswith("full: 2 of 2 rooms") for line in worker.lines)


@pytest.mark.parametrize("when", ["as it comes", "later"])
def test_when_a_worker_is_killed_the_user_hears_the_agent_again(
    server: LiveKitServer, tmp_path: Path, when: str
) -> None:
    async def main() -> None:
        async with joined(server, "den") as caller:
            await caller.until(lambda: caller.agent, 20, "an agent")
            one, other = serving(started, "den")
            if when == "later":
                await caller.until_heard(0, 20)
            before, killed_s = caller.agent, time.monotonic()
            one.process.kill()
            after_s = await another_agent(caller, before, killed_s)
            print(f"heard again {after_s:.2f} s after SIGKILL")
            assert after_s < BAR_S
            assert any("is dead; it served den" in line for line in other.lines)

    with workers(server, tmp_path, 2, killed=True) as started:
        asyncio.run(main())


def test_when_a_machine_is_gone_the_user_hears_the_agent_again_and_only_one_stays(
    server: LiveKitServer, tmp_path: Path
) -> None:
    """A process that is stopped keeps its connections open, like a machine without power; later it comes back."""

    async def main() -> None:
        async with greeted(server, "den") as caller:
            one, other = serving(started, "den")
            before, gone_s = caller.agent, time.monotonic()
            os.kill(one.process.pid, signal.SIGSTOP)
            try:
                after_s = await another_agent(caller, before, gone_s)
                print(f"heard again {after_s:.2f} s after SIGSTOP")
                assert after_s < BAR_S
            finally:
                os.kill(one.process.pid, signal.SIGCONT)
            await asyncio.to_thread(one.until_line, "room 'den' is over: a newer agent has come", 20)
            assert [p.identity for p in caller.room.remote_participants.values()] == [caller.agent]
            assert not any("'den' is over" in line for line in other.lines)

    with workers(server, tmp_path, 2) as started:
        asyncio.run(main())


def test_a_person_in_the_fleets_room_can_send_no_worker_anywhere(server: LiveKitServer, tmp_path: Path) -> None:
    """A front end that lets people choose the room's name lets them choose this one."""

    async def main() -> None:
        async with (
            joined(server, fleet_room("cook"), "w-1", speaking=False) as stranger,
            joined(server, "den") as caller,
        ):
            await stranger.until(lambda: stranger.data, 10, "the worker's beats")
            beat = Heartbeat("w-1", ("den",), 0).encode()
            for _ in range(12):  # LiveKit tells of one who publishes nothing only every 3 s
                await stranger.room.local_participant.publish_data(beat, topic=stranger.data[0].topic)
                await asyncio.sleep(0.4)
            await asyncio.sleep(3)  # in which the stranger is silent
            assert caller.agent == ""

    with workers(server, tmp_path, 1, "--agent-name", "cook") as (worker,):  # so that nobody comes uncalled
        asyncio.run(main())
    assert not any("fleet:" in line for line in worker.lines)


@pytest.mark.parametrize("name", ["", "cook"])
def test_a_worker_that_is_told_to_stop_finishes_the_answer_and_hands_the_room_over(
    server: LiveKitServer, tmp_path: Path, name: str
) -> None:
    async def main() -> None:
        token = minted(server, "den", *(["--agent-name", name] if name else []))
        async with joined(server, "den", token=token) as caller:
            await caller.until_heard(0, 20)
            one, other = serving(started, "den")
            before = caller.agent
            await asyncio.sleep(1)
            told_s = time.monotonic()
            one.process.send_signal(signal.SIGTERM)
            code = await asyncio.to_thread(one.process.wait, 60)
            assert code == 0
            await caller.until(lambda: caller.agent not in ("", before), 10, "the other worker's agent")
            heard = caller.heard(before).sounds(pause_ms=1_500)
            assert len(heard) == 1
            words = await asyncio.to_thread(transcribed, caller.heard(before).pcm)
            assert words.endswith(LONG[-20:])
            assert word_error_rate(LONG, words) <= 0.1
            left_s = next(h.at_s for h in caller.happenings if (h.identity, h.what) == (before, "left"))
            came_s = next(h.at_s for h in caller.happenings if (h.identity, h.what) == (caller.agent, "joined"))
            assert left_s > heard[0].end_s
            print(f"left {left_s - told_s:.2f} s after SIGTERM, the other came {came_s - left_s:.2f} s later")
            assert any("is handed over" in line for line in one.lines)
            assert any("room 'den' begins" in line for line in other.lines)

    arguments = ["--agent-name", name] if name else []
    with workers(server, tmp_path, 2, *arguments, greeting=LONG) as started:
        asyncio.run(main())


async def ask(caller: Caller, worker: Agent, name: str) -> dict[str, Any]:
    """Say a recording and hear the answer; returns the turn's document."""
    before = len(worker.turns())
    spoken = next(one for one in shipped() if one.name == name)
    label = spoken.turns[0]
    said = caller.say(spoken.pcm[label.clip_start_samples : label.clip_end_samples])
    await said.over.wait()
    await caller.until(lambda: len(worker.turns()) > before, 30, "an answer")
    return worker.turns()[-1]


def test_the_worker_that_takes_a_room_over_knows_what_was_said(server: LiveKitServer, tmp_path: Path) -> None:
    async def main() -> None:
        async with joined(server, "den") as caller:
            await caller.until(lambda: caller.states(), 20, "an agent")
            one, other = serving(started, "den")
            before = caller.agent
            first = await ask(caller, one, "coffee_shop")
            one.process.send_signal(signal.SIGTERM)
            await caller.until(lambda: caller.agent not in ("", before), 10, "the other worker's agent")
            await caller.until(lambda: [a for a in caller.attributes if a.identity == caller.agent], 10, "it listens")
            second = await ask(caller, other, "coffee_shop")
            assert (first["outcome"], second["outcome"]) == ("completed", "completed")
            # The same question, and before it the first one with its answer.
            more = second["usage"]["prompt_tokens"] - first["usage"]["prompt_tokens"]
            assert more > first["usage"]["completion_tokens"] / 2

    with workers(server, tmp_path, 2, greeting="") as started:
        asyncio.run(main())


def test_livekits_own_engine_serves_a_room_and_leaves_it(server: LiveKitServer, tmp_path: Path) -> None:
    pytest.importorskip("livekit.plugins.openai", reason="needs livekit-plugins-openai")

    async def main() -> None:
        async with greeted(server, "den") as caller:
            before = caller.agent
            worker.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.process.wait, 30) == 0
            await caller.until(
                lambda: ("left", before) in [(h.what, h.identity) for h in caller.happenings], 5, "leave"
            )

    with workers(server, tmp_path, 1, "--engine", "agent-session") as (worker,):
        asyncio.run(main())


def test_a_second_signal_ends_a_worker_at_once(server: LiveKitServer, tmp_path: Path) -> None:
    async def main() -> None:
        async with greeted(server, "den"):
            worker.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(worker.until_line, "1 to leave")
            began_s = time.monotonic()
            worker.process.send_signal(signal.SIGTERM)
            assert await asyncio.to_thread(worker.process.wait, 30) == 1
            assert time.monotonic() - began_s < 5

    folder = tmp_path
    with quickturn_room(server, folder, "worker", "--health-port", "0", config=config(LONG), ends_with=(1,)) as worker:
        worker.until_line("registered at")
        asyncio.run(main())


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_when_the_server_is_started_anew_worker_and_caller_find_each_other(
    server: LiveKitServer, tmp_path: Path, how: signal.Signals
) -> None:
    async def main() -> None:
        async with greeted(server, "den") as caller:
            await asyncio.to_thread(server.stop, how)
            await asyncio.to_thread(worker.until_line, "cannot be reached")
            await asyncio.to_thread(server.restart)
            await asyncio.to_thread(worker.until_line, "is back: registered")
            agents = caller.room.remote_participants
            await caller.until(lambda: len(agents) == 1, 30, "exactly one agent in the new room")
        async with greeted(server, "attic"):
            pass

    with workers(server, tmp_path, 1) as (worker,):
        asyncio.run(main())
    assert sum("cannot be reached; trying" in line for line in worker.lines) == 1


def test_workers_still_watch_each_other_after_the_server_was_started_anew(
    server: LiveKitServer, tmp_path: Path
) -> None:
    async def main() -> None:
        await asyncio.to_thread(server.stop)
        await asyncio.to_thread(server.restart)
        for worker in started:
            await asyncio.to_thread(worker.until_line, "is back: registered")
        await asyncio.sleep(12)  # until everybody has had the time to come back, nobody is taken for dead
        async with greeted(server, "den") as caller:
            one, _ = serving(started, "den")
            before, killed_s = caller.agent, time.monotonic()
            one.process.kill()
            assert await another_agent(caller, before, killed_s) < BAR_S
        assert not any("is dead; it served no room" in line for worker in started for line in worker.lines)

    with workers(server, tmp_path, 2, killed=True) as started:
        asyncio.run(main())


def minted(server: LiveKitServer, room: str, *arguments: str) -> str:
    """What `quickturn room token` prints."""
    ended = command(server, "token", "--room", room, *arguments)
    assert ended.returncode == 0, ended.stderr
    assert room in ended.stderr
    return ended.stdout.strip()


def command(server: LiveKitServer, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    words = [sys.executable, "-c", "from agent.cli import main; main()", "room", *arguments]
    return subprocess.run(
        words, env=server.environment | environment, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "environment", "code", "said"),
    [
        ([], {"LIVEKIT_API_KEY": "nobody"}, 2, "refuses the API key or its secret"),
        ([], {"LIVEKIT_API_SECRET": "x" * 40}, 2, "refuses the API key or its secret"),
        (["--url", "ws://127.0.0.1:1"], {}, 1, "ws://127.0.0.1:1 cannot be reached: connection refused"),
        (["--url", "nowhere"], {}, 2, "'nowhere' is not a LiveKit address"),
    ],
)
def test_a_worker_that_is_not_let_in_ends_with_one_line(
    server: LiveKitServer, arguments: list[str], environment: dict[str, str], code: int, said: str
) -> None:
    ended = command(server, "worker", *arguments, **environment)
    assert (ended.returncode, ended.stdout) == (code, "")
    (line,) = ended.stderr.splitlines()
    assert said in line
    assert server.api_secret not in line
