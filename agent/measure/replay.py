"""Replay: a recording is fed to a session in real time, and what the agent says is written beside it on one timeline.

The input is paced on an absolute schedule, so a frame arrives when its last sample would have been captured. The
output is a device without latency. Labels make the stopwatch exact: the turn latency counts from the true end of
speech in the samples that were fed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from agent.measure.recordings import Recording, TurnLabel
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Clock, Pcm
from pipelines.session import BuildSession
from pipelines.session_events import SessionEvent, TurnBegan, TurnFinished
from pipelines.stopwatch.spans import TurnTrace, trace_turn
from pipelines.stopwatch.turn_marks import marks_of
from pipelines.turn import Turn
from pipelines.vad import WINDOW_SAMPLES

FRAME_SAMPLES = WINDOW_SAMPLES
"""32 ms: the window in which voice activity is judged; finer frames would reveal nothing sooner and wake the loop more
often.
"""

_AHEAD_S = 2.0  # speech waiting in the output: more than any stall of the synthesizer, little enough to bound memory
_BETWEEN_TURNS_S = 0.3
_DECIDED_S = 1.5
_PATIENCE_S = 3.0  # if no turn is under way for this long after the speech, none will come


class VirtualOutput:
    """An output device without latency that keeps what it plays; while `hurry` is true, its playout takes no time."""

    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self, clock: Clock, epoch_s: float, hurry: Callable[[], bool]) -> None:
        self._clock = clock
        self._epoch_s = epoch_s
        self._hurry = hurry
        self._end = 0
        self._played: list[tuple[int, Pcm]] = []
        self._held: list[Pcm] = []
        self._going = asyncio.Event()
        self._going.set()

    @property
    def _now(self) -> int:
        return round((self._clock() - self._epoch_s) * SAMPLE_RATE_HZ)

    async def play(self, pcm: Pcm) -> float:
        """Play after what is queued, or now if nothing is."""
        await self._wait_until(lambda: self._end - round(_AHEAD_S * SAMPLE_RATE_HZ))
        return self._epoch_s + self._queue(pcm) / SAMPLE_RATE_HZ

    def pause(self) -> None:
        """Set aside what has not been played yet."""
        now = self._now
        self._held += [pcm[max(0, now - start) :] for start, pcm in self._played if start + len(pcm) > now]
        self._forget_from(now)
        self._going.clear()

    def resume(self) -> None:
        """Queue what was set aside again."""
        held, self._held = self._held, []
        for pcm in held:
            self._queue(pcm)
        self._going.set()

    async def drain(self) -> None:
        """Wait until the last sample has been played."""
        await self._wait_until(lambda: self._end)

    def clear(self) -> None:
        """Drop what has not been played yet."""
        self._held = []
        self._forget_from(self._now)
        self._going.set()

    def _queue(self, pcm: Pcm) -> int:
        start = max(self._end, self._now)
        self._played.append((start, pcm))
        self._end = start + len(pcm)
        return start

    def _forget_from(self, sample: int) -> None:
        self._played = [(start, pcm[: sample - start]) for start, pcm in self._played if start < sample]
        self._end = min(self._end, sample)

    async def _wait_until(self, sample: Callable[[], int]) -> None:
        await self._going.wait()
        while not self._hurry() and (left := sample() - self._now) > 0:
            await asyncio.sleep(min(left / SAMPLE_RATE_HZ, 0.05))
            await self._going.wait()

    def track(self) -> Pcm:
        """Everything that was played, from the start of the input."""
        track = np.zeros(self._end, np.int16)
        for start, pcm in self._played:
            track[start : start + len(pcm)] = pcm
        return track


@dataclass(slots=True)
class _Clip:
    """A part of the recording that is fed without a break; `fed_at` is the media time at which that began."""

    labels: tuple[TurnLabel, ...]
    pcm: Pcm
    start_samples: int
    barge_in_ms: int | None = None
    fed_at: int | None = None
    finished: list[TurnFinished] = field(default_factory=list)

    def media_s(self, in_file_samples: int) -> float:
        """Seconds of media time of a sample of the file."""
        assert self.fed_at is not None
        return (self.fed_at + in_file_samples - self.start_samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class ReplayedTurn:
    """A turn of a replay with the label that it answers, if any; `false_cut_in`: the agent did not wait for that
    label's end.
    """

    finished: TurnFinished
    trace: TurnTrace
    label: TurnLabel | None
    false_cut_in: bool


@dataclass(frozen=True, slots=True)
class Replayed:
    """A recording, replayed: its turns, and both sides of the conversation on one timeline at 16 kHz.

    `epoch_s` is the process time at which that timeline begins.
    """

    recording: Recording
    turns: tuple[ReplayedTurn, ...]
    user: Pcm
    agent: Pcm
    epoch_s: float

    def two_tracks(self) -> Pcm:
        """Shape (samples, 2): left the user as fed, right the agent as played."""
        tracks = np.zeros((max(len(self.user), len(self.agent)), 2), np.int16)
        tracks[: len(self.user), 0] = self.user
        tracks[: len(self.agent), 1] = self.agent
        return tracks


class Replay:
    """One run of one recording through one session."""

    def __init__(self, recording: Recording, clock: Clock, frame_samples: int = FRAME_SAMPLES) -> None:
        self._recording = recording
        self._frame_samples = frame_samples
        self._clock = clock
        self._clips = _clips(recording)
        self._fed: list[Pcm] = []
        self._position = 0
        self._epoch_s = 0.0
        self._active: Turn | None = None
        self._quiet_since_s = 0.0

    async def run(self, build_session: BuildSession) -> Replayed:
        """Feed the recording clip by clip until the last answer is complete."""
        self._epoch_s = self._quiet_since_s = self._clock()
        output = VirtualOutput(self._clock, self._epoch_s, self._all_fed)
        session = build_session(output, self._observe)
        await session.run(self._frames())
        turns = [self._judge(clip, finished) for clip in self._clips for finished in clip.finished]
        return Replayed(self._recording, tuple(turns), np.concatenate(self._fed), output.track(), self._epoch_s)

    def _observe(self, event: SessionEvent) -> None:
        match event:
            case TurnBegan(turn):
                self._active = turn
            case TurnFinished(turn):
                # The voice activity's onset is the start of a window, so it may lie before that of the speech.
                onset = turn.utterance.started_samples + WINDOW_SAMPLES
                begun = [c for c in self._clips if c.fed_at is not None and c.fed_at < onset]
                (begun or self._clips)[-1 if begun else 0].finished.append(event)
                if self._active is turn:  # a turn that was cut may finish after the next one has begun
                    self._active = None
                self._quiet_since_s = self._clock()
            case _:
                pass

    # ------------------------------------------------------------ the user's side

    async def _frames(self) -> AsyncIterator[AudioFrame]:
        for pcm in self._conversation():
            self._fed.append(pcm)
            self._position += len(pcm)
            due_s = self._epoch_s + self._position / SAMPLE_RATE_HZ
            await asyncio.sleep(max(due_s - self._clock(), 0))
            yield AudioFrame(pcm, self._position - len(pcm))

    def _conversation(self) -> Iterator[Pcm]:
        """Yield frame after frame: each clip on its cue, silence until then."""
        silence = np.zeros(self._frame_samples, np.int16)
        previous: _Clip | None = None
        for clip in self._clips:
            while previous is not None and not self._cued(clip, previous):
                yield silence
            clip.fed_at = self._position
            for start in range(0, len(clip.pcm), self._frame_samples):
                frame = clip.pcm[start : start + self._frame_samples]
                yield np.pad(frame, (0, self._frame_samples - len(frame)))  # the last one is filled up with silence
            previous = clip
        while previous is not None and not self._answered(previous, 0.0):
            yield silence

    def _all_fed(self) -> bool:
        last = self._clips[-1]
        # Whether speech interrupts an answer is known only a while later: until then, no answer may be cut short here.
        may_interrupt = last.barge_in_ms is not None or any(label.pauses for label in last.labels)
        decided = round(_DECIDED_S * SAMPLE_RATE_HZ) if may_interrupt else 0
        return last.fed_at is not None and self._position >= last.fed_at + len(last.pcm) + decided

    def _cued(self, clip: _Clip, previous: _Clip) -> bool:
        """Whether it is time for a clip: after the answer to the previous one, or as far into that answer as its label
        says.
        """
        answer = self._active.answer if self._active else None
        if clip.barge_in_ms is None or answer is None:
            return self._answered(previous, _BETWEEN_TURNS_S)
        audible_s = answer.reply.playout.audible_s
        return audible_s is not None and self._clock() >= audible_s + clip.barge_in_ms / 1_000

    def _answered(self, clip: _Clip, pause_s: float) -> bool:
        """Whether the agent finished with a clip `pause_s` ago; if it never answers, patience runs out."""
        if self._active is not None:
            return False
        assert clip.fed_at is not None
        clip_end_s = self._epoch_s + (clip.fed_at + len(clip.pcm)) / SAMPLE_RATE_HZ
        waited_s = self._clock() - max(self._quiet_since_s, clip_end_s)
        answered = bool(clip.finished) and not self._cut_in(clip, clip.finished[-1])
        return waited_s >= (pause_s if answered and self._recording.labelled else _PATIENCE_S)

    # ------------------------------------------------------------ labels

    def _judge(self, clip: _Clip, finished: TurnFinished) -> ReplayedTurn:
        """Lay the turn out from the label that it answers."""
        label = self._label(clip, finished)
        if label is None:
            turn = finished.turn
            start_s = self._epoch_s + turn.utterance.started_samples / SAMPLE_RATE_HZ
            end_s = turn.ended.speech_end_s if turn.ended else start_s
        else:
            start_s, end_s = (self._epoch_s + clip.media_s(s) for s in (label.start_samples, label.end_samples))
        trace = trace_turn(marks_of(finished), start_s, end_s)
        return ReplayedTurn(finished, trace, label, self._cut_in(clip, finished))

    def _label(self, clip: _Clip, finished: TurnFinished) -> TurnLabel | None:
        """The label that a turn answers: the last that was over when it committed, else the one that it cut into."""
        over = self._over(clip, finished)
        return over[-1] if over else next(iter(clip.labels), None)

    def _cut_in(self, clip: _Clip, finished: TurnFinished) -> bool:
        return self._recording.labelled and bool(clip.labels) and not self._over(clip, finished)

    def _over(self, clip: _Clip, finished: TurnFinished) -> list[TurnLabel]:
        """The labels that were over when the turn committed."""
        committed_s = finished.turn.committed_s
        over_s = committed_s if committed_s is not None else self._clock()
        return [label for label in clip.labels if self._epoch_s + clip.media_s(label.end_samples) <= over_s]


def _clips(recording: Recording) -> list[_Clip]:
    """A clip a labelled turn; a recording without labels, or without speech, is fed as it is."""
    if not recording.labelled or not recording.turns:
        return [_Clip(recording.turns, recording.pcm, 0)]
    return [
        _Clip((t,), recording.pcm[t.clip_start_samples : t.clip_end_samples], t.clip_start_samples, _cue_ms(t))
        for t in recording.turns
    ]


def _cue_ms(label: TurnLabel) -> int | None:
    """When to start feeding a barge-in, so that its first voiced sample falls where its label says."""
    if label.barge_in_ms is None:
        return None
    return label.barge_in_ms - (label.start_samples - label.clip_start_samples) * 1_000 // SAMPLE_RATE_HZ
