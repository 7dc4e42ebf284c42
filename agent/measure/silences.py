"""The silences of labelled recordings, with everything endpointing can know about each: what was said before it, how
that sounded, how long it lasts, and whether the speaker had finished.

Recordings go through voice activity, recogniser and turn detector as in a conversation, but not in real time: the final
transcript is awaited after each onset of silence. It decides nothing.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Literal

import numpy as np

from agent.measure.recordings import PauseKind, Recording, TurnLabel
from pipelines.endpointing import Evidence
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Heard, Pcm, SpeechStarted, SpeechStopped, Transcript
from pipelines.smart_turn import TurnDetector
from pipelines.stt import SpeechToText
from pipelines.vad import WINDOW_SAMPLES, VadSettings, VoiceActivity

_PRE_ROLL_SAMPLES = SAMPLE_RATE_HZ * 3 // 10
_SILENCE = np.zeros(2 * SAMPLE_RATE_HZ, np.int16)
_NEAR_SAMPLES = SAMPLE_RATE_HZ // 5  # the voice activity's edges and the labels' differ by less

SilenceKind = PauseKind | Literal["end", "other"]
"""`end`: the speaker has finished. `other`: an unlabelled silence between words."""


@dataclass(frozen=True, slots=True)
class Silence:
    """`length_ms` is from the last voiced window to the next, None at the end of a turn; `late_ms` is how long after
    the labelled end of the speech before it that window ended.
    """

    recording: str
    kind: SilenceKind
    length_ms: float | None
    late_ms: float
    heard: Evidence


async def silences(
    recordings: Iterable[Recording],
    stt: SpeechToText,
    detector: TurnDetector | None,
    vad: VadSettings,
    listen_ms: float,
) -> AsyncIterator[Silence]:
    """Every silence in the labelled turns of `recordings`, after `listen_ms` of which the detector is asked. Raises
    StageError.
    """
    for recording in recordings:
        for turn in recording.turns:
            if turn.text and turn.barge_in_ms is None and recording.labelled:
                for silence in await _of_turn(recording, turn, stt, detector, vad, listen_ms):
                    yield silence


async def _of_turn(
    recording: Recording,
    turn: TurnLabel,
    stt: SpeechToText,
    detector: TurnDetector | None,
    vad: VadSettings,
    listen_ms: float,
) -> list[Silence]:
    pcm = np.concatenate([recording.pcm[turn.clip_start_samples : turn.clip_end_samples], _SILENCE])
    feed = _Feed(pcm, vad)
    finals = await feed.finals(stt)
    found = []
    for number, (stop, final) in enumerate(zip(feed.stops, finals, strict=False)):
        following = feed.starts[number + 1] if number + 1 < len(feed.starts) else None
        length_ms = None if following is None else (following - stop) * 1_000 / SAMPLE_RATE_HZ
        asked = stop + round(listen_ms * SAMPLE_RATE_HZ / 1_000)
        heard = pcm[max(0, feed.starts[0] - _PRE_ROLL_SAMPLES) : asked]
        is_long = length_ms is None or length_ms >= listen_ms
        probability = await detector.probability(heard) if detector is not None and is_long else None
        kind, spoken_until = _label(turn, stop + turn.clip_start_samples)
        late_ms = (stop + turn.clip_start_samples - spoken_until) * 1_000 / SAMPLE_RATE_HZ
        evidence = Evidence(final.text, final.end_probability, probability)
        found.append(Silence(recording.name, kind, length_ms, late_ms, evidence))
    return found


async def understood(pcm: Pcm, stt: SpeechToText, vad: VadSettings) -> list[str]:
    """What is understood at each silence of a sound (16 kHz), all of it taken for one turn. Raises StageError."""
    return [final.text for final in await _Feed(pcm, vad).finals(stt)]


class _Feed:
    """What a recogniser is given, with a halt after each onset of silence until `go_on` is set."""

    def __init__(self, pcm: Pcm, vad: VadSettings) -> None:
        self.go_on = asyncio.Event()
        self.starts: list[int] = []
        self.stops: list[int] = []
        self._pcm = pcm
        self._vad = VoiceActivity(vad)

    async def finals(self, stt: SpeechToText) -> list[Transcript]:
        """The final transcript of each stop."""
        finals = []
        async with aclosing(stt.transcribe(self.heard())) as transcripts:
            async for transcript in transcripts:
                if transcript.is_final:
                    finals.append(transcript)
                    self.go_on.set()
        return finals

    async def heard(self) -> AsyncIterator[Heard]:
        """Voice activity, and audio from a little before the first onset on."""
        early: list[AudioFrame] = []
        for start in range(0, len(self._pcm), WINDOW_SAMPLES):
            frame = AudioFrame(self._pcm[start : start + WINDOW_SAMPLES], start)
            if self.starts:
                yield frame
            else:
                early.append(frame)
            for event in self._vad.hear(frame):
                yield event
                match event:
                    case SpeechStarted(at) if not self.starts:
                        self.starts.append(at)
                        for one in early:
                            if one.end_samples > at - _PRE_ROLL_SAMPLES:
                                yield one
                    case SpeechStarted(at):
                        self.starts.append(at)
                    case SpeechStopped(at):
                        self.stops.append(at)
                        await self.go_on.wait()
                        self.go_on.clear()
            await asyncio.sleep(0)


def _label(turn: TurnLabel, stop: int) -> tuple[SilenceKind, int]:
    """What the silence from `stop` on is, and where the speech before it truly ends."""
    if stop > turn.end_samples - _NEAR_SAMPLES:
        return "end", turn.end_samples
    for pause in turn.pauses:
        if abs(pause.start_samples - stop) < _NEAR_SAMPLES:
            return pause.after, pause.start_samples
    return "other", stop
