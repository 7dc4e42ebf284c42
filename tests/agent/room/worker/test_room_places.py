"""The rooms of one worker from arrival to the end, without LiveKit."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import jwt
from aiohttp import web
from livekit import api

from agent.room.access import Credentials, LiveKit
from agent.room.presence import Ending
from agent.room.worker.handover import handed_over
from agent.room.worker.places import Arrival, Place, Places
from agent.setup.config import load_config
from agent.web.server import listening
from pipelines.errors import InputError, ServiceError
from pipelines.events import ChatMessage
from tests.virtual_time import run_on_loopback

URL, KEY, SECRET = "ws://127.0.0.1:7880", "key", "a secret of thirty-two bytes and more"
LIVEKIT = LiveKit(URL, KEY, SECRET)
SETTINGS = load_config().room


class ScriptedRoom:
    """Ends as scripted, or once it is told to leave and `answered`; it raises what is an exception."""

    def __init__(self, ending: Ending | Exception | None, said: Sequence[ChatMessage] = ()) -> None:
        self.ready = asyncio.Event()
        self.history = list(said)
        self.answered = asyncio.Event()
        self.credentials: list[Credentials] = []
        self._ending = ending
        self._told = asyncio.Event()

    async def run(self, credentials: Credentials) -> Ending:
        self.credentials.append(credentials)
        if isinstance(self._ending, Exception):
            raise self._ending
        self.ready.set()
        if self._ending is not None:
            return self._ending
        await self._told.wait()
        await self.answered.wait()
        return Ending.LEFT

    def leave(self) -> None:
        self._told.set()


class Server:
    """The two calls of LiveKit's API that places need, answered by hand: who is in the room, and what is dispatched."""

    def __init__(self) -> None:
        self.persons = 1
        self.dispatched: list[api.CreateAgentDispatchRequest] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[LiveKit]:
        app = web.Application()
        app.router.add_post("/twirp/livekit.RoomService/ListParticipants", self._participants)
        app.router.add_post("/twirp/livekit.AgentDispatchService/CreateDispatch", self._dispatch)
        async with listening(app, "127.0.0.1", 0) as port:
            yield LiveKit(f"http://127.0.0.1:{port}", KEY, SECRET)

    async def _participants(self, _: web.Request) -> web.Response:
        persons = [api.ParticipantInfo(identity=f"p{number}") for number in range(self.persons)]
        return web.Response(body=api.ListParticipantsResponse(participants=persons).SerializeToString())

    async def _dispatch(self, request: web.Request) -> web.Response:
        self.dispatched.append(api.CreateAgentDispatchRequest.FromString(await request.read()))
        return web.Response(body=api.AgentDispatch().SerializeToString())


Scene = Callable[[Places], Any]


def played(stays: list[ScriptedRoom], scene: Scene, persons: int = 1) -> tuple[list[Arrival], list[str], Server]:
    """Play a scene on places whose stays are these, in turn; returns arrivals, lines and the server."""
    arrivals: list[Arrival] = []
    lines: list[str] = []
    server = Server()
    server.persons = persons

    def enter(arrival: Arrival) -> ScriptedRoom:
        arrivals.append(arrival)
        return stays[len(arrivals) - 1]

    async def main() -> None:
        async with server.running() as livekit:
            await scene(Places(livekit, "cook", enter, lines.append))

    run_on_loopback(main())
    return arrivals, lines, server


def test_a_room_is_served_to_its_end_and_told_in_two_lines() -> None:
    stays = [ScriptedRoom(Ending.EMPTY)]
    arrivals, lines, _ = played(
        stays, lambda places: places.serve(Arrival("den"), credentials=Credentials("ws://h", "t"))
    )
    assert arrivals == [Arrival("den")]
    assert stays[0].credentials == [Credentials("ws://h", "t")]
    assert lines[-1] == "room 'den' is over: nobody is left to answer"


def test_how_soon_it_was_ready_is_told() -> None:
    async def scene(places: Places) -> None:
        serving = asyncio.create_task(places.serve(Arrival("den")))
        await asyncio.sleep(0.05)
        assert places.rooms() == ["den"]
        serving.cancel()
        await asyncio.wait([serving])
        assert places.rooms() == []

    _, lines, _ = played([ScriptedRoom(None)], scene)
    assert "room 'den' begins: ready" in lines[0]


def test_a_lost_connection_is_sought_again_with_what_was_said() -> None:
    said = [ChatMessage("user", "hi")]
    stays = [
        ScriptedRoom(Ending.LOST, said),
        ScriptedRoom(ServiceError("down"), said),
        ScriptedRoom(Ending.CLOSED),
    ]
    arrivals, lines, _ = played(stays, lambda places: places.serve(Arrival("den", "Hello.")))
    assert arrivals == [Arrival("den", "Hello."), Arrival("den", "", said), Arrival("den", "", said)]
    assert lines[-2:] == ["room 'den': down", "room 'den' is over: the room was closed, or the agent removed from it"]
    # A fresh token: the job's runs out.
    held = jwt.decode(stays[2].credentials[0].token, SECRET, algorithms=["HS256"])
    assert (held["video"]["room"], held["attributes"]) == ("den", {"lk.agent.name": "cook"})


def test_a_lost_room_in_which_nobody_waits_is_let_go() -> None:
    arrivals, lines, _ = played([ScriptedRoom(Ending.LOST)], lambda places: places.serve(Arrival("den")), persons=0)
    assert len(arrivals) == 1
    assert lines[-1] == "room 'den' is over: the connection was lost"


def test_a_room_that_cannot_be_entered_is_one_line_and_no_harm_to_others() -> None:
    stays = [ScriptedRoom(InputError("expired"))]
    _, lines, _ = played(stays, lambda places: places.serve(Arrival("den")))
    assert lines == ["room 'den' cannot be served: expired"]


def leaving(others: bool, timeout_s: float, answer_s: float | None) -> Scene:
    async def scene(places: Places) -> None:
        serving = asyncio.create_task(places.serve(Arrival("den")))
        await asyncio.sleep(0.01)
        (place,) = places.all
        assert isinstance(place, Place)
        stay = place.session
        assert isinstance(stay, ScriptedRoom)
        if answer_s is not None:
            asyncio.get_running_loop().call_later(answer_s, stay.answered.set)
        await places.see_off(place, timeout_s, others=others)
        assert serving.done()
        assert places.all == set()

    return scene


def test_an_answer_under_way_is_finished_and_the_room_handed_over_with_what_was_said() -> None:
    said = [ChatMessage("user", "hi"), ChatMessage("assistant", "Hello.")]
    _, lines, server = played([ScriptedRoom(None, said)], leaving(True, 5, 0.1))
    (dispatched,) = server.dispatched
    assert (dispatched.room, dispatched.agent_name) == ("den", "cook")
    assert handed_over(dispatched.metadata) == tuple(said)
    assert lines[-2:] == ["room 'den' is over: it was told to leave", "room 'den' is handed over to another worker"]


def test_an_answer_without_an_end_is_cut_and_the_room_handed_over() -> None:
    _, lines, server = played([ScriptedRoom(None)], leaving(True, 0.05, None))
    assert len(server.dispatched) == 1
    assert any("in the middle of an answer" in line for line in lines)


def test_nothing_is_handed_over_where_nobody_is_left_or_nobody_could_take_it() -> None:
    _, _, server = played([ScriptedRoom(None)], leaving(True, 5, 0.01), persons=0)
    assert server.dispatched == []
    _, lines, server = played([ScriptedRoom(None)], leaving(False, 5, 0.01))
    assert server.dispatched == []
    assert "no other worker is known" in lines[-1]


def test_a_worker_that_stops_gets_back_into_no_room() -> None:
    async def scene(places: Places) -> None:
        places.close()
        await places.serve(Arrival("den"))

    arrivals, _, _ = played([ScriptedRoom(Ending.LOST)], scene)
    assert len(arrivals) == 1
