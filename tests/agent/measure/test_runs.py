import asyncio
import gc
import time
from dataclasses import replace

import pytest

from agent.measure.recordings import Recording
from agent.measure.replay import Replayed
from agent.measure.runs import Job, Run, run_jobs
from pipelines.modes import Mode
from pipelines.stopwatch.record import TurnRecord
from tests.agent.scripted_engines import LLM, scripted_engines
from tests.records import TURN_FIELDS, plain
from tests.scripted import ScriptedSTT, question, recording, silence, voice
from tests.virtual_time import run

FIELDS = TURN_FIELDS | {"recording", "mode", "llm", "stt", "tts", "reference", "wer"}


def named(name: str) -> Recording:
    return replace(question(), name=name)


def jobs(*names: str) -> list[Job]:
    return [Job(named(name), LLM, Mode.STREAMING) for name in names]


def ignore(job: Job, replayed: Replayed, documents: list[TurnRecord]) -> None:
    pass


def test_turns_come_in_the_order_of_the_jobs_whoever_ends_first() -> None:
    short, long = named("short"), replace(recording(silence(3_200), question().pcm), name="long")
    done: list[str] = []

    async def main() -> Run:
        todo = [Job(long, LLM, Mode.STREAMING), Job(short, LLM, Mode.STREAMING)]
        return await run_jobs(
            scripted_engines(), todo, 2, lambda job, replayed, documents: done.append(job.recording.name)
        )

    assert [turn.recording for turn in run(main()).turns] == ["long", "short"]
    assert done == ["short", "long"]


@pytest.mark.parametrize(("lanes", "in_s"), [(1, 8.0), (2, 4.0), (4, 2.0), (9, 2.0)])
def test_lanes_run_side_by_side(lanes: int, in_s: float) -> None:
    async def main() -> float:
        began_s = asyncio.get_running_loop().time()
        await run_jobs(scripted_engines(), jobs(*"abcd"), lanes, ignore)
        return asyncio.get_running_loop().time() - began_s

    assert in_s < run(main()) < in_s * 1.5


def test_no_jobs_are_done_at_once() -> None:
    assert run(run_jobs(scripted_engines(), [], 2, ignore)).turns == []


def test_a_document_says_what_was_replayed_with_what() -> None:
    (turn,) = run(run_jobs(scripted_engines(), jobs("one"), 1, ignore)).turns
    assert set(plain(turn)) >= FIELDS
    assert (turn.recording, turn.llm, turn.mode) == ("one", LLM, "streaming")
    assert (turn.stt, turn.tts, turn.simulated) == ("scripted", "scripted", True)
    assert (turn.reference, turn.transcript, turn.wer) == ("What time is it?", "What time is it?", 0)


def test_a_wrong_word_is_a_word_error() -> None:
    (turn,) = run(run_jobs(scripted_engines(stt=ScriptedSTT(("What time was it?",))), jobs("one"), 1, ignore)).turns
    assert turn.wer == 0.25


def test_an_utterance_that_was_cut_in_two_is_scored_once_on_all_that_was_heard() -> None:
    spoken = question(voice(640), silence(512), voice(640))
    whole = replace(spoken, turns=(replace(spoken.turns[0], text="Yes. Go on please."),))
    stt = ScriptedSTT(turns=(("Yes.",), ("Go on.",)))
    turns = run(run_jobs(scripted_engines(stt=stt), [Job(whole, LLM, Mode.STREAMING)], 1, ignore)).turns
    assert [turn.false_cut_in for turn in turns] == [True, False]
    assert [turn.wer for turn in turns] == [None, 0.25]


def test_a_recording_without_speech_has_one_document_with_every_field() -> None:
    nobody = Job(recording(silence(500)), LLM, Mode.STREAMING)
    (turn,) = run(run_jobs(scripted_engines(), [nobody], 1, ignore)).turns
    assert set(plain(turn)) >= FIELDS
    assert (turn.outcome, turn.transcript, turn.critical_path) == ("no_speech", "", ())
    assert (turn.turn_latency_ms, turn.wer, turn.reference, turn.error) == (None,) * 4


def test_a_turn_says_where_in_the_two_tracks_its_speech_ends() -> None:
    late = recording(silence(700), voice(1_600), silence(100))
    (turn,) = run(run_jobs(scripted_engines(), [Job(late, LLM, Mode.STREAMING)], 1, ignore)).turns
    assert turn.speech_end_s == 2.3


def test_the_fields_of_a_turn_do_not_depend_on_its_outcome() -> None:
    nobody = Job(recording(silence(500)), LLM, Mode.STREAMING)
    answered, silent = run(run_jobs(scripted_engines(), [*jobs("one"), nobody], 1, ignore)).turns
    assert set(plain(answered)) == set(plain(silent))
    assert set(plain(answered.stages)) == set(plain(silent.stages))
    assert set(plain(answered.speculation)) == set(plain(silent.speculation))


def test_an_unlabelled_recording_is_not_scored() -> None:
    unlabelled = replace(question(), labelled=False)
    (turn,) = run(run_jobs(scripted_engines(), [Job(unlabelled, LLM, Mode.STREAMING)], 1, ignore)).turns
    assert (turn.wer, turn.labelled) == (None, False)


def test_the_lag_of_the_loop_is_measured_meanwhile() -> None:
    def stall(job: Job, replayed: Replayed, documents: list[TurnRecord]) -> None:
        if job.recording.name == "one":
            asyncio.get_running_loop().now_s += 0.25  # type: ignore[attr-defined]

    lags_ms = run(run_jobs(scripted_engines(), jobs("one", "two"), 1, stall)).loop_lag_ms
    assert len(lags_ms) > 100
    assert max(lags_ms) == pytest.approx(245, abs=6)
    assert sorted(lags_ms)[len(lags_ms) // 2] == pytest.approx(0, abs=1e-6)


def test_a_fault_of_the_listener_ends_the_run_and_leaves_no_task() -> None:
    def full(job: Job, replayed: Replayed, documents: list[TurnRecord]) -> None:
        raise OSError("disk full")

    async def main() -> None:
        with pytest.raises(ExceptionGroup) as caught:
            await run_jobs(scripted_engines(), jobs(*"abcd"), 2, full)
        assert caught.group_contains(OSError, match="disk full")

    run(main())


def test_the_garbage_collector_is_as_before_after_a_run() -> None:
    run(run_jobs(scripted_engines(), jobs("one"), 1, ignore))
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


def test_virtual_time_costs_no_time() -> None:
    began_s = time.monotonic()
    run(run_jobs(scripted_engines(), jobs(*"abcdefgh"), 1, ignore))
    assert time.monotonic() - began_s < 8  # for 16 s of replays
