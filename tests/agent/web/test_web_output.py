"""The page's output and its parts, without a server."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.web.output import BrowserOutput
from agent.web.page_clock import PageClock
from pipelines.events import Pcm
from tests.scripted import now, voice
from tests.virtual_time import run


class Wire:
    """A `BrowserOutput` in driven time, with what it sent and told."""

    def __init__(self) -> None:
        self.sent: list[bytes | dict[str, object]] = []
        self.shifts: list[tuple[float, float]] = []
        self.heard: list[tuple[float, int, bool]] = []
        self.output = BrowserOutput(now, self.sent.append, self._shift, self._hear)

    def _shift(self, from_s: float, by_s: float) -> None:
        self.shifts.append((from_s, by_s))

    def _hear(self, at_s: float, pcm: Pcm, follows: bool) -> None:
        self.heard.append((at_s, len(pcm), follows))

    @property
    def samples(self) -> int:
        """How many were sent."""
        return sum((len(one) - 8) // 2 for one in self.sent if isinstance(one, bytes))


def with_output(do: Callable[[Wire], Awaitable[Any]]) -> None:
    async def main() -> None:
        wire = Wire()
        pump = asyncio.create_task(wire.output.run())
        try:
            async with asyncio.timeout(60):
                await do(wire)
        finally:
            pump.cancel()
            await asyncio.wait([pump])

    run(main())


def test_at_most_a_second_is_sent_ahead_and_a_full_queue_makes_play_wait() -> None:
    async def do(wire: Wire) -> None:
        began_s = now()
        await wire.output.play(voice(5_000))
        await asyncio.sleep(0.05)
        assert 16_000 <= wire.samples <= 19_200
        await wire.output.play(voice(100))
        assert now() - began_s == pytest.approx(3.1, abs=0.05)  # until two of the five seconds are left
        assert wire.samples == pytest.approx(4 * 16_000, abs=3_200)

    with_output(do)


def test_speech_sounds_behind_what_is_queued_and_a_report_corrects_the_guess() -> None:
    async def do(wire: Wire) -> None:
        first_s = await wire.output.play(voice(1_000))
        assert await wire.output.play(voice(500)) == pytest.approx(first_s + 1)
        await asyncio.sleep(0.3)
        wire.output.played(0, 800, first_s + 0.15)
        assert wire.shifts == [(pytest.approx(first_s - 0.002), pytest.approx(0.15))]
        assert await wire.output.play(voice(500)) == pytest.approx(first_s + 1.65)
        await asyncio.sleep(4)
        late_s = await wire.output.play(voice(100))
        assert late_s - now() == pytest.approx(0.25)  # it has learnt how long the page takes to begin

    with_output(do)


def test_a_pause_delays_what_has_not_sounded_and_clearing_ends_it() -> None:
    async def do(wire: Wire) -> None:
        first_s = await wire.output.play(voice(1_000))
        await asyncio.sleep(0.5)
        wire.output.pause()
        wire.output.pause()
        await asyncio.sleep(2)
        wire.output.resume()
        assert await wire.output.play(voice(100)) == pytest.approx(first_s + 3)
        wire.output.pause()
        wire.output.clear()
        await wire.output.drain()
        assert await wire.output.play(voice(100)) == pytest.approx(now() + 0.1)
        controls = [one["type"] for one in wire.sent if isinstance(one, dict)]
        assert controls == ["pause", "resume", "pause", "clear"]

    with_output(do)


def test_draining_waits_for_the_report_but_not_for_ever() -> None:
    async def do(wire: Wire) -> None:
        first_s = await wire.output.play(voice(1_000))
        draining = asyncio.create_task(wire.output.drain())
        await asyncio.sleep(1.5)
        assert not draining.done()
        wire.output.played(0, 16_000, first_s + 0.4)
        await draining
        assert now() == pytest.approx(first_s + 1.4, abs=0.12)
        last_s = await wire.output.play(voice(1_000))
        await wire.output.drain()
        assert now() == pytest.approx(last_s + 2, abs=0.05)

    with_output(do)


def test_what_was_cleared_is_never_sent_and_what_was_played_is_kept() -> None:
    async def do(wire: Wire) -> None:
        first_s = await wire.output.play(voice(1_900))
        await asyncio.sleep(0.3)
        wire.output.clear()
        sent = wire.samples
        await asyncio.sleep(2)
        assert wire.samples == sent
        wire.output.played(0, 3_200, first_s)
        wire.output.played(0, 3_200, first_s)  # told twice
        assert wire.heard == [(first_s, 3_200, False)]
        again_s = await wire.output.play(voice(100))
        await asyncio.sleep(0.2)
        wire.output.played(30_400, 32_000, again_s)
        assert wire.heard[1:] == [(again_s, 1_600, False)]

    with_output(do)


def test_the_fastest_ping_tells_the_pages_clock() -> None:
    async def main() -> None:
        clock = PageClock(now)
        for one_way_s, back_s in ((0.05, 0.15), (0.01, 0.01), (0.2, 0.0)):
            number = clock.ping()
            await asyncio.sleep(one_way_s)
            at_ms = (now() + 77) * 1_000
            await asyncio.sleep(back_s)
            clock.pong(number, at_ms)
            clock.pong(99, 0.0)
        assert clock.process_time_s((now() + 77) * 1_000) == pytest.approx(now(), abs=1e-6)

    run(main())
