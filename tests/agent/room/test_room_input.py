"""The ear in virtual time: its frames follow each other without a gap, whatever the track does.

What a real track does is tested in a real room, in tests/live; here only time is looked at.
"""

import asyncio
from itertools import pairwise

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
