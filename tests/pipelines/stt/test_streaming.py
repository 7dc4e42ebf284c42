import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pipelines.errors import StageError
from pipelines.events import AudioFrame, Heard, Pcm, SpeechStarted, SpeechStopped, Transcript, Word
from pipelines.stt.segments import StreamingSettings
from pipelines.stt.streaming import StreamingWhisper
from tests.pipelines.stt.paced import WatchedPool, paced, settled, until

MS = 16


class Script:
    """A decoder that says one word for each 100 ms of audio; `hold` blocks decodes in their thread until it is set."""

    def __init__(self) -> None:
        self.decoded: list[int] = []
        self.hold: threading.Event | None = None
        self.began = threading.Event()

    def decode(self, pcm: Pcm, known: Any, *, aligned: bool) -> tuple[tuple[Word, ...], None]:
        self.decoded.append(len(pcm))
        self.began.set()
        if self.hold is not None:
            self.hold.wait(5)
        count = len(pcm) // (100 * MS)
        return tuple(Word(f"w{i}", i * 100 * MS, (i + 1) * 100 * MS) for i in range(count)), None


def frames(start_ms: int, end_ms: int, step_ms: int = 20) -> list[Heard]:
    return [AudioFrame(np.ones(step_ms * MS, np.int16), at * MS) for at in range(start_ms, end_ms, step_ms)]


def run(script: Script, events: Sequence[Heard], **options: Any) -> list[Transcript]:
    async def collect() -> list[Transcript]:
        stt = streaming(script, **options)
        async with aclosing(stt.transcribe(paced(events, stt))) as transcripts:
            heard = [transcript async for transcript in transcripts]
        assert asyncio.all_tasks() == {asyncio.current_task()}
        return heard

    return asyncio.run(collect())


def streaming(script: Script, name: str = "script", workers: int = 2, **options: Any) -> StreamingWhisper:
    stt = StreamingWhisper(name, script, settings=StreamingSettings(interval_ms=100, first_ms=200), **options)
    stt._pool = WatchedPool(workers)
    return stt


UTTERANCE = [SpeechStarted(0), *frames(0, 580), SpeechStopped(520 * MS), *frames(580, 800)]


def test_partials_grow_and_the_last_transcript_is_final() -> None:
    heard = run(Script(), UTTERANCE)
    assert len(heard) >= 3
    assert [t.is_final for t in heard] == [False] * (len(heard) - 1) + [True]
    assert heard[-1].text == heard[-1].stable_text == "w0 w1 w2 w3 w4"
    assert heard[-1].words[-1] == Word("w4", 400 * MS, 500 * MS)
    assert all(t.text.startswith(t.stable_text) for t in heard)
    ends = [t.audio_end_samples for t in heard]
    assert ends[:-1] == sorted(ends[:-1])
    assert ends[-1] == 550 * MS


def test_the_clock_that_is_given_bounds_each_decode() -> None:
    ticks = iter(range(1_000))
    heard = run(Script(), UTTERANCE, clock=lambda: float(next(ticks)))
    assert all(t.ready_s > t.started_s for t in heard)
    assert all(later.started_s > earlier.started_s for earlier, later in pairwise(heard))


def test_each_pause_is_answered_by_one_final_transcript_of_the_whole_turn() -> None:
    events = [
        *UTTERANCE,
        SpeechStarted(900 * MS),
        *frames(800, 1_300),
        SpeechStopped(1_250 * MS),
        *frames(1_300, 1_400),
    ]
    finals = [t for t in run(Script(), events) if t.is_final]
    assert len(finals) == 2
    assert finals[1].text.startswith(finals[0].text)
    assert finals[1].words[-1].end_samples <= 1_250 * MS


def test_stale_work_never_queues_up() -> None:
    """While one decode runs, a second of audio arrives: the next takes all of it."""
    script = Script()
    script.hold = threading.Event()

    async def scenario() -> list[Transcript]:
        async def source() -> AsyncIterator[Heard]:
            yield SpeechStarted(0)
            for frame in frames(0, 300):
                yield frame
            await until(script.began.is_set)
            for frame in frames(300, 1_300):
                yield frame
            assert script.hold is not None
            script.hold.set()
            await until(lambda: len(script.decoded) == 2)

        return [t async for t in streaming(script).transcribe(source())]

    asyncio.run(scenario())
    assert script.decoded[1] == 1_300 * MS


def test_a_final_decode_does_not_wait_for_a_partial_under_way() -> None:
    script = Script()
    script.hold = threading.Event()

    async def scenario() -> Transcript:
        async def source() -> AsyncIterator[Heard]:
            yield SpeechStarted(0)
            for frame in frames(0, 300):
                yield frame
            await until(script.began.is_set)
            hold, script.hold = script.hold, None  # the partial stays stuck, what comes after does not
            for frame in frames(300, 600):
                yield frame
            yield SpeechStopped(520 * MS)
            try:
                await asyncio.Event().wait()
            finally:
                assert hold is not None
                hold.set()

        async with aclosing(streaming(script).transcribe(source())) as transcripts:
            return await anext(transcripts)

    first = asyncio.run(scenario())
    assert first.is_final
    assert first.text == "w0 w1 w2 w3 w4"


def test_with_one_thread_the_final_decode_goes_before_a_waiting_partial_of_another_turn() -> None:
    script = Script()
    script.hold = threading.Event()
    stt = streaming(script, workers=1)

    async def turn(events: list[Heard], go: asyncio.Event | None = None) -> None:
        async def source() -> AsyncIterator[Heard]:
            if go:
                await go.wait()
            for event in events:
                yield event
            await until(lambda: len(script.decoded) >= 3)

        async for _ in stt.transcribe(source()):
            pass

    async def scenario() -> None:
        second, third = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as turns:
            turns.create_task(turn([SpeechStarted(0), *frames(0, 300)]))
            turns.create_task(turn([SpeechStarted(0), *frames(0, 300)], second))
            turns.create_task(turn([SpeechStarted(0), *frames(0, 500), SpeechStopped(480 * MS)], third))
            await until(script.began.is_set)
            second.set()
            await settled()
            third.set()
            await settled()
            assert script.hold is not None
            script.hold.set()

    asyncio.run(scenario())
    assert script.decoded[:3] == [300 * MS, 500 * MS, 300 * MS]


def test_several_turns_share_one_model() -> None:
    stt = streaming(Script())

    async def scenario() -> list[str]:
        async def last() -> str:
            return [t.text async for t in stt.transcribe(paced(UTTERANCE, stt))][-1]

        return list(await asyncio.gather(*(last() for _ in range(4))))

    assert asyncio.run(scenario()) == ["w0 w1 w2 w3 w4"] * 4


def test_nothing_heard_gives_nothing() -> None:
    assert run(Script(), []) == []


def test_a_fault_of_the_model_is_a_stage_error_that_names_the_engine() -> None:
    class Broken(Script):
        def decode(self, pcm: Pcm, known: Any, *, aligned: bool) -> tuple[tuple[Word, ...], None]:
            raise RuntimeError("out of memory")

    with pytest.raises(StageError, match=r"speech to text \(broken\) failed: RuntimeError: out of memory"):
        run(Broken(), UTTERANCE, name="broken")


def test_a_fault_of_the_input_comes_through() -> None:
    async def source() -> AsyncIterator[Heard]:
        yield SpeechStarted(0)
        raise OSError("microphone unplugged")

    async def scenario() -> None:
        async for _ in streaming(Script()).transcribe(source()):
            pass

    with pytest.raises(OSError, match="unplugged"):
        asyncio.run(scenario())


def cancelled_when(condition: Callable[[Script, int], bool], script: Script) -> set[str]:
    """Cancels a turn as soon as `condition(script, transcripts so far)` holds; the names of the tasks that are left."""

    async def scenario() -> set[str]:
        seen = 0

        async def turn() -> None:
            nonlocal seen
            stt = streaming(script)
            async with aclosing(stt.transcribe(paced(UTTERANCE, stt))) as transcripts:
                async for _ in transcripts:
                    seen += 1

        task = asyncio.create_task(turn())
        await until(lambda: condition(script, seen) or task.done())
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return {t.get_name() for t in asyncio.all_tasks() if t is not asyncio.current_task()}

    return asyncio.run(scenario())


@pytest.mark.parametrize("decodes", range(5))
def test_a_turn_cancelled_while_it_decodes_leaves_no_task(decodes: int) -> None:
    script = Script()
    assert cancelled_when(lambda s, _: len(s.decoded) >= decodes, script) == set()


@pytest.mark.parametrize("transcripts", range(4))
def test_a_turn_cancelled_while_it_waits_for_audio_leaves_no_task(transcripts: int) -> None:
    assert cancelled_when(lambda _, seen: seen >= transcripts, Script()) == set()


def test_a_decode_under_way_when_the_turn_is_cancelled_is_abandoned() -> None:
    script = Script()
    script.hold = threading.Event()
    started = time.monotonic()
    assert cancelled_when(lambda s, _: s.began.is_set(), script) == set()
    assert time.monotonic() - started < 2  # the decode would hold for five seconds
    script.hold.set()


def test_closing_after_the_first_transcript_leaves_no_task() -> None:
    async def scenario() -> None:
        stt = streaming(Script())
        async with aclosing(stt.transcribe(paced(UTTERANCE, stt))) as transcripts:
            await anext(transcripts)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())
