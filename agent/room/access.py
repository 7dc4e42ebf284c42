"""How to get into LiveKit: the server's address, the key that opens it, tokens for its rooms, and what went wrong in
one line.

Nothing here prints, logs or raises a secret or a token. Independent of what happens in a rooms.
"""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Self
from urllib.parse import urlsplit

import aiohttp
from google.protobuf.message import DecodeError
from livekit import api
from livekit.agents.types import ATTRIBUTE_AGENT_NAME
from livekit.api.twirp_client import ServerError

from pipelines.errors import InputError, QuickturnError, ServiceError

_SCHEMES = ("ws", "wss", "http", "https")
_CHECK_TIMEOUT_S = 5.0
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_LONGEST_TTL_S = 365 * 86_400
_TOKEN = re.compile(r"\beyJ[\w-]*\.[\w-]*\.[\w-]*")
_WRONG_SECRET = (
    "refuses the API key or its secret: LIVEKIT_API_KEY and LIVEKIT_API_SECRET must be a pair of the server's keys "
    "(`livekit-server --dev` has devkey and secret)"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one needs to enter a room."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LiveKit:
    """A server and the key that opens it."""

    url: str
    api_key: str = field(repr=False)
    api_secret: str = field(repr=False)

    @classmethod
    def given(cls, url: str | None, api_key: str | None, api_secret: str | None) -> Self:
        """From flags or the environment. Raises InputError that names what is missing."""
        values = {"LIVEKIT_URL": url, "LIVEKIT_API_KEY": api_key, "LIVEKIT_API_SECRET": api_secret}
        if missing := [name for name, value in values.items() if not (value or "").strip()]:
            raise InputError(
                f"LiveKit needs {' and '.join(missing)}: set {'it' if len(missing) == 1 else 'them'} in the "
                "environment, or give --url, --api-key and --api-secret; for `livekit-server --dev` on this machine "
                "they are ws://127.0.0.1:7880, devkey and secret"
            )
        made = cls(*((value or "").strip() for value in values.values()))
        _check_url(made.url)
        return made

    def credentials(self, room: str, identity: str, agent_name: str = "") -> Credentials:
        """A place for an agent, as LiveKit's dispatcher would make it."""
        grants = api.VideoGrants(room_join=True, room=room, agent=True, can_update_own_metadata=True)
        token = self._token(identity).with_kind("agent").with_grants(grants)
        return Credentials(self.url, token.with_attributes({ATTRIBUTE_AGENT_NAME: agent_name}).to_jwt())

    def observer(self, room: str, identity: str, dispatch: str) -> Credentials:
        """A place for a program that sends and receives data, and no sound. If it is the first in the room, LiveKit
        sends the agent `dispatch` there and no other.
        """
        grants = api.VideoGrants(room_join=True, room=room, agent=True, can_publish=False)
        wanted = api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name=dispatch)])
        token = self._token(identity).with_kind("agent").with_grants(grants).with_room_config(wanted)
        return Credentials(self.url, token.to_jwt())

    def user_token(self, room: str, identity: str, name: str, ttl: timedelta, dispatch: str | None) -> str:
        """A person's token; `dispatch` names an agent that is sent into the room with them."""
        grants = api.VideoGrants(room_join=True, room=room, can_update_own_metadata=True)
        token = self._token(identity).with_name(name).with_ttl(ttl).with_grants(grants)
        if dispatch is not None:
            wanted = api.RoomConfiguration(agents=[api.RoomAgentDispatch(agent_name=dispatch)])
            token = token.with_room_config(wanted)
        return token.to_jwt()

    def _token(self, identity: str) -> api.AccessToken:
        return api.AccessToken(self.api_key, self.api_secret).with_identity(identity)

    @asynccontextmanager
    async def asked(self) -> AsyncIterator[api.LiveKitAPI]:
        """The server's API. Whatever goes wrong in the block with it is raised as InputError or ServiceError."""
        timeout = aiohttp.ClientTimeout(total=_CHECK_TIMEOUT_S)
        client = api.LiveKitAPI(self.url, self.api_key, self.api_secret, timeout=timeout)
        try:
            yield client
        except ServerError as error:
            raise self._refusal(error) from None
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise ServiceError(f"LiveKit at {self.url} cannot be reached: {_reason(error)}") from None
        except DecodeError:
            raise ServiceError(f"{self.url} answers, but is not a LiveKit server: check LIVEKIT_URL") from None
        finally:
            # The package publishes no types for it.
            await client.aclose()  # type: ignore[no-untyped-call, unused-ignore]

    async def check(self) -> None:
        """Ask for something that needs the key, and costs nothing. Raises InputError and ServiceError."""
        async with self.asked() as client:
            await client.room.list_rooms(api.ListRoomsRequest(names=["quickturn-asks-whether-it-may-ask"]))

    def _refusal(self, error: ServerError) -> QuickturnError:
        match error.status:
            case 401 | 403:
                return InputError(f"LiveKit at {self.url} {_WRONG_SECRET}")
            case 404 if not error.message:
                return ServiceError(f"{self.url} answers HTTP 404, so it is not a LiveKit server: check LIVEKIT_URL")
            case status:
                said = without_tokens(error.message) or "is it a LiveKit server?"
                return ServiceError(f"LiveKit at {self.url} answers HTTP {status}: {said}")


def given_seat(url: str | None, token: str) -> Credentials:
    """A place whose token was made elsewhere. Raises InputError."""
    if not (url or "").strip():
        raise InputError("a token needs the server that it is for: set LIVEKIT_URL in the environment, or give --url")
    credentials = Credentials((url or "").strip(), token.strip())
    _check_url(credentials.url)
    return credentials


def entry_error(error: Exception, url: str, room: str = "") -> QuickturnError:
    """What `rtc.Room.connect` raised, as one line that says what to do: a key, a URL or a token that is wrong, a
    room that is full, a server that is not there.
    """
    text, named = without_tokens(str(error)), f"room {room!r}" if room else "the room"
    match text:
        case _ if "token is expired" in text:
            return InputError(f"the token for {named} at {url} has expired: make a new one (quickturn room token)")
        case _ if "invalid API key" in text or "401" in text:
            return InputError(f"LiveKit at {url} {_WRONG_SECRET}")
        case _ if "failed to parse the url" in text:
            return InputError(f"{url!r} is not a LiveKit address: expected ws://HOST:PORT or wss://HOST")
        case _ if "500 Internal Server Error" in text:
            # What LiveKit 1.9 answers to one participant more than the room's max_participants, without a word.
            return ServiceError(f"LiveKit at {url} lets no one else into {named}: it is full, or the server has failed")
        case _ if "404" in text or "200 OK" in text:
            return ServiceError(f"{url} answers, but is not a LiveKit server: check LIVEKIT_URL")
        case _ if "timed out" in text or isinstance(error, TimeoutError):
            return ServiceError(f"LiveKit at {url} did not answer in time: check LIVEKIT_URL, and the firewall")
        case _:
            reason = text.rsplit("IO error: ", 1)[-1].removeprefix("engine: ").removeprefix("signal failure: ").strip()
            return ServiceError(f"LiveKit at {url} cannot be reached: {reason.split(' (os error')[0] or type(error)}")


def without_tokens(text: str) -> str:
    """The text, fit to be shown: LiveKit's own messages quote the token that they refuse."""
    return _TOKEN.sub("(token)", text).strip()


def parse_ttl(text: str) -> timedelta:
    """30s, 15m, 6h or 7d. Raises InputError."""
    found = re.fullmatch(r"(\d{1,9})([smhd])", text.strip().lower())
    seconds = int(found[1]) * _UNITS_S[found[2]] if found else 0
    if not 0 < seconds <= _LONGEST_TTL_S:
        raise InputError(f"--ttl {text!r} cannot be used: expected something like 30m, 6h or 7d, at most 365d")
    return timedelta(seconds=seconds)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        known = parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        known = False
    if not known:
        raise InputError(f"LIVEKIT_URL {url!r} is not a LiveKit address: expected ws://HOST:PORT or wss://HOST")


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {_CHECK_TIMEOUT_S:g} s"
    cause = getattr(error, "os_error", None)  # aiohttp wraps the system's reason in many words
    said = without_tokens(str(getattr(cause, "strerror", None) or error))
    return "connection refused" if isinstance(cause, ConnectionRefusedError) else said
