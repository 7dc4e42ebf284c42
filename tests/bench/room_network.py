"""What the way through a room costs, without an agent: `python -m tests.bench.room_network`.

Short tones at random moments go from one participant to another over a real LiveKit server on loopback, and back from
an echo. Printed are p50 and p95 from the moment that a tone begins to the moment that it is heard, what the parts add,
and what other settings would cost. Both sides' 10 ms frames are part of it, as they are of a real microphone's.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from livekit import rtc

from pipelines.events import SAMPLE_RATE_HZ, Pcm
from tests.live.caller import Caller, joined
from tests.live.echo import echoing
from tests.live.heard import Frame, Heard
from tests.live.livekit_server import LiveKitServer, livekit_server
from tests.live.room_sound import SHORTEST, Microphone, Said, Settings, listen, reception

SETTLE_S = 3.0  # the jitter buffers find their size
# WebRTC's default packet, and libopus in its VoIP mode.
REST = "an Opus packet holds 20 ms, so the first frame waits for the second; Opus looks ahead 6.5 ms; network, server"
OTHERS = {
    "source queue of 100 ms": Settings(queue_ms=100),
    "source queue of 1000 ms (rtc's default)": Settings(queue_ms=1_000),
    "source queue of 100 ms, pushes of 20 ms": Settings(queue_ms=100, push_frames=2),  # a queue is needed for it
    "stream frames of 20 ms": Settings(stream_ms=20),
    "stream frames of 50 ms (livekit-agents)": Settings(stream_ms=50),
    "DTX off": Settings(dtx=False),
    "RED off": Settings(red=False),
}


@dataclass(frozen=True, slots=True)
class Way:
    """Delays of the tones that were heard, and the mean time in the receiver's jitter buffer, if it has one."""

    delays_ms: list[float]
    tones: int
    late_ms: float
    jitter_buffer_ms: float = 0.0

    @property
    def p50_ms(self) -> float:
        return float(np.median(self.delays_ms))

    def __str__(self) -> str:
        p50, p95 = np.percentile(self.delays_ms, [50, 95])
        busy = f", a push was {self.late_ms:.0f} ms late" if self.late_ms > 10 else ""
        return f"p50 {p50:5.1f}  p95 {p95:5.1f} ms  ({len(self.delays_ms)} of {self.tones} tones{busy})"


def tones(count: int) -> tuple[Pcm, list[int]]:
    """Tones of 50 ms, about two a second, and the samples at which they begin: anywhere within frames and packets."""
    random = np.random.default_rng(1)
    starts = [round((0.45 * i + random.uniform(0.1, 0.2)) * SAMPLE_RATE_HZ) for i in range(count)]
    pcm = np.zeros(starts[-1] + SAMPLE_RATE_HZ // 2, np.int16)
    tone = (12_000 * np.sin(2 * np.pi * 1_000 * np.arange(SAMPLE_RATE_HZ // 20) / SAMPLE_RATE_HZ)).astype(np.int16)
    for start in starts:
        pcm[start : start + len(tone)] = tone
    return pcm, starts


def way(said: Said, starts: list[int], heard: Heard, jitter_buffer_ms: float = 0.0) -> Way:
    """Pair each tone with the next onset; one that is not heard within 0.3 s is lost."""
    onsets = [sound.start_s for sound in heard.sounds(pause_ms=100)]
    delays = [[(onset_s - said.at_s(start)) * 1_000 for onset_s in onsets] for start in starts]
    found = [min((ms for ms in each if -5 < ms < 300), default=None) for each in delays]
    return Way([ms for ms in found if ms is not None], len(starts), said.late_ms, jitter_buffer_ms)


@asynccontextmanager
async def running(microphone: Microphone) -> AsyncIterator[None]:
    task = asyncio.create_task(microphone.run(), name="microphone")
    try:
        yield
    finally:
        task.cancel()


async def without_a_server(count: int, settings: Settings) -> Way:
    """AudioSource to AudioStream in one process: no codec, no jitter buffer, no network."""
    microphone, frames = Microphone(settings), list[Frame]()
    ears = asyncio.create_task(listen(microphone.track, frames, settings), name="ears")
    async with running(microphone):
        await asyncio.sleep(1)
        pcm, starts = tones(count)
        said = microphone.say(pcm)
        await said.over.wait()
        await asyncio.sleep(0.3)
    ears.cancel()
    return way(said, starts, Heard(frames))


async def one_way(server: LiveKitServer, count: int, settings: Settings) -> Way:
    """Through the server."""
    room = f"way-{time.monotonic_ns()}"
    listens = joined(server, room, "hears", speaking=False, settings=settings)
    async with listens as hears, joined(server, room, "speaks", settings=settings) as speaks:
        await hears.until(lambda: "speaks" in hears.tracks, 10, "its track")
        return await tones_heard(speaks, hears, "speaks", count)


async def there_and_back(server: LiveKitServer, count: int) -> Way:
    """By an echo: the way through the server twice, and the echo's own handing over."""
    room = f"way-{time.monotonic_ns()}"
    async with echoing(server, room), joined(server, room) as caller:
        await caller.until(lambda: "echo" in caller.tracks, 10, "its track")
        return await tones_heard(caller, caller, "echo", count)


async def tones_heard(speaks: Caller, hears: Caller, of: str, count: int) -> Way:
    """Say tones, and find them in what was heard of a participant."""
    await asyncio.sleep(SETTLE_S)
    before, pcm_and_starts = await reception(hears.tracks[of]), tones(count)
    said = speaks.say(pcm_and_starts[0])
    await said.over.wait()
    await asyncio.sleep(0.5)
    came = (await reception(hears.tracks[of])).since(before)
    return way(said, pcm_and_starts[1], hears.heard(of), came.jitter_buffer_ms)


async def measure(server: LiveKitServer) -> None:
    """Print all of it."""
    print(f"rtc {rtc.__version__}, server at {server.url}")
    local = await without_a_server(30, SHORTEST)
    direct = await one_way(server, 60, SHORTEST)
    print(f"one way           {direct}")
    print(f"there and back    {await there_and_back(server, 60)}")
    handing_ms = local.p50_ms - 10
    rest_ms = direct.p50_ms - local.p50_ms - direct.jitter_buffer_ms
    print(f"\nof the {direct.p50_ms:.1f} ms one way:")
    print(f"  10.0  the microphone's frame\n  {handing_ms:4.1f}  AudioSource and AudioStream, without a server")
    print(f"  {direct.jitter_buffer_ms:4.1f}  the jitter buffer (NetEQ), by WebRTC's own account")
    print(f"  {rest_ms:4.1f}  the rest: {REST}\n\none way with other settings:")
    for name, settings in OTHERS.items():
        other = await one_way(server, 20, settings)
        print(f"  {name:40} {other}, jitter buffer {other.jitter_buffer_ms:.0f} ms", flush=True)
    queued = await without_a_server(20, Settings(queue_ms=100))
    print(f"  source queue of 100 ms, without a server {queued}; {local.p50_ms:.1f} ms without a queue")


def main() -> None:
    try:
        with tempfile.TemporaryDirectory() as folder, livekit_server(Path(folder)) as server:
            asyncio.run(measure(server))
    except pytest.skip.Exception as missing:
        sys.exit(str(missing))


if __name__ == "__main__":
    main()
