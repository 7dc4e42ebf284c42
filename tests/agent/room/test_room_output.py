"""The agent's track through livekit's own audio source and stream, without a server: what is played is what is heard.

Time is real here, for WebRTC paces in a thread of its own; what is looked at is what was heard, not how fast.
"""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
import pytest
from livekit import rtc

from agent.room.output import RoomOutput
from pipelines.events import Pcm

RATE = RoomOutput.sample_rate_hz
SPOKEN_S = 1.0


def spoken() -> Pcm:
    """Each sample tells where it belongs: a ramp that never returns to a value."""
    return np.linspace(1_000, 30_000, round(SPOKEN_S * RATE)).astype(np.int16)


class RoomInput:
    """A listener to the track, whose frames are the tests' clock."""

    def __init__(self, stream: rtc.AudioStream) -> None:
        self.pieces: list[Pcm] = []
        self._stream = stream
        self._came = asyncio.Event()

    async def listen(self) -> None:
        async for event in self._stream:
            self.pieces.append(np.frombuffer(event.frame.data, np.int16).copy())
            self._came.set()

    def heard(self) -> Pcm:
        """All but silence."""
        heard = np.concatenate([np.zeros(0, np.int16), *self.pieces])
        return heard[np.abs(heard) > 500]

    async def until_heard(self, seconds: float) -> None:
        while len(self.heard()) < seconds * RATE:
            await self.listened(0.01)

    async def listened(self, seconds: float) -> None:
        """Hear so much more, whatever it is."""
        end = len(self.pieces) + round(seconds * 100)
        while len(self.pieces) < end:
            self._came.clear()
            await self._came.wait()


def heard_while(play: Callable[[RoomOutput, RoomInput], Awaitable[None]]) -> Pcm:
    """What a listener to the track hears, silence left out."""

    async def main() -> Pcm:
        output = RoomOutput(asyncio.get_running_loop().time)
        track = rtc.LocalAudioTrack.create_audio_track("agent", output.source)
        stream = rtc.AudioStream(track, sample_rate=RATE, num_channels=1, frame_size_ms=10)
        ear = RoomInput(stream)
        async with asyncio.TaskGroup() as tasks:
            parts = [tasks.create_task(output.run()), tasks.create_task(ear.listen())]
            await play(output, ear)
            await ear.listened(0.2)  # what was handed over last
            for part in parts:
                part.cancel()
        await stream.aclose()
        assert output.underruns == 0
        return ear.heard()

    return asyncio.run(main())


def test_what_is_played_is_heard_whole() -> None:
    async def play(output: RoomOutput, ear: RoomInput) -> None:
        await output.play(spoken()[: RATE // 3])
        await output.play(spoken()[RATE // 3 :])
        await output.drain()

    assert np.array_equal(heard_while(play), spoken())


def test_after_a_pause_it_goes_on_where_it_was() -> None:
    async def play(output: RoomOutput, ear: RoomInput) -> None:
        await output.play(spoken())
        await ear.until_heard(0.4)
        output.pause()
        output.pause()
        await ear.listened(0.2)
        output.resume()
        await output.drain()

    heard = heard_while(play)
    assert len(heard) == pytest.approx(len(spoken()), abs=0.03 * RATE)
    assert heard[-1] == spoken()[-1]
    steps = np.diff(heard.astype(np.int32))
    assert np.sum(np.abs(steps) > 500) <= 1, "one seam, where it comes back"


def test_what_is_cleared_is_not_heard_and_what_comes_then_is() -> None:
    async def play(output: RoomOutput, ear: RoomInput) -> None:
        await output.play(spoken())
        await ear.until_heard(0.3)
        output.clear()
        await ear.listened(0.2)
        await output.play(np.full(RATE // 10 + 7, -20_000, np.int16))
        await output.drain()

    heard = heard_while(play)
    before, after = heard[heard > 0], heard[heard < -19_000]
    assert len(before) == pytest.approx(0.3 * RATE, abs=0.05 * RATE)
    assert len(after) == RATE // 10 + 7


def test_what_reaches_webrtc_after_a_clear_is_taken_back() -> None:
    async def play(output: RoomOutput, ear: RoomInput) -> None:
        capture = output.source.capture_frame
        on_its_way, cleared = asyncio.Event(), asyncio.Event()

        async def late(frame: rtc.AudioFrame) -> None:
            on_its_way.set()
            await cleared.wait()
            await capture(frame)

        output.source.capture_frame = late  # type: ignore[method-assign]
        await output.play(spoken())
        await on_its_way.wait()
        output.clear()
        cleared.set()
        await ear.listened(0.2)
        output.source.capture_frame = capture  # type: ignore[method-assign]
        await output.play(np.full(RATE // 10 + 7, -20_000, np.int16))
        await output.drain()

    heard = heard_while(play)
    assert len(heard[heard > 0]) < 0.02 * RATE
    assert len(heard[heard < -19_000]) == RATE // 10 + 7


def test_an_end_that_is_no_whole_step_of_webrtcs_is_heard_too() -> None:
    async def play(output: RoomOutput, ear: RoomInput) -> None:
        await output.play(spoken()[:4_807])
        await output.drain()

    assert np.array_equal(heard_while(play), spoken()[:4_807])


def test_play_waits_while_it_is_paused_or_full() -> None:
    async def play(output: RoomOutput, ear: RoomInput) -> None:
        await output.play(np.zeros(3 * RATE, np.int16))
        waiting = asyncio.create_task(output.play(spoken()[:480]))
        await ear.listened(0.1)
        assert not waiting.done(), "three seconds are more than it takes ahead"
        output.clear()
        await asyncio.wait_for(waiting, 1)
        output.pause()
        waiting = asyncio.create_task(output.play(spoken()[:480]))
        await ear.listened(0.1)
        assert not waiting.done()
        output.clear()
        await asyncio.wait_for(waiting, 1)
        await output.drain()

    assert heard_while(play)[-1] == spoken()[479]
