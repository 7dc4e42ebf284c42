"""The room's input in virtual time: its frames follow each other without a gap, whatever the track does.

What a real track does is tested in a real room, in tests/live; here only time is looked at.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from itertools import pairwise
from typing import cast

import pytest
from livekit import rtc

from agent.room.input import RoomInput
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame
from tests.scripted import now
from tests.virtual_time import run


def test_where_no_track_is_heard_silence_takes_its_place_in_real_time() -> None:
    async def main() -> list[AudioFrame]:
        heard: list[AudioFrame] = []

        async def listen() -> None:
            async for frame in RoomInput(now).frames():
                heard.append(frame)  # noqa: PERF401 - it is cancelled, and must leave what it has heard

        listening = asyncio.create_task(listen())
        await asyncio.sleep(5)
        listening.cancel()
        await asyncio.wait([listening])
        return heard

    heard = run(main())
    assert heard[0].start_samples == 0
    assert all(later.start_samples == earlier.end_samples for earlier, later in pairwise(heard))
    assert not any(frame.pcm.any() for frame in heard)
    missing_s = 5 - heard[-1].end_samples / SAMPLE_RATE_HZ
    assert 0 <= missing_s <= 0.2, "it is never further behind than it has patience"


def test_a_track_that_cannot_be_read_is_named_in_the_log_and_silence_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **options: object) -> rtc.AudioStream:
        raise RuntimeError("no such track")

    monkeypatch.setattr("agent.room.input.rtc.AudioStream", broken)

    async def main() -> AudioFrame:
        hearing = RoomInput(now)
        hearing.listen_to(cast(rtc.Track, object()))
        frames = cast(AsyncGenerator[AudioFrame], hearing.frames())
        async with aclosing(frames):
            frame = await anext(frames)
        await hearing.close()
        return frame

    assert not run(main()).pcm.any()
    assert "the track can no longer be heard" in caplog.text
    assert "no such track" in caplog.text
