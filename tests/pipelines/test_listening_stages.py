"""What the recogniser and the turn detector are given, and what happens when they fail."""

from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np
import pytest

from pipelines.endpointing import EndpointingSettings
from pipelines.errors import StageError
from pipelines.events import (
    AudioFrame,
    Heard,
    HearingFailed,
    SpeechStarted,
    SpeechStopped,
    Transcript,
    TurnEnded,
    UtteranceUpdate,
)
from pipelines.utterance import Utterance
from pipelines.vad import VadSettings
from tests.pipelines.listening_scenes import END_MS, LEAD, SPEECH, listen
from tests.scripted import (
    ScriptedSTT,
    ScriptedTurnDetector,
    ms,
    silence,
    voice,
)
from tests.virtual_time import run


# ---------------------------------------------------------------- what the recogniser hears
def test_the_recogniser_hears_a_little_of_what_came_before_the_onset() -> None:
    stt = ScriptedSTT()
    listen(stt, LEAD, SPEECH, silence(500))
    first, frame = stt.heard[0][:2]
    assert first == SpeechStarted(ms(320))
    assert isinstance(frame, AudioFrame)
    assert frame.start_samples == ms(20)


def test_the_recogniser_hears_every_sample_once() -> None:
    stt = ScriptedSTT()
    listen(stt, LEAD, SPEECH, silence(160), voice(320), silence(500))
    frames = [event for event in stt.heard[0] if isinstance(event, AudioFrame)]
    starts = np.cumsum([frames[0].start_samples, *(len(frame.pcm) for frame in frames)])
    assert [frame.start_samples for frame in frames] == starts[:-1].tolist()


def test_the_recogniser_is_told_of_pauses_and_of_speech_that_goes_on() -> None:
    stt = ScriptedSTT()
    listen(stt, LEAD, voice(320), silence(160), voice(320), silence(500))
    edges = [event for event in stt.heard[0] if not isinstance(event, AudioFrame)]
    times_ms = [320, 640, 800, 1_120]
    kinds = [SpeechStarted, SpeechStopped, SpeechStarted, SpeechStopped]
    assert edges == [kind(ms(time)) for kind, time in zip(kinds, times_ms, strict=True)]


def test_a_voice_activity_that_is_slow_to_be_sure_loses_no_speech() -> None:
    stt = ScriptedSTT()
    listen(stt, LEAD, SPEECH, silence(500), vad=VadSettings(start_windows=20))
    frame = stt.heard[0][1]
    assert isinstance(frame, AudioFrame)
    assert frame.start_samples == ms(20)


def test_speech_right_after_a_turn_does_not_bring_the_end_of_that_turn_along() -> None:
    stt = ScriptedSTT()
    ear = listen(stt, LEAD, voice(320), silence(224), voice(320), silence(500), vad=VadSettings(start_windows=1))
    assert len(ear.told) == 2
    frame = stt.heard[1][1]
    assert isinstance(frame, AudioFrame)
    assert frame.start_samples == ms(640)


# ---------------------------------------------------------------- sequential
def test_sequential_decodes_only_after_the_end_of_the_turn() -> None:
    stt = ScriptedSTT(partials=((100, "What", True),))
    ear = listen(stt, LEAD, SPEECH, silence(1_000), sequential=True)
    assert ear.told[0].updates[0][0] == END_MS + 600
    ended = ear.told[0].last
    assert isinstance(ended, TurnEnded)
    assert ear.ms(ended.endpoint_s) == END_MS + 600
    assert ear.ms(ended.transcript.ready_s) == END_MS + 640


def test_sequential_decides_on_silence_alone() -> None:
    ear = listen(ScriptedSTT(("Tell me about the",)), LEAD, SPEECH, silence(2_000), sequential=True)
    assert ear.told[0].last_ms == END_MS + 640


def test_sequential_counts_from_the_last_pause_where_speech_goes_on_during_the_decode() -> None:
    stt = ScriptedSTT(("Yes.", "Yes. Go on."), final_ms=300)
    ear = listen(stt, LEAD, voice(320), silence(608), voice(320), silence(1_500), sequential=True)
    ended = ear.told[0].last
    assert isinstance(ended, TurnEnded)
    assert ended.transcript.text == "Yes. Go on."
    assert ear.ms(ended.speech_end_s) == 1_568
    assert ear.ms(ended.endpoint_s) == 2_170  # the first frame after 600 ms of silence


# ---------------------------------------------------------------- faults
@pytest.mark.parametrize("error", [StageError("the microphone melted"), RuntimeError("out of memory")])
@pytest.mark.parametrize("sequential", [False, True])
def test_a_recogniser_that_raises_fails_the_utterance_and_hears_the_next(error: Exception, sequential: bool) -> None:
    stt = ScriptedSTT(errors=(error,))
    ear = listen(stt, LEAD, SPEECH, silence(1_000), SPEECH, silence(1_000), sequential=sequential)
    failed, fine = ear.told
    assert isinstance(failed.last, HearingFailed)
    assert isinstance(failed.last.error, StageError)
    assert str(error) in str(failed.last.error)
    assert isinstance(fine.last, TurnEnded)


def test_an_unforeseen_fault_names_the_engine() -> None:
    (told,) = listen(ScriptedSTT(errors=(KeyError("token"),), name="whisper"), LEAD, SPEECH, silence(500)).told
    assert isinstance(told.last, HearingFailed)
    assert str(told.last.error) == "speech to text 'whisper' failed: KeyError('token')"


class QuittingSTT:
    """A recogniser that stops listening at once."""

    name = "quitting"

    async def transcribe(self, heard: AsyncIterator[Heard]) -> AsyncGenerator[Transcript]:
        async for event in heard:
            if isinstance(event, Transcript):
                yield event
            return


def test_a_recogniser_that_stops_listening_fails_the_utterance_and_not_the_ear() -> None:
    ear = listen(QuittingSTT(), LEAD, SPEECH, silence(1_000), SPEECH, silence(1_000))
    errors = [str(told.last.error) for told in ear.told if isinstance(told.last, HearingFailed)]
    assert errors == ["speech to text 'quitting' ended before the turn did"] * 2


@pytest.mark.parametrize("sequential", [False, True])
def test_a_recogniser_that_hangs_fails_the_utterance_in_time_and_hears_the_next(sequential: bool) -> None:
    stt = ScriptedSTT(hanging=(0,), name="whisper")
    ear = listen(stt, LEAD, SPEECH, silence(11_000), SPEECH, silence(1_000), sequential=sequential)
    failed, fine = ear.told
    assert isinstance(failed.last, HearingFailed)
    assert isinstance(failed.last.error, StageError)
    assert str(failed.last.error) == "speech to text 'whisper' gave no final transcript within 10 s"
    assert failed.last_ms == END_MS + 10_000
    assert isinstance(fine.last, TurnEnded)


def test_a_recogniser_that_is_late_but_in_time_is_waited_for() -> None:
    (told,) = listen(ScriptedSTT(final_ms=9_000), LEAD, SPEECH, silence(11_000)).told
    assert isinstance(told.last, TurnEnded)


def test_a_recogniser_has_its_time_after_the_last_pause() -> None:
    """Decodes run one after the other: the second comes 12 s after the first pause, but 9 s after the last one."""
    stt = ScriptedSTT(("tell me about the", "Tell me about the sea."), final_ms=6_000)
    (told,) = listen(stt, LEAD, SPEECH, silence(1_344), SPEECH, silence(9_900)).told
    assert isinstance(told.last, TurnEnded)


@pytest.mark.parametrize("sequential", [False, True])
def test_a_recogniser_that_hangs_does_not_keep_the_ear_from_ending(sequential: bool) -> None:
    (told,) = listen(ScriptedSTT(hanging=(0,)), LEAD, SPEECH, silence(1_000), sequential=sequential).told
    assert isinstance(told.last, HearingFailed)
    assert str(told.last.error) == "the audio ended before the turn did"


def test_audio_that_ends_as_the_sequential_decode_begins_leaves_nothing_open() -> None:
    (told,) = listen(ScriptedSTT(), LEAD, SPEECH, silence(600), sequential=True).told
    assert isinstance(told.last, HearingFailed)


def test_audio_that_ends_in_the_middle_of_speech_fails_the_utterance() -> None:
    (told,) = listen(ScriptedSTT(), LEAD, SPEECH).told
    assert isinstance(told.last, HearingFailed)
    assert str(told.last.error) == "the audio ended before the turn did"


def test_audio_that_ends_in_the_last_silence_fails_the_utterance() -> None:
    (told,) = listen(ScriptedSTT(), LEAD, SPEECH, silence(150)).told
    assert isinstance(told.last, HearingFailed)


def test_each_reading_of_an_utterance_begins_at_its_beginning() -> None:
    async def main() -> tuple[list[UtteranceUpdate], list[UtteranceUpdate]]:
        utterance, transcript = Utterance(0), Transcript("What", "", False, 0, 0.0, 0.0)
        utterance.tell(transcript)
        looked_at = [await anext(aiter(utterance))]
        utterance.tell(TurnEnded(transcript, 0.0, 0.0, 0.0))
        utterance.close()
        return looked_at, [update async for update in utterance]

    looked_at, read = run(main())
    assert looked_at == read[:1]
    assert isinstance(read[-1], TurnEnded)


def test_nobody_need_listen_to_an_utterance() -> None:
    async def main() -> list[UtteranceUpdate]:
        utterance = Utterance(0)
        utterance.close()
        for _ in range(1_000):
            utterance.tell(HearingFailed(StageError("gone")))
        return [update async for update in utterance]

    assert run(main()) == []


# ---------------------------------------------------------------- the turn detector
BOTH = EndpointingSettings(
    sure_ms=250, likely_ms=500, likely_statement_ms=500, doubtful_ms=900, listen_ms=160, patience=0.5
)


@pytest.mark.parametrize(("probability", "needed_ms"), [(0.99, 250), (0.1, 500)])
def test_the_sound_of_the_voice_decides_with_the_words(probability: float, needed_ms: float) -> None:
    detector = ScriptedTurnDetector((probability,))
    (told,) = listen(ScriptedSTT(), LEAD, SPEECH, silence(2_000), detector=detector, endpointing=BOTH).told
    assert told.last_ms == END_MS + needed_ms


def test_the_turn_detector_hears_the_turn_with_the_beginning_of_the_silence_and_is_asked_once_a_pause() -> None:
    detector = ScriptedTurnDetector((0.1,))
    stt = ScriptedSTT(("What time", "What time is it?"))
    listen(stt, LEAD, voice(640), silence(512), voice(640), silence(2_000), detector=detector, endpointing=BOTH)
    assert [len(pcm) for pcm in detector.heard] == [ms(300 + 640 + 160), ms(300 + 640 + 512 + 640 + 160 + 8)]


def test_a_turn_detector_that_is_late_is_heard_when_it_answers() -> None:
    detector = ScriptedTurnDetector((0.99,), takes_ms=200)
    (told,) = listen(ScriptedSTT(), LEAD, SPEECH, silence(2_000), detector=detector, endpointing=BOTH).told
    assert told.last_ms == END_MS + 160 + 200


def test_a_turn_detector_that_fails_leaves_the_decision_to_the_words() -> None:
    detector = ScriptedTurnDetector(error=StageError("gone"))
    (told,) = listen(ScriptedSTT(), LEAD, SPEECH, silence(2_000), detector=detector, endpointing=BOTH).told
    assert told.last_ms == END_MS + BOTH.likely_ms


def test_a_speaker_who_goes_on_after_the_end_is_given_more_time_at_the_next() -> None:
    stt = ScriptedSTT(("Yes, I do.", "Yes, I do. Really I do."))
    parts = (voice(640), silence(640), voice(640), silence(2_000))
    (told,) = listen(stt, LEAD, *parts, endpointing=BOTH, heard_after_ms=None).told
    assert told.last_ms == pytest.approx(320 + 640 + 640 + 640 + 1.5 * BOTH.likely_ms, abs=10)
