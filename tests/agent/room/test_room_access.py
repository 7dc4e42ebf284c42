"""Who may enter a room, with which token, and what is told where one may not."""

import asyncio
from datetime import timedelta
from typing import Any

import jwt
import pytest
from aiohttp import web
from livekit import api

from agent.room.access import LiveKit, entry_error, parse_ttl, without_tokens
from agent.room.worker.fleet_room import fleet_room
from agent.web.server import listening
from pipelines.errors import InputError, QuickturnError, ServiceError

URL, KEY, SECRET = "ws://127.0.0.1:7880", "key", "a secret of thirty-two bytes and more"
LIVEKIT = LiveKit(URL, KEY, SECRET)


def claims(token: str) -> dict[str, Any]:
    decoded: dict[str, Any] = jwt.decode(token, SECRET, algorithms=["HS256"])
    return decoded


def test_an_agents_seat_is_what_livekits_dispatcher_would_give() -> None:
    credentials = LIVEKIT.credentials("kitchen", "agent-1", "cook")
    held = claims(credentials.token)
    assert credentials.url == URL
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
    shown = repr(LIVEKIT) + repr(LIVEKIT.credentials("kitchen", "agent-1")) + str(LIVEKIT)
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
    with pytest.raises(InputError, match="not a LiveKit address"):
        LiveKit.given(url, KEY, SECRET)


@pytest.mark.parametrize("url", ["ws://h", "wss://h.livekit.cloud", "http://127.0.0.1:7880", "https://[::1]:7880/x"])
def test_all_four_schemes_are_taken(url: str) -> None:
    assert LiveKit.given(url, f" {KEY} ", SECRET) == LiveKit(url, KEY, SECRET)


def answering(status: int, body: bytes = b"", asked: list[str] | None = None) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        if asked is not None:
            asked.append(request.path)
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
        (404, b"", ServiceError, "not a LiveKit server"),
        (200, b"hello", ServiceError, "not a LiveKit server"),
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
    asked: list[str] = []

    async def main() -> None:
        empty = api.ListRoomsResponse().SerializeToString()
        async with listening(answering(200, empty, asked), "127.0.0.1", 0) as port:
            await LiveKit(f"ws://127.0.0.1:{port}", KEY, SECRET).check()

    asyncio.run(main())
    assert len(asked) == 1


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
        (
            "engine: signal failure: failed to parse the url: unsupported scheme: ftp",
            InputError,
            "not a LiveKit address",
        ),
        ("engine: signal failure: handshake error: 500 Internal Server Error", ServiceError, "'den': it is full"),
        ("engine: signal failure: client error: 404 Not Found - 404 page not found\n", ServiceError, "not a LiveKit"),
        ("engine: signal failure: handshake error: 200 OK", ServiceError, "not a LiveKit server"),
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
