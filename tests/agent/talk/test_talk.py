"""What the keys do, with a conversation over scripted stages."""

import asyncio
import json
from pathlib import Path
from typing import cast

import numpy as np
import pytest

from agent.live.conversation import Conversation
from agent.live.tape import Tape
from agent.measure.replay import VirtualOutput
from agent.talk.console import LiveConsole
from agent.talk.microphone import Microphone
from agent.talk.talk import Keys
from pipelines.modes import Mode
from pipelines.stopwatch.whatif import Speed
from tests.agent.scripted_engines import LLM, scripted_engines
from tests.agent.talk.mic import Mic
from tests.recorded_turns import simulated
from tests.records import SESSION
from tests.scripted import now


class Desk:
    """The keys of a conversation, and what they change."""

    def __init__(self, folder: Path) -> None:
        self.conversation = Conversation(
            scripted_engines(), LLM, Mode.SPECULATIVE, VirtualOutput(now, now(), lambda: False)
        )
        self.mic = Mic()
        microphone, llms = cast(Microphone, self.mic), [LLM, "nobody/fast"]
        self.view = LiveConsole(self.conversation, microphone, llms)
        self.tape = Tape(folder / "tape")
        self.keys = Keys(self.conversation, microphone, llms, self.view, self.tape, SESSION)

    async def press(self, keys: str) -> None:
        pressed: asyncio.Queue[str] = asyncio.Queue()
        for key in keys:
            pressed.put_nowait(key)
        await self.keys.obey(pressed)


def pressed(folder: Path, keys: str) -> Desk:
    answered = simulated(LLM, Mode.SPECULATIVE, Speed(100, 90))

    async def main() -> Desk:
        desk = Desk(folder)
        with desk.tape:
            desk.conversation.turns.append(answered)
            desk.tape.user(np.ones(1_600, np.int16))
            desk.tape.agent(np.ones(1_600, np.int16))
            await desk.press(keys)
        return desk

    return asyncio.run(main())


def test_q_ends_it_and_m_mutes(tmp_path: Path) -> None:
    assert not pressed(tmp_path, "q").mic.muted
    assert pressed(tmp_path, "mq").mic.muted
    assert not pressed(tmp_path, "mmq").mic.muted


def test_s_goes_through_the_modes(tmp_path: Path) -> None:
    assert pressed(tmp_path, "sq").conversation.mode is Mode.SEQUENTIAL
    assert pressed(tmp_path, "sssq").conversation.mode is Mode.SPECULATIVE


def test_an_llm_that_cannot_be_had_is_told_and_changes_nothing(tmp_path: Path) -> None:
    desk = pressed(tmp_path, "2q")
    assert desk.conversation.llm == LLM
    assert "nobody/fast" in desk.view.note


def test_the_trace_and_the_wav_are_saved_beside_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    desk = pressed(tmp_path, "twq")
    (trace,) = tmp_path.glob("quickturn-*.jsonl")
    session, answered = map(json.loads, trace.read_text().splitlines())
    assert (session["type"], answered["type"]) == ("session", "turn")
    assert list(tmp_path.glob("quickturn-*.wav"))
    assert desk.view.note.startswith("WAV saved")


def test_other_keys_do_nothing(tmp_path: Path) -> None:
    assert pressed(tmp_path, "x9 q").view.note == ""
