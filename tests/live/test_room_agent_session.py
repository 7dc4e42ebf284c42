"""LiveKit's AgentSession with our plugins in a room of a real LiveKit server, judged by what a caller hears."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest

from agent.measure.recordings import shipped
from agent.room.access import LiveKit
from agent.room.agent_session.agent_session_room import AgentSessionRoom
from agent.room.presence import Ending
from agent.setup.config import load_config
from agent.setup.engines import open_engines
from pipelines.stopwatch.record import TurnRecord
from tests.live.caller import Caller, joined
from tests.live.livekit_server import LiveKitServer, livekit_server
from tests.live.room_agent import LLM

pytest.importorskip("livekit.plugins.openai", reason="pip install livekit-plugins-openai")
pytestmark = [pytest.mark.live, pytest.mark.timeout(120)]

SPEECH = {"tools": False}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveKitServer]:
    with livekit_server(tmp_path_factory.mktemp("livekit")) as running:
        yield running


class Sink:
    def __init__(self) -> None:
        self.documents: list[TurnRecord] = []

    def turn(self, index: int, turn: TurnRecord) -> None:
        self.documents.append(turn)


async def ask(caller: Caller, name: str) -> float:
    """Ask, and hear the answer begin; its turn latency as heard, in ms."""
    spoken = next(one for one in shipped() if one.name == name)
    said = caller.say(spoken.pcm)
    await said.over.wait()
    end_s = said.at_s(spoken.turns[0].end_samples)
    return (await caller.until_heard(end_s, 8) - end_s) * 1_000


def stay(
    server: LiveKitServer, room: str, call: Callable[[Caller, AgentSessionRoom], Coroutine[Any, Any, None]]
) -> tuple[Ending, list[TurnRecord]]:
    """One stay and one caller, who does `call` and leaves; how it ended, and its turns."""

    async def main() -> tuple[Ending, list[TurnRecord]]:
        sink, config = Sink(), load_config(None, {"agent": SPEECH, "room": {"greeting": "", "absent_s": 1.0}})
        async with open_engines(config, [LLM]) as engines:
            agent = AgentSessionRoom(engines, [LLM], [sink])
            credentials = LiveKit(server.url, server.api_key, server.api_secret).credentials(room, "agent")
            staying = asyncio.create_task(agent.run(credentials), name="stay")
            await agent.ready.wait()
            async with joined(server, room) as caller:
                await caller.until(lambda: caller.agent and caller.states(), 20, "an agent that listens")
                await call(caller, agent)
            return await asyncio.wait_for(staying, 20), sink.documents

    return asyncio.run(main())


def test_two_questions_are_answered_and_the_agent_leaves_after_the_caller(server: LiveKitServer) -> None:
    heard: list[float] = []

    async def call(caller: Caller, agent: AgentSessionRoom) -> None:
        for number, name in enumerate(("coffee_shop", "umbrella"), start=1):
            heard.append(await ask(caller, name))
            await caller.until(lambda: caller.states()[-1][1] == "listening", 20, "the end of the answer")
            assert len(agent.history) == 2 * number
        read = [text.text for text in caller.transcripts(caller.identity) if text.final]
        assert read[0] == "Where is the nearest coffee shop?"

    ending, documents = stay(server, "agent-session-two", call)
    assert ending is Ending.EMPTY
    assert [document.outcome for document in documents] == ["completed", "completed"]
    for document, heard_ms in zip(documents, heard, strict=True):
        path_ms = sum(tile.ms for tile in document.critical_path)
        assert path_ms == pytest.approx(document.turn_latency_ms, abs=1)
        print(f"heard {heard_ms:.0f} ms, traced {document['turn_latency_ms']:.0f} ms")
        # The network, LiveKit's queues and the jitter buffers, which the caller's own loop, this one, keeps filled.
        assert 0 < heard_ms - document.turn_latency_ms < 600


def test_told_to_leave_in_the_middle_of_an_answer_it_finishes_that_first(server: LiveKitServer) -> None:
    async def call(caller: Caller, agent: AgentSessionRoom) -> None:
        await ask(caller, "coffee_shop")
        agent.leave()
        await caller.until(lambda: not caller.agent or caller.states()[-1][1] == "listening", 20, "the end")
        await asyncio.sleep(1)

    ending, documents = stay(server, "agent-session-leave", call)
    assert ending is Ending.LEFT
    assert [document.outcome for document in documents] == ["completed"]
    assert documents[0].heard.strip() == documents[0].reply.strip()
