import asyncio
from collections.abc import AsyncIterator
from functools import cache

import numpy as np
import pytest

from agent.recordings import shipped
from pipelines.errors import InputError
from pipelines.events import AudioFrame, Heard, Pcm, SpeechStarted, SpeechStopped, Transcript
from pipelines.stt import pocketsphinx as module
from pipelines.stt.pocketsphinx import PocketSphinx
from pipelines.stt.wer import word_error_rate


@cache
def engine() -> PocketSphinx:
    pytest.importorskip("pocketsphinx")
    return PocketSphinx()


def events(pcm: Pcm, start: int, stop: int) -> list[Heard]:
    return [
        SpeechStarted(start),
        *(AudioFrame(pcm[i : i + 320], i) for i in range(0, len(pcm), 320)),
        SpeechStopped(stop),
    ]


async def transcribe(heard: list[Heard]) -> list[Transcript]:
    async def feed() -> AsyncIterator[Heard]:
        for event in heard:
            yield event

    return [transcript async for transcript in engine().transcribe(feed())]


@cache
def coffee() -> list[Transcript]:
    (recording,) = [r for r in shipped("question_short") if r.name == "coffee_shop"]
    label = recording.turns[0]
    return asyncio.run(transcribe(events(recording.pcm, label.start_samples, label.end_samples)))


@pytest.mark.slow
def test_a_question_is_understood() -> None:
    last = coffee()[-1]
    assert last.is_final
    assert word_error_rate("where is the nearest coffee shop", last.text) <= 0.2


@pytest.mark.slow
def test_partials_come_while_it_listens_and_their_stable_part_begins_them() -> None:
    partials = [t for t in coffee() if not t.is_final]
    assert len(partials) >= 10
    assert all(t.text.startswith(t.stable_text) for t in partials)
    assert any(t.stable_text for t in partials)


@pytest.mark.slow
def test_words_are_plain_and_lie_in_order_within_the_audio() -> None:
    last = coffee()[-1]
    assert all(word.text.isalpha() for word in last.words)
    starts = [word.start_samples for word in last.words]
    assert starts == sorted(starts)
    assert last.words[-1].end_samples <= last.audio_end_samples + 1_600


@pytest.mark.slow
def test_speech_after_a_pause_goes_on_with_the_same_turn() -> None:
    (recording,) = [r for r in shipped("question_short") if r.name == "coffee_shop"]
    label = recording.turns[0]
    first = events(recording.pcm, label.start_samples, label.end_samples)
    offset = len(recording.pcm)
    again = [
        AudioFrame(e.pcm, e.start_samples + offset) for e in first if isinstance(e, AudioFrame)
    ]  # fmt: skip
    heard = asyncio.run(
        transcribe([*first, SpeechStarted(offset + 4_800), *again, SpeechStopped(offset + label.end_samples)])
    )
    finals = [t for t in heard if t.is_final]
    assert len(finals) == 2
    assert finals[1].text.startswith(finals[0].text + " ")
    assert finals[1].words[len(finals[0].words)].start_samples >= offset


@pytest.mark.slow
def test_turns_at_the_same_time_do_not_mix() -> None:
    (recording,) = [r for r in shipped("question_short") if r.name == "coffee_shop"]
    label = recording.turns[0]
    heard = events(recording.pcm, label.start_samples, label.end_samples)

    async def both() -> list[list[Transcript]]:
        return list(await asyncio.gather(transcribe(heard), transcribe(heard)))

    rates = [word_error_rate(coffee()[-1].text, transcripts[-1].text) for transcripts in asyncio.run(both())]
    assert max(rates) <= 0.2  # its running noise estimate makes one turn differ a little from the next


@pytest.mark.slow
def test_silence_gives_a_final_transcript_without_words() -> None:
    heard = asyncio.run(transcribe(events(np.zeros(16_000, np.int16), 0, 16_000)))
    assert heard[-1].is_final
    assert heard[-1].text == ""


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install 'quickturn\[pocketsphinx\]'"):
        PocketSphinx()
