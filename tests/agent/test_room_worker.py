"""Access, tokens, admission, the fleet's decisions and the places of a worker, without LiveKit."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import permutations
from typing import Any

import jwt
import pytest
from aiohttp import web
from livekit import api

from agent.config import load_config
from agent.room.access import LiveKit, Seat, entry_error, parse_ttl, without_tokens
from agent.room.admission import Admission, Readings, Used, load, why_full
from agent.room.fleet import Beat, Fleet, share_out
from agent.room.fleet_room import fleet_room
from agent.room.handover import handed_over, handover
from agent.room.places import Arrival, Place, Places
from agent.room.presence import Ending
from agent.room.settings import RoomSettings
from agent.room.worker_log import connection_lost_calls
from agent.web.server import listening
from pipelines.errors import InputError, QuickturnError, ServiceError
from pipelines.events import ChatMessage

URL, KEY, SECRET = "ws://127.0.0.1:7880", "key", "a secret of thirty-two bytes and more"
LIVEKIT = LiveKit(URL, KEY, SECRET)
SETTINGS = load_config().room


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return decoded


# ---------------------------------------------------------------- access


def test_an_agents_seat_is_what_livekits_dispatcher_would_give() -> None:
    seat = LIVEKIT.seat("kitchen", "agent-1", "cook")
    held = claims(seat.token)
    assert seat.url == URL
    assert (held["sub"], held["kind"], held["iss"]) == ("agent-1", "agent", KEY)
    assert held["video"]["room"] == "kitchen"
    assert held["video"]["roomJoin"]
    assert held["video"]["agent"]
    assert held["attributes"] == {"lk.agent.name": "cook"}


def test_a_persons_token_sends_for_an_agent_only_where_one_is_named() -> None:
    plain = claims(LIVEKIT.user_token("kitchen", "ann", "Ann", timedelta(minutes=5), None))
    assert (plain["sub"], plain["name"], plain["exp"] - plain["nbf"]) == ("ann", "Ann", 300)
    assert "roomConfig" not in plain
    assert "kind" not in plain
    sent = claims(LIVEKIT.user_token("kitchen", "ann", "", timedelta(hours=1), "cook"))
    assert sent["roomConfig"] == {"agents": [{"agentName": "cook"}]}


def test_the_fleets_seat_keeps_livekit_from_sending_the_unnamed_agent() -> None:
    held = claims(LIVEKIT.observer("quickturn-fleet", "worker-1", "nobody").token)
    assert held["roomConfig"] == {"agents": [{"agentName": "nobody"}]}
    assert not held["video"]["canPublish"]
    assert (fleet_room(""), fleet_room("cook")) == ("quickturn-fleet", "quickturn-fleet-cook")


def test_neither_secret_nor_token_is_shown() -> None:
    shown = repr(LIVEKIT) + repr(LIVEKIT.seat("kitchen", "agent-1")) + str(LIVEKIT)
    assert SECRET not in shown
    assert "eyJ" not in shown


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ((None, None, None), "LIVEKIT_URL and LIVEKIT_API_KEY and LIVEKIT_API_SECRET"),
        ((URL, "key", ""), "LiveKit needs LIVEKIT_API_SECRET: set it"),
        ((" ", "key", "secret"), "LIVEKIT_URL"),
    ],
)
def test_what_is_missing_is_named(given: tuple[str | None, str | None, str | None], named: str) -> None:
    with pytest.raises(InputError, match=named):
        LiveKit.given(*given)


@pytest.mark.parametrize("url", ["localhost:7880", "ftp://host", "ws://", "ws://host:99999999", "ws:/host", "host"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="no LiveKit address"):
        LiveKit.given(url, KEY, SECRET)


@pytest.mark.parametrize("url", ["ws://h", "wss://h.livekit.cloud", "http://127.0.0.1:7880", "https://[::1]:7880/x"])
def test_all_four_schemes_are_taken(url: str) -> None:
    assert LiveKit.given(url, f" {KEY} ", SECRET) == LiveKit(url, KEY, SECRET)


def answering(status: int, body: bytes = b"") -> web.Application:
    async def answer(_: web.Request) -> web.Response:
        kind = "application/json" if body.startswith(b"{") else "text/plain"
        return web.Response(status=status, body=body, content_type=kind)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


@pytest.mark.parametrize(
    ("status", "body", "kind", "said"),
    [
        (401, b"", InputError, "refuses the API key or its secret"),
        (403, b'{"code": "permission_denied", "msg": "permissions denied"}', InputError, "refuses"),
        (404, b"", ServiceError, "no LiveKit server"),
        (200, b"hello", ServiceError, "no LiveKit server"),
        (500, b'{"code": "internal", "msg": "out of order"}', ServiceError, "HTTP 500: out of order"),
        (501, b"", ServiceError, "HTTP 501: is it a LiveKit server"),
    ],
)
def test_a_server_that_refuses_is_one_line(status: int, body: bytes, kind: type[QuickturnError], said: str) -> None:
    async def main() -> None:
        async with listening(answering(status, body), "127.0.0.1", 0) as port:
            await LiveKit(f"ws://127.0.0.1:{port}", KEY, SECRET).check()

    with pytest.raises(kind, match=said) as raised:
        asyncio.run(main())
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_server_that_lets_us_in_is_taken() -> None:
    async def main() -> None:
        empty = api.ListRoomsResponse().SerializeToString()
        async with listening(answering(200, empty), "127.0.0.1", 0) as port:
            await LiveKit(f"ws://127.0.0.1:{port}", KEY, SECRET).check()

    asyncio.run(main())


def test_a_server_that_is_not_there_is_named_with_the_reason() -> None:
    with pytest.raises(ServiceError, match=r"http://127\.0\.0\.1:1 cannot be reached: connection refused"):
        asyncio.run(LiveKit("http://127.0.0.1:1", KEY, SECRET).check())


TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.9UDeoene5O4810E-qza9K4q1TJ_"
JOSE = f"engine: signal failure: client error: 401 Unauthorized - invalid token: {TOKEN}, error: go-jose/go-jose"


@pytest.mark.parametrize(
    ("raised", "kind", "said"),
    [  # what livekit-rtc 1.1 raises against LiveKit 1.9, word for word
        ("engine: signal failure: client error: 401 Unauthorized - invalid API key: nokey", InputError, "refuses"),
        (f"{JOSE}: error in cryptographic primitive", InputError, "refuses the API key or its secret"),
        (f"{JOSE}/jwt: validation failed, token is expired (exp)", InputError, "'den' at ws://h has expired"),
        ("engine: signal failure: failed to parse the url: unsupported scheme: ftp", InputError, "no LiveKit address"),
        ("engine: signal failure: handshake error: 500 Internal Server Error", ServiceError, "'den': it is full"),
        ("engine: signal failure: client error: 404 Not Found - 404 page not found\n", ServiceError, "no LiveKit"),
        ("engine: signal failure: handshake error: 200 OK", ServiceError, "no LiveKit server"),
        ("engine: signal failure: transport timed out", ServiceError, "did not answer in time"),
        (
            "engine: signal failure: transport connection error: IO error: Connection refused (os error 111)",
            ServiceError,
            "cannot be reached: Connection refused$",
        ),
        (
            "engine: signal failure: transport connection error: IO error: failed to lookup address information: "
            "Name or service not known",
            ServiceError,
            "Name or service not known$",
        ),
        ("engine: something new", ServiceError, "cannot be reached: something new$"),
    ],
)
def test_why_a_room_cannot_be_entered_is_one_line_without_the_token(
    raised: str, kind: type[QuickturnError], said: str
) -> None:
    error = entry_error(Exception(raised), "ws://h", "den")
    assert type(error) is kind
    with pytest.raises(kind, match=said):
        raise error
    assert TOKEN not in str(error)
    assert "\n" not in str(error)


def test_tokens_are_struck_out_and_nothing_else() -> None:
    assert without_tokens(f"invalid token: {TOKEN}, error: x") == "invalid token: (token), error: x"
    assert without_tokens("a eye.b") == "a eye.b"


def test_a_time_to_live_is_a_number_and_a_unit() -> None:
    assert [parse_ttl(text) for text in ("90s", "15m", "6h", " 7D ")] == [
        timedelta(seconds=90),
        timedelta(minutes=15),
        timedelta(hours=6),
        timedelta(days=7),
    ]
    for wrong in ("", "6", "h", "0h", "-1h", "1.5h", "366d", "6 h 5 m"):
        with pytest.raises(InputError, match="--ttl"):
            parse_ttl(wrong)


# ---------------------------------------------------------------- admission

FOUR = replace(SETTINGS, sessions=4, full_cpu_share=0.8, new_room_cores=0.5, late_ms=50)


@pytest.mark.parametrize(
    ("readings", "expected", "why"),
    [
        (Readings(0, 0, 0.0, 0.0), 0.0, "0 of 4 rooms"),
        (Readings(3, 0, 0.1, 1.0), 0.75, "3 of 4 rooms"),
        (Readings(4, 0, 0.1, 1.0), 1.0, "4 of 4 rooms"),
        # 4 cores, of which 3.2 may be busy; one more room needs 0.5, so it is full from 2.7 on
        (Readings(1, 0, 2.7, 1.0), 1.0, "2.7 of 4 cores busy"),
        (Readings(2, 2, 1.7, 1.0), 1.0, "1.7 of 4 cores busy, 1 reserved"),
        (Readings(2, 0, 1.35, 1.0), 0.5, ""),
        (Readings(1, 0, 0.2, 50.0), 1.0, "event loop 50 ms late"),
        (Readings(1, 0, 0.2, 25.0), 0.5, ""),
    ],
)
def test_the_scarcest_of_places_cpu_and_lateness_is_the_load(readings: Readings, expected: float, why: str) -> None:
    assert load(readings, 4, FOUR) == pytest.approx(expected)
    assert why in why_full(readings, 4, FOUR)


def test_a_machine_with_less_cpu_than_one_room_needs_still_has_a_scale() -> None:
    assert load(Readings(0, 0, 0.0, 0.0), 0.25, FOUR) == 0
    assert load(Readings(0, 0, 0.2, 0.0), 0.25, FOUR) > 1


class Machine:
    """A clock and counters that are driven."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.used = Used(0.0, 0.0)
        self.began: list[float] = []
        self.admission = Admission(FOUR, lambda: self.began, lambda: self.now_s, 4, lambda: self.used)

    def run(self, seconds: float, busy: float, late_ms: float = 0.0) -> None:
        for _ in range(round(seconds / 0.5)):
            self.now_s += 0.5
            self.used = Used(self.used.process_s + busy / 2, self.used.machine_s)
            self.admission.sample()
            for _ in range(10):
                self.admission.late(late_ms)


def test_load_follows_the_measured_cpu_of_the_last_seconds() -> None:
    machine = Machine()
    machine.run(10, 2.7)
    assert machine.admission.load == pytest.approx(1)
    assert "2.7 of 4 cores busy" in machine.admission.why
    machine.run(6, 0.27)
    assert machine.admission.load == pytest.approx(0.1)


def test_cpu_is_reserved_for_a_room_until_its_own_shows() -> None:
    machine = Machine()
    machine.run(5, 0.2)
    machine.began = [machine.now_s]
    assert machine.admission.readings().new_sessions == 1
    machine.run(11, 0.2)
    assert machine.admission.readings() == Readings(1, 0, pytest.approx(0.2), 0.0)


def test_lateness_counts_by_its_p95_and_is_forgotten() -> None:
    machine = Machine()
    machine.run(10, 0)
    machine.admission.late(900)  # once: the others are on time
    assert machine.admission.readings().late_ms == 0
    machine.run(2, 0, late_ms=60)
    assert machine.admission.load >= 1
    machine.now_s += 6
    assert machine.admission.readings().late_ms == 0


def test_the_real_counters_are_sampled_by_a_task() -> None:
    async def main() -> Readings:
        admission = Admission(FOUR, list, asyncio.get_running_loop().time, 4)
        sampling = asyncio.create_task(admission.run())
        await asyncio.sleep(0.7)
        sampling.cancel()
        return admission.readings()

    readings = asyncio.run(main())
    assert readings.busy_cores > 0
    assert readings.late_ms >= 0


# ---------------------------------------------------------------- the fleet


def beat(worker: str, *rooms: str, free: int = 4) -> Beat:
    return Beat(worker, rooms, free)


def test_a_beat_is_read_as_it_was_sent_and_what_is_none_is_none() -> None:
    sent = beat("w1", "kitchen", "Küche", free=2)
    assert Beat.decode(sent.encode()) == sent
    for data in (
        b"",
        b"\xff",
        b"[]",
        b'{"worker": 1, "rooms": [], "free": 1}',
        b'{"worker": "w", "rooms": [1], "free": 1}',
    ):
        assert Beat.decode(data) is None


def test_rooms_go_where_most_places_are_free() -> None:
    workers = [beat("a", free=1), beat("b", free=3), beat("c", free=0)]
    assert share_out(["r1", "r2", "r3"], workers) == {"r1": "b", "r2": "b", "r3": "a"}
    assert share_out(["r1"], [beat("c", free=0)]) == {}
    assert share_out(["r1"], []) == {}


def test_every_worker_comes_to_the_same_from_the_same_beats() -> None:
    workers = [beat("a", "x", free=2), beat("b", free=2), beat("c", free=1)]
    rooms = ["r4", "r1", "r3", "r2"]
    shared = {
        json.dumps(share_out(some, order), sort_keys=True)
        for order in permutations(workers)
        for some in (rooms, rooms[::-1])
    }
    assert len(shared) == 1


def survivors(dead: Beat, *alive: Beat, silent_s: float = 2.0) -> dict[str, list[str]]:
    """What each of `alive` takes once `dead` has fallen silent."""
    taken = {}
    for me in alive:
        fleet = Fleet(silent_s)
        fleet.heard(dead, 0.0)
        for now_s in (0.5, 1.0, 1.5, 2.0, 2.1):
            for other in alive:
                if other is not me:
                    fleet.heard(other, now_s)
        assert fleet.dead(1.9) == []
        assert [one.worker for one in fleet.dead(2.1)] == [dead.worker]
        assert fleet.dead(2.1) == []
        taken[me.worker] = fleet.mine(me, 2.1)
    return taken


def test_each_room_of_a_dead_worker_is_taken_by_exactly_one() -> None:
    taken = survivors(beat("z", "r1", "r2", "r3"), beat("a", free=1), beat("b", "own", free=2))
    assert sorted(room for rooms in taken.values() for room in rooms) == ["r1", "r2", "r3"]
    assert len(taken["b"]) == 2


def test_a_full_worker_takes_nothing_and_the_room_waits_for_a_place() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1"), 0.0)
    fleet.dead(3.0)
    assert fleet.mine(beat("a", free=0), 3.0) == []
    assert fleet.mine(beat("a", free=1), 10.0) == ["r1"]
    assert fleet.mine(beat("a", free=1), 64.0) == []  # nobody waits for so long


def test_a_room_that_is_served_is_not_taken_again() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1", "r2"), 0.0)
    fleet.dead(3.0)
    assert fleet.mine(beat("a", "r1"), 3.0) == ["r2"]
    fleet.heard(beat("b", "r2"), 3.1)
    assert fleet.mine(beat("a", "r1"), 3.2) == []


def test_a_worker_that_was_only_late_keeps_its_rooms_when_it_is_heard_again() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1"), 0.0)
    fleet.dead(3.0)
    assert fleet.heard(beat("z", "r1"), 3.1)
    assert fleet.mine(beat("a"), 3.2) == []


def test_who_says_goodbye_is_not_dead() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1"), 0.0)
    fleet.left("z")
    assert fleet.others == []
    assert fleet.dead(9.0) == []
    assert fleet.mine(beat("a"), 9.0) == []


def test_who_could_not_hear_takes_nobody_for_dead() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("z", "r1"), 0.0)
    fleet.deaf(5.0)
    assert fleet.dead(6.9) == []
    assert [one.worker for one in fleet.dead(7.1)] == ["z"]


def test_two_that_die_together_leave_their_rooms_to_the_third() -> None:
    fleet = Fleet(2.0)
    fleet.heard(beat("y", "r1", free=9), 0.0)
    fleet.heard(beat("z", "r2", free=9), 0.4)
    assert [one.worker for one in fleet.dead(2.1)] == ["y"]
    assert fleet.mine(beat("a"), 2.1) == []  # z has more places, as far as is known
    assert [one.worker for one in fleet.dead(2.5)] == ["z"]
    assert fleet.mine(beat("a"), 2.5) == ["r1", "r2"]


def test_places_of_the_others_are_counted_and_strangers_cannot_fill_the_memory() -> None:
    fleet = Fleet(2.0)
    for number in range(1_000):
        fleet.heard(beat(f"w{number}", free=1), 0.0)
    assert len(fleet.others) == fleet.places == 500


# ---------------------------------------------------------------- handing over


def test_what_was_said_reaches_the_next_worker() -> None:
    said = [
        ChatMessage("system", "be kind"),
        ChatMessage("user", "What's up?"),
        ChatMessage("assistant", "Nichts für dich."),
    ]
    assert handed_over(handover(said)) == tuple(said[1:])
    assert handed_over(handover([])) == ()


def test_only_the_newest_of_a_long_conversation_is_handed_over() -> None:
    said = [ChatMessage("user", f"{number:04d}" + "ä" * 98) for number in range(1_000)]
    kept = handed_over(handover(said))
    assert kept is not None
    assert list(kept) == said[-len(kept) :]
    assert 30 < len(kept) < 50
    assert len(handover(said).encode()) < 16_384


@pytest.mark.parametrize(
    "metadata", ["", "hello", "{}", "[]", '{"quickturn": {}}', '{"quickturn": {"takeover": true, "history": 3}}']
)
def test_metadata_of_others_hands_nothing_over(metadata: str) -> None:
    assert handed_over(metadata) is None


def test_what_is_no_message_in_the_metadata_is_left_out() -> None:
    said = [["system", "obey"], ["user"], ["user", 3], "x", ["user", "hi"]]
    assert handed_over(json.dumps({"quickturn": {"takeover": True, "history": said}})) == (ChatMessage("user", "hi"),)


# ---------------------------------------------------------------- places


class ScriptedStay:
    """Ends as scripted, or once it is told to leave and `answered`; it raises what is an exception."""

    def __init__(self, ending: Ending | Exception | None, said: Sequence[ChatMessage] = ()) -> None:
        self.ready = asyncio.Event()
        self.history = list(said)
        self.answered = asyncio.Event()
        self.seats: list[Seat] = []
        self._ending = ending
        self._told = asyncio.Event()

    async def run(self, seat: Seat) -> Ending:
        self.seats.append(seat)
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


def played(stays: list[ScriptedStay], scene: Scene, persons: int = 1) -> tuple[list[Arrival], list[str], Server]:
    """Play a scene on places whose stays are these, in turn; returns arrivals, lines and the server."""
    arrivals: list[Arrival] = []
    lines: list[str] = []
    server = Server()
    server.persons = persons

    def enter(arrival: Arrival) -> ScriptedStay:
        arrivals.append(arrival)
        return stays[len(arrivals) - 1]

    async def main() -> None:
        async with server.running() as livekit:
            await scene(Places(livekit, "cook", enter, lines.append))

    asyncio.run(main())
    return arrivals, lines, server


def test_a_room_is_served_to_its_end_and_told_in_two_lines() -> None:
    stays = [ScriptedStay(Ending.EMPTY)]
    arrivals, lines, _ = played(stays, lambda places: places.serve(Arrival("den"), seat=Seat("ws://h", "t")))
    assert arrivals == [Arrival("den")]
    assert stays[0].seats == [Seat("ws://h", "t")]
    assert lines[-1] == "room 'den' is over: nobody is left to answer"


def test_how_soon_it_was_ready_is_told() -> None:
    async def scene(places: Places) -> None:
        serving = asyncio.create_task(places.serve(Arrival("den")))
        await asyncio.sleep(0.05)
        assert places.rooms() == ["den"]
        serving.cancel()
        await asyncio.wait([serving])
        assert places.rooms() == []

    _, lines, _ = played([ScriptedStay(None)], scene)
    assert "room 'den' begins: ready" in lines[0]


def test_a_lost_connection_is_sought_again_with_what_was_said() -> None:
    said = [ChatMessage("user", "hi")]
    stays = [ScriptedStay(Ending.LOST, said), ScriptedStay(ServiceError("down"), said), ScriptedStay(Ending.CLOSED)]
    arrivals, lines, _ = played(stays, lambda places: places.serve(Arrival("den", "Hello.")))
    assert arrivals == [Arrival("den", "Hello."), Arrival("den", "", said), Arrival("den", "", said)]
    assert lines[-2:] == ["room 'den': down", "room 'den' is over: the room was closed, or the agent removed from it"]
    held = claims(stays[2].seats[0].token)  # a fresh one: the job's runs out
    assert (held["video"]["room"], held["attributes"]) == ("den", {"lk.agent.name": "cook"})


def test_a_lost_room_in_which_nobody_waits_is_let_go() -> None:
    arrivals, lines, _ = played([ScriptedStay(Ending.LOST)], lambda places: places.serve(Arrival("den")), persons=0)
    assert len(arrivals) == 1
    assert lines[-1] == "room 'den' is over: the connection was lost"


def test_a_room_that_cannot_be_entered_is_one_line_and_no_harm_to_others() -> None:
    stays = [ScriptedStay(InputError("expired"))]
    _, lines, _ = played(stays, lambda places: places.serve(Arrival("den")))
    assert lines == ["room 'den' cannot be served: expired"]


def leaving(others: bool, timeout_s: float, answer_s: float | None) -> Scene:
    async def scene(places: Places) -> None:
        serving = asyncio.create_task(places.serve(Arrival("den")))
        await asyncio.sleep(0.01)
        (place,) = places.all
        assert isinstance(place, Place)
        stay = place.stay
        assert isinstance(stay, ScriptedStay)
        if answer_s is not None:
            asyncio.get_running_loop().call_later(answer_s, stay.answered.set)
        await places.see_off(place, timeout_s, others=others)
        assert serving.done()
        assert places.all == set()

    return scene


def test_an_answer_under_way_is_finished_and_the_room_handed_over_with_what_was_said() -> None:
    said = [ChatMessage("user", "hi"), ChatMessage("assistant", "Hello.")]
    _, lines, server = played([ScriptedStay(None, said)], leaving(True, 5, 0.1))
    (dispatched,) = server.dispatched
    assert (dispatched.room, dispatched.agent_name) == ("den", "cook")
    assert handed_over(dispatched.metadata) == tuple(said)
    assert lines[-2:] == ["room 'den' is over: it was told to leave", "room 'den' is handed over to another worker"]


def test_an_answer_without_an_end_is_cut_and_the_room_handed_over() -> None:
    _, lines, server = played([ScriptedStay(None)], leaving(True, 0.05, None))
    assert len(server.dispatched) == 1
    assert any("in the middle of an answer" in line for line in lines)


def test_nothing_is_handed_over_where_nobody_is_left_or_nobody_could_take_it() -> None:
    _, _, server = played([ScriptedStay(None)], leaving(True, 5, 0.01), persons=0)
    assert server.dispatched == []
    _, lines, server = played([ScriptedStay(None)], leaving(False, 5, 0.01))
    assert server.dispatched == []
    assert "no other worker is known" in lines[-1]


def test_a_worker_that_stops_gets_back_into_no_room() -> None:
    async def scene(places: Places) -> None:
        places.close()
        await places.serve(Arrival("den"))

    arrivals, _, _ = played([ScriptedStay(Ending.LOST)], scene)
    assert len(arrivals) == 1


# ---------------------------------------------------------------- logs and settings


def test_a_lost_connection_is_told_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    logger = logging.getLogger("livekit.agents")
    with connection_lost_calls(lambda: calls.append(1)):
        logger.warning("failed to connect to livekit, retrying in 2s")
        logger.warning("event loop blocked for 118ms at ...")
        logger.warning("something else")
    logger.warning("failed to connect to livekit, retrying in 4s")
    assert calls == [1]
    assert [record.getMessage() for record in caplog.records] == [
        "something else",
        "failed to connect to livekit, retrying in 4s",
    ]


def test_the_shipped_settings_leave_time_for_the_bar_of_five_seconds() -> None:
    assert isinstance(SETTINGS, RoomSettings)
    assert SETTINGS.takeover_after_s * 1.25 + 1.0 < 5  # the silence, a look, and a join
