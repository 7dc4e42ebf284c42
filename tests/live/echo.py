"""A participant that sends back what it hears, to measure the way through a room with. Independent of times."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from livekit import rtc

from tests.live.livekit_server import LiveKitServer
from tests.live.room_sound import Microphone, echo


@asynccontextmanager
async def echoing(server: LiveKitServer, room: str, identity: str = "echo") -> AsyncIterator[rtc.Room]:
    """A participant that sends back what it hears of the first who speaks, to measure the way through the room with."""
    mouth = Microphone()
    echoes: set[asyncio.Task[None]] = set()
    entered = rtc.Room()

    def heard(track: rtc.RemoteTrack, *_: Any) -> None:
        if not echoes and track.kind == rtc.TrackKind.KIND_AUDIO:
            echoes.add(asyncio.create_task(echo(track, mouth.source), name="echo"))

    entered.on("track_subscribed", heard)
    await entered.connect(server.url, server.token(room, identity))
    await mouth.publish(entered.local_participant)
    try:
        yield entered
    finally:
        for task in echoes:
            task.cancel()
        await asyncio.gather(*echoes, return_exceptions=True)
        await entered.disconnect()
