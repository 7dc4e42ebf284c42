"""A participant's mouth and ears: a microphone track that plays recordings on time, and a stream that notes arrivals.

The settings are those with the shortest way through WebRTC (`python -m tests.bench.room_network` measures the others):

- `AudioSource(queue_size_ms=0)` hands each push of exactly 10 ms to the encoder. A queue adds 16 ms and more, and what
  once piles up in it stays for the whole call. Without one nobody else sends silence, so the track must never stop.
- DTX, on by default: in silence the receiver's jitter buffer then shrinks to 20 ms; without it, it stays at 30 to 40.
- `AudioStream(frame_size_ms=10)`: a larger frame waits until it is full.

Independent of who listens, or of what is said.
"""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import numpy as np
from livekit import rtc

from pipelines.events import SAMPLE_RATE_HZ, Pcm
from tests.live.heard import Frame

FRAME_SAMPLES = SAMPLE_RATE_HZ // 100  # 10 ms, WebRTC's own
FRAME_S = FRAME_SAMPLES / SAMPLE_RATE_HZ
_SILENCE: Pcm = np.zeros(FRAME_SAMPLES, np.int16)


@dataclass(frozen=True, slots=True)
class Settings:
    """What the way through WebRTC depends on; the defaults are the shortest."""

    queue_ms: int = 0
    push_frames: int = 1  # of 10 ms
    stream_ms: int = 10
    dtx: bool = True
    red: bool = True


SHORTEST = Settings()


@dataclass(slots=True)
class Said:
    """One recording on its way into the room; `spoken_s` holds when the last sample of each of its frames was spoken,
    which is when the frame was pushed (with a larger push, when it would have been).

    `late_ms` is by how much the latest of them was late: above some 10 ms the machine is too busy to measure on.
    """

    pcm: Pcm
    spoken_s: list[float] = field(default_factory=list)
    late_ms: float = 0.0
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def at_s(self, sample: int) -> float:
        """When this sample was spoken, if it has been."""
        frame = min(sample // FRAME_SAMPLES, len(self.spoken_s) - 1)
        return self.spoken_s[frame] - ((frame + 1) * FRAME_SAMPLES - sample) / SAMPLE_RATE_HZ


class Microphone:
    """A track that sends a frame each 10 ms from `run` on: what it is told to say, and silence between."""

    def __init__(self, settings: Settings = SHORTEST) -> None:
        self._settings = settings
        self._waiting: deque[Said] = deque()
        self._new_track()

    def say(self, pcm: Pcm) -> Said:
        """Begin with the next frame, or when what was said before is over. `over` is set after its last sample."""
        said = Said(np.pad(pcm, (0, -len(pcm) % FRAME_SAMPLES)))
        self._waiting.append(said)
        return said

    def hush(self) -> None:
        """Say nothing more of what is under way and waiting."""
        while self._waiting:
            self._waiting.popleft().over.set()

    async def publish(self, to: rtc.LocalParticipant) -> None:
        """Publish the track as a microphone."""
        options = rtc.TrackPublishOptions(
            source=rtc.TrackSource.SOURCE_MICROPHONE, dtx=self._settings.dtx, red=self._settings.red
        )
        await to.publish_track(self.track, options)

    async def unpublish(self, to: rtc.LocalParticipant) -> None:
        """Take the track back; another can be published."""
        await to.unpublish_track(self.track.sid)
        self._new_track()

    async def run(self) -> None:
        """Push frames on an absolute schedule, without an end: after a stall it catches up."""
        started_s, due, frames = time.monotonic(), 0, self._settings.push_frames
        while True:
            due += frames
            await asyncio.sleep(max(0.0, started_s + due * FRAME_S - time.monotonic()))
            late_s = time.monotonic() - started_s - due * FRAME_S
            pushed = [self._next(started_s + frame * FRAME_S, late_s) for frame in range(due - frames + 1, due + 1)]
            pcm = np.concatenate(pushed)
            await self.source.capture_frame(rtc.AudioFrame(pcm.tobytes(), SAMPLE_RATE_HZ, 1, len(pcm)))

    def _next(self, due_s: float, late_s: float) -> Pcm:
        if not self._waiting:
            return _SILENCE
        said = self._waiting[0]
        start = len(said.spoken_s) * FRAME_SAMPLES
        said.spoken_s.append(due_s + late_s)
        said.late_ms = max(said.late_ms, late_s * 1_000)
        if start + FRAME_SAMPLES >= len(said.pcm):
            said.over.set()
            self._waiting.popleft()
        return said.pcm[start : start + FRAME_SAMPLES]

    def _new_track(self) -> None:
        self.source = rtc.AudioSource(SAMPLE_RATE_HZ, 1, queue_size_ms=self._settings.queue_ms)
        self.track = rtc.LocalAudioTrack.create_audio_track("microphone", self.source)


async def listen(track: rtc.Track, to: list[Frame], settings: Settings = SHORTEST) -> None:
    """Note all frames of a track until it ends."""
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE_HZ, frame_size_ms=settings.stream_ms)
    try:
        async for event in stream:
            pcm = np.frombuffer(event.frame.data, np.int16).copy()
            to.append(Frame(time.monotonic(), pcm))
    finally:
        await stream.aclose()


async def echo(track: rtc.Track, back: rtc.AudioSource) -> None:
    """Send back what a track holds, frame by frame as it arrives."""
    stream = rtc.AudioStream(track, sample_rate=SAMPLE_RATE_HZ, frame_size_ms=10)
    try:
        async for event in stream:
            await back.capture_frame(event.frame)
    finally:
        await stream.aclose()


@dataclass(frozen=True, slots=True)
class Reception:
    """WebRTC's own account of a received track, summed up since it began. Concealed is what the decoder had to make up,
    silence not counted.
    """

    delay_s: float
    samples: int
    concealed_samples: int
    lost_packets: int

    @property
    def jitter_buffer_ms(self) -> float:
        """The mean time in the jitter buffer."""
        return 1_000 * self.delay_s / max(1, self.samples)

    def since(self, before: "Reception") -> "Reception":
        """Only what came after `before` was asked for."""
        return Reception(
            self.delay_s - before.delay_s,
            self.samples - before.samples,
            self.concealed_samples - before.concealed_samples,
            self.lost_packets - before.lost_packets,
        )


async def reception(track: rtc.RemoteTrack) -> Reception:
    """Ask for it."""
    for stats in await track.get_stats():
        if stats.WhichOneof("stats") == "inbound_rtp":
            inbound, received = stats.inbound_rtp.inbound, stats.inbound_rtp.received
            return Reception(
                inbound.jitter_buffer_delay,
                inbound.jitter_buffer_emitted_count,
                inbound.concealed_samples - inbound.silent_concealed_samples,
                received.packets_lost,
            )
    raise ValueError("the track has received nothing yet")
