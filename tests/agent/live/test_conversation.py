"""A live conversation over scripted stages: documents, sinks, and changing the model in the middle."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.live.conversation import Conversation
from agent.measure.replay import VirtualOutput
from agent.setup.engines import Engines
from pipelines.errors import InputError
from pipelines.events import AudioFrame, ChatMessage
from pipelines.modes import Mode
from pipelines.session_events import OpeningBegan, OpeningEnded, SessionEvent, TurnBegan, TurnCommitted, TurnFinished
from pipelines.stopwatch.record import TurnRecord
from tests.agent.scripted_engines import LLM, scripted_engines
from tests.scripted import ScriptedSTT, microphone, now, silence, voice
from tests.virtual_time import run

QUESTION = (silence(320), voice(1_600), silence(2_600))


class Sink:
    def __init__(self) -> None:
        self.turns: list[tuple[int, TurnRecord]] = []

    def turn(self, index: int, turn: TurnRecord) -> None:
        self.turns.append((index, turn))


class Held:
    """A conversation over scripted stages, and what was heard of it."""

    def __init__(
        self,
        engines: Engines,
        opening: str = "",
        history: tuple[ChatMessage, ...] = (),
    ) -> None:
        self.events: list[SessionEvent] = []
        self.sink = Sink()
        output = VirtualOutput(now, now(), lambda: False)
        mode, sinks = Mode.SPECULATIVE, [self.sink]
        self.conversation = Conversation(engines, LLM, mode, output, self._note, sinks, opening, history)

    def _note(self, event: SessionEvent, document: TurnRecord | None) -> None:
        self.events.append(event)
        assert (document is not None) == isinstance(event, TurnFinished)


def test_a_finished_turn_is_told_with_its_document() -> None:
    async def main() -> Held:
        held = Held(scripted_engines())
        await held.conversation.run(microphone(*QUESTION))
        return held

    held = run(main())
    assert [type(event) for event in held.events] == [TurnBegan, TurnCommitted, TurnFinished]
    ((index, document),) = held.sink.turns
    assert (index, document.outcome, document.llm, document.mode) == (0, "completed", LLM, "speculative")
    assert document.turn_latency_ms == pytest.approx(sum(s.ms for s in document.critical_path), abs=1)
    assert document.labelled is False
    assert held.conversation.turns == [document]
    assert held.conversation.current is None


def test_the_mode_can_be_changed_between_turns() -> None:
    async def main() -> Held:
        held = Held(scripted_engines(ScriptedSTT(turns=(("Who?",), ("When?",)))))

        async def frames() -> AsyncIterator[AudioFrame]:
            async for frame in microphone(*QUESTION, *QUESTION):
                if frame.start_samples == 16_000 * 4:
                    await held.conversation.switch(mode="sequential")
                yield frame

        await held.conversation.run(frames())
        return held

    held = run(main())
    assert [document.mode for _, document in held.sink.turns] == ["speculative", "sequential"]
    first, second = (document.turn_latency_ms or 0 for _, document in held.sink.turns)
    assert first > 0
    assert first < second


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"mode": "fast"}, "mode 'fast' is not one of: sequential"),
        ({"llm": "nobody/x"}, "llm 'nobody/x' is not one of"),
    ],
)
def test_what_is_unknown_changes_nothing(change: dict[str, str], says: str) -> None:
    async def main() -> None:
        held = Held(scripted_engines())
        with pytest.raises(InputError, match=says):
            await held.conversation.switch(**change)
        assert (held.conversation.llm, held.conversation.mode) == (LLM, Mode.SPECULATIVE)

    asyncio.run(main())


@pytest.mark.slow
def test_a_model_is_connected_when_it_is_first_switched_to() -> None:
    from agent.setup.config import load_config
    from agent.setup.engines import open_engines

    async def main() -> None:
        async with open_engines(load_config(), [LLM]) as engines:
            conversation = Conversation(engines, LLM, Mode.STREAMING, VirtualOutput(now, now(), lambda: False))
            await conversation.switch(llm="sim/30:400")
            assert set(engines.models) == {LLM, "sim/30:400"}
            with pytest.raises(InputError, match="CEREBRAS_API_KEY"):
                await conversation.switch(llm="cerebras/llama3.1-8b")
            assert conversation.llm == "sim/30:400"

    asyncio.run(main())


OPENING = "Hello, how can I help?"


def opened(*spoken: Any, history: tuple[ChatMessage, ...] = ()) -> Held:
    """A conversation that the agent opens; the scripted speech of its opening takes a second."""

    async def main() -> Held:
        held = Held(scripted_engines(), OPENING, history)
        await held.conversation.run(microphone(*spoken))
        return held

    return run(main())


def test_the_agent_opens_the_conversation_and_remembers_that_it_did() -> None:
    earlier = (ChatMessage("user", "My name is Ada."), ChatMessage("assistant", "Hello, Ada."))
    held = opened(silence(6_000), *QUESTION, history=earlier)
    assert [type(event) for event in held.events[:2]] == [OpeningBegan, OpeningEnded]
    assert isinstance(held.events[1], OpeningEnded)
    assert held.events[1].heard == OPENING
    assert held.conversation.opening is None
    assert held.conversation.history[:3] == [*earlier, ChatMessage("assistant", OPENING)]
    assert [message.role for message in held.conversation.history[3:]] == ["user", "assistant"]


def test_a_user_who_speaks_first_is_not_talked_over() -> None:
    held = opened(*QUESTION)
    ended = next(event for event in held.events if isinstance(event, OpeningEnded))
    assert OPENING.startswith(ended.heard)
    assert ended.heard != OPENING
    assert held.conversation.turns[0].outcome == "completed"
