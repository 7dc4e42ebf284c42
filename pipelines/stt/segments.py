"""The stretches of speech of one turn, and which audio to decode next. No I/O, no clock, no model.

Whisper tends to stop or to end the sentence at a pause inside an utterance, and what follows the pause is understood
less well when it is decoded apart. So pauses are shortened before the decoder hears them. Speech that grows too long
for the encoder is cut behind words that are stable, as whisper_streaming does (Macháček et al. 2023), and joined.
"""

from array import array
from dataclasses import dataclass, field, replace

import numpy as np

from pipelines.errors import StageError
from pipelines.events import SAMPLE_RATE_HZ, AudioFrame, Heard, Pcm, SpeechStarted, SpeechStopped, Word
from pipelines.stt.agreement import agreed, join
from pipelines.stt.fading import FadingVoice
from pipelines.stt.mel import Frames
from pipelines.stt.stretch import Stretch

_SAMPLES_PER_MS = SAMPLE_RATE_HZ // 1000
# The last voiced window holds what fades: 62 utterances and 77 hesitations of 14 voices are understood the same, word
# errors and end marks, when the decoder hears up to 32 ms before the stop or 60 ms behind it.
_FADING_SAMPLES = 32 * _SAMPLES_PER_MS


@dataclass(frozen=True, slots=True)
class StreamingSettings:
    """How growing speech is decoded.

    After `first_ms` of speech a partial begins where the voice fades, or with `interval_ms` of new audio. The decoder
    hears `margin_ms` after a stop, about what there is when the stop is noticed. Of a pause it hears `pause_ms`. Speech
    over `longest_s` is cut. Under `min_voiced_ms` of voice nobody spoke: the shortest of 53 words took 384 ms, and what
    laughter and knocks leave is mostly shorter.
    """

    interval_ms: int = 300
    first_ms: int = 200
    margin_ms: int = 30
    pause_ms: int = 60
    longest_s: float = 15.0
    min_voiced_ms: int = 160


@dataclass(slots=True)
class SpeechSegment:
    """Speech that is decoded in one piece, and what was understood of it. `stop_samples` is None while it goes on."""

    stretch: Stretch
    onset_samples: int
    stop_samples: int | None = None
    words: tuple[Word, ...] = ()
    stable: int = 0
    covered_samples: int = 0
    is_decoded: bool = False
    frames: Frames | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DecodeJob:
    """Audio to decode: `pcm` is `stretch` up to `end_samples`. A final decode answers the stop at `stop_samples`.

    `known` are the mel frames from an earlier decode of its beginning. Only speech that is about to be cut needs
    words `aligned` with the audio.
    """

    segment: SpeechSegment
    pcm: Pcm
    stretch: Stretch
    end_samples: int
    stop_samples: int | None
    known: Frames | None
    aligned: bool


class SpokenTurn:
    """What was heard and understood in one turn."""

    def __init__(self, settings: StreamingSettings) -> None:
        """Begin with nothing heard."""
        self._settings = settings
        self._margin = settings.margin_ms * _SAMPLES_PER_MS
        self._longest = round(settings.longest_s * SAMPLE_RATE_HZ)
        self._audio = array("h")  # samples; it grows in place, as a numpy array does not
        self._voice = FadingVoice()
        self._faded_samples = 0
        self._base_samples: int | None = None
        self._segments: list[SpeechSegment] = []

    # ------------------------------------------------------------ what is heard

    def hear(self, event: Heard) -> None:
        """Take in audio or a change of voice activity. Raises StageError for audio with a gap."""
        match event:
            case AudioFrame():
                self._append(event)
            case SpeechStarted(at_samples=at):
                self._start(at)
            case SpeechStopped(at_samples=at):
                if self._is_speaking():
                    self._segments[-1].stop_samples = at

    def end(self) -> None:
        """No more audio comes: speech that still goes on stops here."""
        if self._is_speaking():
            self._segments[-1].stop_samples = self._end_samples()

    def _append(self, frame: AudioFrame) -> None:
        if self._base_samples is None:
            self._base_samples = frame.start_samples
            for segment in self._segments:  # its onset came first, its audio begins a little before
                segment.stretch = Stretch(frame.start_samples)
        if frame.start_samples != self._end_samples():
            raise StageError(f"audio frame starts at sample {frame.start_samples}, expected {self._end_samples()}")
        self._audio.frombytes(frame.pcm.data.cast("B"))
        if self._voice.fades(frame.pcm):
            self._faded_samples = frame.end_samples

    def _start(self, at: int) -> None:
        last = self._segments[-1] if self._segments else None
        if last is None:
            self._segments.append(SpeechSegment(Stretch(at), at))
        elif last.stop_samples is not None:
            half = self._settings.pause_ms * _SAMPLES_PER_MS // 2
            if last.stretch.length(last.stop_samples) > self._longest // 2:
                self._segments.append(SpeechSegment(Stretch(max(last.stop_samples, at - half)), at, covered_samples=at))
                return
            shortened = last.stretch.without(last.stop_samples + half, at - half)
            if shortened is not last.stretch:
                last.stretch, last.frames = shortened, None
            last.stop_samples, last.is_decoded = None, False

    # ------------------------------------------------------------ what to decode

    def next_job(self) -> DecodeJob | None:
        """The most useful decode now, if any: speech that has stopped, oldest first, else the newest audio."""
        if self._segments:
            self._divide()
        for segment in self._segments:
            if segment.stop_samples is not None and not segment.is_decoded:
                return self._job(segment, min(segment.stop_samples + self._margin, self._end_samples()))
        if not self._is_speaking():
            return None
        segment, end = self._segments[-1], self._end_samples()
        heard_enough = end - segment.onset_samples >= self._settings.first_ms * _SAMPLES_PER_MS
        is_news = end - segment.covered_samples >= self._settings.interval_ms * _SAMPLES_PER_MS
        has_faded = segment.covered_samples < self._faded_samples
        return self._job(segment, end) if heard_enough and (is_news or has_faded) else None

    def is_stale(self, job: DecodeJob) -> bool:
        """The speech has stopped, and `job` does not reach far enough to stand for the final decode."""
        return job.segment.stop_samples is not None and not self._covers(job, job.segment.stop_samples)

    def apply(self, job: DecodeJob, words: tuple[Word, ...], frames: Frames | None) -> None:
        """Take in the result of `job`: words timed from the first sample of its audio."""
        segment = job.segment
        words = _placed(words, job.stretch, segment.onset_samples, segment.stop_samples or job.end_samples)
        segment.stable = agreed(segment.words, words)
        segment.words, segment.covered_samples = words, job.end_samples
        # Speech may have resumed meanwhile: then what was a final decode is one more partial.
        segment.is_decoded = segment.stop_samples is not None and self._covers(job, segment.stop_samples)
        if segment.is_decoded:
            segment.stable = len(words)
        segment.frames = frames if segment.stretch == job.stretch else None
        if not segment.is_decoded and segment.stretch.length(job.end_samples) > self._longest and segment.stable > 1:
            # The last stable word stays: the next decode begins with one that it can check itself against.
            kept = segment.stable - 1
            self._cut(segment, segment.words[kept].start_samples, kept, is_decoded=True)

    def _covers(self, job: DecodeJob, stop: int) -> bool:
        return job.stop_samples == stop or job.end_samples >= stop - _FADING_SAMPLES

    def _job(self, segment: SpeechSegment, end: int) -> DecodeJob:
        stop = segment.stop_samples
        pcm = self._pcm(segment.stretch, end)
        # The detector hardly heard a voice: with nothing to decode, nothing is made up.
        if stop is not None and stop - segment.onset_samples < self._settings.min_voiced_ms * _SAMPLES_PER_MS:
            pcm = pcm[:0]
        aligned = len(pcm) > self._longest
        return DecodeJob(segment, pcm, segment.stretch, end, stop, segment.frames, aligned)

    def _divide(self) -> None:
        """Cut the last segment where it is quiet as long as it is far too long, stable words or not."""
        segment = self._segments[-1]
        while (stop := segment.stop_samples or self._end_samples()) and (
            segment.stretch.length(stop) > self._longest * 3 // 2
        ):
            half = self._longest // 2
            quiet = half + _quietest(self._pcm(segment.stretch, stop)[half : self._longest])
            self._cut(segment, segment.stretch.media(quiet), 0, is_decoded=False)

    def _cut(self, segment: SpeechSegment, at: int, kept: int, *, is_decoded: bool) -> None:
        before, after = segment.stretch.split(at)
        head = SpeechSegment(before, segment.onset_samples, at, segment.words[:kept], kept, at, is_decoded)
        self._segments.insert(self._segments.index(segment), head)
        segment.stretch, segment.onset_samples, segment.frames = after, at, None
        segment.words, segment.stable = segment.words[kept:], max(0, segment.stable - kept)

    # ------------------------------------------------------------ what was understood

    def words(self) -> tuple[Word, ...]:
        """The words of the whole turn so far."""
        return join(segment.words for segment in self._segments)

    def stable_count(self) -> int:
        """How many leading words are not expected to change."""
        count = 0
        for segment in self._segments:
            count += segment.stable
            if segment.stable < len(segment.words):
                break
        return count

    def heard_samples(self, job: DecodeJob) -> int:
        """How far the result of `job` reaches: what stands for a final decode reaches to the stop."""
        stop = job.segment.stop_samples
        return job.end_samples if stop is None or not job.segment.is_decoded else max(job.end_samples, stop)

    def is_final(self) -> bool:
        """Everything up to the last stop is decoded, and nobody has spoken since."""
        return bool(self._segments) and all(segment.is_decoded for segment in self._segments)

    # ------------------------------------------------------------ audio

    def _is_speaking(self) -> bool:
        return bool(self._segments) and self._segments[-1].stop_samples is None

    def _end_samples(self) -> int:
        return (self._base_samples or 0) + len(self._audio)

    def _pcm(self, stretch: Stretch, end: int) -> Pcm:
        base = self._base_samples or 0
        audio = np.frombuffer(self._audio, np.int16)  # a view, which must not outlive this: the array could not grow
        return np.concatenate([audio[:0], *(audio[a - base : b - base] for a, b in stretch.ranges(end))])


def _placed(words: tuple[Word, ...], stretch: Stretch, onset: int, stop: int) -> tuple[Word, ...]:
    """Words at their media times, within the speech: attention puts silence into the first and the last one."""

    def placed(position: int) -> int:
        return min(max(stretch.media(position), onset), stop)

    return tuple(replace(w, start_samples=placed(w.start_samples), end_samples=placed(w.end_samples)) for w in words)


def _quietest(pcm: Pcm) -> int:
    """Where the quietest 20 ms of `pcm` begin, in samples."""
    hop = SAMPLE_RATE_HZ // 50
    energy = np.square(pcm[: len(pcm) // hop * hop].astype(np.float32)).reshape(-1, hop).sum(axis=1)
    return int(energy.argmin()) * hop
