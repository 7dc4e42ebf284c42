"""The figures of `quickturn endpointing-eval`, over silences that are made up here and over one real recording."""

import asyncio
from dataclasses import replace

import pytest

from agent.measure.endpointing_eval import SOUND_MS, Curve, count, curves
from agent.measure.recordings import shipped
from agent.measure.silences import Silence, SilenceKind, silences
from pipelines.endpointing import EndpointingSettings, Evidence
from pipelines.vad import VadSettings
from tests.scripted import ScriptedSTT, ScriptedTurnDetector

SETTINGS = EndpointingSettings(sure_ms=250, likely_ms=600, doubtful_ms=1_000, dangling_ms=1_400, listen_ms=160)


def silence(kind: SilenceKind, length_ms: float | None, text: str, sounds_finished: float | None) -> Silence:
    return Silence("made up", kind, length_ms, 20.0, Evidence(text, None, sounds_finished))


DANGLING = silence("dangling", 1_200, "Turn off the lights and the", 0.1)
OPEN = silence("open", 800, "Play some music.", 0.4)
END = silence("end", None, "What time is it?", 0.99)
HEARD = [DANGLING, OPEN, END, END]


def curve(name: str, heard: list[Silence] = HEARD) -> Curve:
    (found,) = [one for one in curves(heard, SETTINGS) if one.name == name]
    return found


def test_silence_alone_cuts_off_every_pause_that_is_longer_than_the_wait() -> None:
    assert curve("silence alone").cut_off_at(600) == 1.0
    assert curve("silence alone").wait_at(0.5) == pytest.approx(820)
    assert curve("silence alone").wait_at(0.0) == pytest.approx(1_220)


def test_words_alone_wait_for_dangling_words_longer_than_for_a_sentence_that_goes_on() -> None:
    assert curve("words alone").wait_at(0.5) < curve("words alone").wait_at(0.0)  # type: ignore[operator]


def test_words_and_sound_together_wait_for_both_kinds_and_answer_what_is_finished_at_once() -> None:
    together = curve("words and sound")
    assert together.cut_off_at(300) == 0.0
    assert together.shipped is not None
    assert (together.shipped.p50_ms, together.shipped.p95_ms) == (270, 270)
    assert together.shipped.by_kind == {"dangling": 0.0, "open": 0.0}


def test_no_decision_takes_effect_before_its_evidence_can_be_there() -> None:
    hasty = replace(SETTINGS, sure_ms=1, listen_ms=300)
    (shipped_as,) = [one.shipped for one in curves([OPEN, END], hasty) if one.shipped]
    assert shipped_as.p50_ms == 20 + 300 + SOUND_MS


def test_without_a_turn_detector_there_are_silence_and_words() -> None:
    heard = [replace(one, heard=Evidence(one.heard.text)) for one in HEARD]
    assert [one.name for one in curves(heard, SETTINGS)] == ["silence alone", "words alone"]


def test_silences_are_counted_by_kind() -> None:
    assert count(HEARD) == {"dangling": 1, "end": 2, "open": 1}


def test_every_labelled_pause_of_a_recording_is_found_with_its_length_and_the_words_before_it() -> None:
    (recording,) = [one for one in shipped("pause") if one.name == "pause_dangling_1200"]
    (pause,) = recording.turns[0].pauses
    stt, detector = ScriptedSTT(("whatever",)), ScriptedTurnDetector((0.2,))

    async def listen() -> list[Silence]:
        return [one async for one in silences([recording], stt, detector, VadSettings(), 160)]

    # The voice activity also hears silences within words, which are short.
    inside, end = [one for one in asyncio.run(listen()) if one.kind != "other"]
    assert (inside.kind, end.kind) == (pause.after, "end")
    assert inside.length_ms == pytest.approx((pause.end_samples - pause.start_samples) / 16, abs=300)
    assert end.length_ms is None
    assert (inside.heard, end.late_ms) == (Evidence("whatever", None, 0.2), pytest.approx(0, abs=100))
