import asyncio
from dataclasses import replace

import numpy as np
import pytest

from agent.measure.recordings import Recording
from agent.measure.replay import Replay, Replayed, ReplayedTurn, VirtualOutput
from pipelines.events import Pcm
from pipelines.modes import Mode, Outcome
from tests.scripted import (
    ScriptedLLM,
    ScriptedSTT,
    ScriptedTTS,
    Stages,
    converse,
    dialogue,
    ms,
    now,
    question,
    recording,
    silence,
    voice,
)
from tests.virtual_time import run

CLIP = question().pcm


def by_ear(replayed: Replayed) -> list[float]:
    """Turn latencies in ms, measured in the two tracks alone: each gap between the user's speech and the agent's."""
    user, agent = (np.flatnonzero(track) for track in replayed.two_tracks().T)
    latencies, heard = [], user[0]
    while len(answers := agent[agent > heard]):
        latencies.append(float(answers[0] - user[user < answers[0]][-1] - 1) / 16)
        heard = next(iter(user[user > answers[0]]), agent[-1])
    return latencies


def by_trace(replayed: Replayed) -> list[float | None]:
    return [turn.trace.turn_latency_ms for turn in replayed.turns]


def starts_ms(pcm: Pcm) -> list[float]:
    """When each stretch of sound begins."""
    loud = np.flatnonzero(pcm)
    return [float(loud[0]) / 16, *(loud[1:][np.diff(loud) > 1] / 16).tolist()]


# ---------------------------------------------------------------- the stopwatch, checked from outside


@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("ttft_ms", [0, 33, 470])
def test_the_two_tracks_hold_the_turn_latency_of_the_trace(mode: Mode, ttft_ms: float) -> None:
    replayed = converse(Stages(mode, llm=ScriptedLLM(ttft_ms=ttft_ms)))
    assert by_ear(replayed) == pytest.approx(by_trace(replayed), abs=1)


def test_the_two_tracks_of_a_dialogue_hold_the_latency_of_each_turn() -> None:
    stages = Stages(llm=ScriptedLLM(replies=("One.", "Two.", "Three.")))
    replayed = converse(stages, dialogue(*(("Go on.", CLIP, None) for _ in range(3))))
    assert len(by_ear(replayed)) == 3
    assert by_ear(replayed) == pytest.approx(by_trace(replayed), abs=1)


def test_the_left_track_is_the_recording_as_it_was_fed() -> None:
    spoken = question()
    replayed = converse(Stages(), spoken)
    assert np.array_equal(replayed.two_tracks()[: len(spoken.pcm), 0], spoken.pcm)


def test_the_tracks_are_as_long_as_the_longer_of_them() -> None:
    replayed = converse(Stages())
    assert len(replayed.two_tracks()) == len(replayed.agent) > len(replayed.user)


def test_the_label_is_what_the_latency_counts_from() -> None:
    """The voice activity's own end of speech does not matter where the true one is known."""
    spoken = question(voice(1_600))
    (label,) = spoken.turns
    early = replace(label, end_samples=label.end_samples - ms(50))
    assert by_trace(converse(Stages(), replace(spoken, turns=(early,)))) == [pytest.approx(270 + 50)]


# ---------------------------------------------------------------- when the user speaks


def test_a_dialogue_waits_for_the_end_of_each_answer() -> None:
    stages = Stages(llm=ScriptedLLM(reply="Yes."))
    replayed = converse(stages, dialogue(("One?", CLIP, None), ("Two?", CLIP, None)))
    assert [turn.finished.outcome for turn in replayed.turns] == [Outcome.COMPLETED] * 2
    first = replayed.turns[0].finished.turn.answer
    assert first is not None
    answered_ms = (first.reply.playout.played[-1].end_s - 1_000) * 1_000
    _, second_ms = starts_ms(replayed.user)
    breath_ms, lead_ms = 300, 320
    assert second_ms == pytest.approx(answered_ms + breath_ms + lead_ms, abs=20)


@pytest.mark.parametrize("after_ms", [400, 700, 1_500])
def test_a_barge_in_falls_where_its_label_says(after_ms: int) -> None:
    """Also where the answer is one long sentence, of which more is ready than the output queues."""
    stages = Stages(llm=ScriptedLLM(reply="One long sentence that goes on and on until somebody stops it for good."))
    replayed = converse(stages, dialogue(("One?", CLIP, None), ("Two?", CLIP, after_ms)))
    audible_ms = starts_ms(replayed.agent)[0]
    _, barge_in_ms = starts_ms(replayed.user)
    assert barge_in_ms - audible_ms == pytest.approx(after_ms, abs=10)
    assert replayed.turns[0].finished.outcome is Outcome.INTERRUPTED


def test_a_barge_in_on_an_answer_that_is_over_waits_its_turn() -> None:
    stages = Stages(llm=ScriptedLLM(reply="Yes."))
    replayed = converse(stages, dialogue(("One?", CLIP, None), ("Two?", CLIP, 5_000)))
    assert [turn.finished.outcome for turn in replayed.turns] == [Outcome.COMPLETED] * 2


def test_a_turn_that_is_slow_to_be_cut_does_not_end_the_wait_for_the_answer_to_the_next() -> None:
    llm = ScriptedLLM(replies=("One two three. " * 20, "A long answer.", "Yes."), tokens_per_s=10, closing_ms=3_000)
    stages = Stages(llm=llm, tts=ScriptedTTS(letter_ms=500))
    replayed = converse(stages, dialogue(("One?", CLIP, None), ("Two?", CLIP, 700), ("Three?", CLIP, None)))
    outcomes = [turn.finished.outcome for turn in replayed.turns]
    assert outcomes == [Outcome.INTERRUPTED, Outcome.COMPLETED, Outcome.COMPLETED]


def test_a_turn_that_is_not_heard_is_waited_for_with_patience_and_then_left_behind() -> None:
    quiet = np.concatenate([silence(320), np.full(ms(640), 500, np.int16), silence(96)])
    replayed = converse(Stages(), dialogue(("Pardon?", quiet, None), ("Two?", CLIP, None)))
    (only,) = replayed.turns
    assert only.label is not None
    assert only.label.text == "Two?"
    _, second_ms = starts_ms(replayed.user)
    assert second_ms == pytest.approx(320 + 640 + 96 + 3_000 + 320, abs=20)


def test_a_recording_without_speech_ends_after_some_patience() -> None:
    replayed = converse(Stages(), recording(silence(2_000)))
    assert replayed.turns == ()
    assert len(replayed.user) / 16 == pytest.approx(5_000, abs=20)


def test_a_last_answer_is_not_waited_for_in_real_time() -> None:
    """What is queued sounds on the track; only the clock of the replay need not wait for it."""
    replayed = converse(Stages())
    assert len(replayed.user) / 16 < 2_500
    assert replayed.turns[0].finished.heard == "It is ten past three. Anything else?"


# ---------------------------------------------------------------- labels


def unlabelled(*parts: Pcm) -> Recording:
    pcm = np.concatenate(parts)
    return Recording("mine", "unlabelled", "unknown", False, pcm, (), labelled=False)


def test_a_recording_without_labels_counts_from_the_end_that_was_heard() -> None:
    replayed = converse(Stages(), unlabelled(CLIP))
    (only,) = replayed.turns
    assert (only.label, only.false_cut_in) == (None, False)
    assert only.trace.turn_latency_ms == pytest.approx(270)


def test_all_turns_of_a_recording_without_labels_are_answered() -> None:
    stages = Stages(llm=ScriptedLLM(reply="Yes."))
    replayed = converse(stages, unlabelled(CLIP, silence(1_500), CLIP))
    assert [turn.finished.outcome for turn in replayed.turns] == [Outcome.COMPLETED] * 2


def test_an_agent_that_does_not_wait_for_the_end_has_cut_in() -> None:
    stages = Stages(stt=ScriptedSTT(turns=(("Yes.",), ("Go on.",))))
    replayed = converse(stages, question(voice(640), silence(512), voice(640)))
    assert [turn.false_cut_in for turn in replayed.turns] == [True, False]


def test_an_agent_that_waits_for_the_end_has_not_cut_in() -> None:
    stages = Stages(stt=ScriptedSTT(("yes and", "Yes and no.")))
    replayed = converse(stages, question(voice(640), silence(512), voice(640)))
    assert [turn.false_cut_in for turn in replayed.turns] == [False]


def test_each_turn_of_a_dialogue_gets_its_label() -> None:
    stages = Stages(llm=ScriptedLLM(reply="Yes."))
    replayed = converse(stages, dialogue(("One?", CLIP, None), ("Two?", CLIP, None)))
    assert [label_of(turn) for turn in replayed.turns] == ["One?", "Two?"]


@pytest.mark.parametrize("reply", ["Yes.", "Yes!!", "Yes!!!", "No, no.", "No, never."])
def test_a_clip_that_begins_with_its_first_word_gets_its_label(reply: str) -> None:
    """The voice activity hears in windows, so its onset may lie before the clip was fed."""
    stages = Stages(llm=ScriptedLLM(reply=reply))
    replayed = converse(stages, dialogue(("One?", voice(640), None), ("Two?", voice(640), None)))
    assert [label_of(turn) for turn in replayed.turns] == ["One?", "Two?"]
    assert by_trace(replayed) == pytest.approx(by_ear(replayed), abs=1)


def label_of(turn: ReplayedTurn) -> str | None:
    return turn.label.text if turn.label else None


# ---------------------------------------------------------------- the virtual output


def test_the_virtual_output_plays_behind_what_is_queued() -> None:
    async def main() -> tuple[float, float, int]:
        output = VirtualOutput(now, now(), lambda: False)
        first, second = await output.play(voice(100)), await output.play(voice(50))
        return first - 1_000, second - 1_000, len(output.track())

    assert run(main()) == pytest.approx((0, 0.1, ms(150)))


def test_the_virtual_output_queues_two_seconds_and_then_waits() -> None:
    async def main() -> list[float]:
        output, queued = VirtualOutput(now, now(), lambda: False), []
        for _ in range(5):
            await output.play(voice(1_000))
            queued.append(now() - 1_000)
        return queued

    assert run(main()) == pytest.approx([0, 0, 0, 1, 2])


def test_the_virtual_output_says_at_once_when_a_long_sentence_begins() -> None:
    async def main() -> float:
        await VirtualOutput(now, now(), lambda: False).play(voice(10_000))
        return now() - 1_000

    assert run(main()) == 0


def test_clearing_the_virtual_output_keeps_what_has_sounded() -> None:
    async def main() -> tuple[int, float]:
        output = VirtualOutput(now, now(), lambda: False)
        await output.play(voice(1_000))
        await output.play(voice(1_000))
        await asyncio.sleep(0.25)
        output.clear()
        sounded = len(output.track())
        await output.drain()
        return sounded, await output.play(voice(10)) - 1_000

    assert run(main()) == pytest.approx((ms(250), 0.25))


def test_a_replay_keeps_its_recording_and_order() -> None:
    spoken = question()
    replayed = run(Replay(spoken, now, ms(10)).run(Stages().build))
    assert replayed.recording is spoken
