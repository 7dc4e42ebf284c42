"""Session: the conversation."""

import pytest

from pipelines.modes import Mode
from pipelines.playout import AudioOutput
from pipelines.session import Session
from pipelines.session_events import Observer, SessionEvent, TurnBegan, TurnCommitted, TurnFinished
from tests.pipelines.session_scenes import CLIP, FIRST, SECOND, TWO, prompt, two_turns
from tests.scripted import (
    ScriptedLLM,
    ScriptedSTT,
    Stages,
    converse,
    dialogue,
)


@pytest.mark.parametrize("mode", list(Mode))
def test_each_turn_is_sent_with_what_was_said_before_it(mode: Mode) -> None:
    stages = two_turns(mode=mode, llm=ScriptedLLM(replies=("Noon.", "Nine.")))
    converse(stages, TWO)
    assert prompt(stages.llm.requests[1]) == [
        ("system", "Be brief."),
        ("user", FIRST),
        ("assistant", "Noon."),
        ("user", SECOND),
    ]
    assert stages.history == [("user", FIRST), ("assistant", "Noon."), ("user", SECOND), ("assistant", "Nine.")]


def test_a_discarded_guess_leaves_nothing_in_the_history() -> None:
    stages = Stages(stt=ScriptedSTT(partials=((600, "What was it?", True),)), llm=ScriptedLLM(reply="Noon."))
    converse(stages)
    assert stages.history == [("user", FIRST), ("assistant", "Noon.")]


def test_a_turn_without_words_leaves_nothing_in_the_history() -> None:
    stages = Stages(stt=ScriptedSTT(("",)))
    converse(stages)
    assert stages.history == []


def test_old_turns_are_dropped_at_the_context_window_and_the_system_prompt_is_kept() -> None:
    texts = ("one " * 100, "two " * 100, "Three?")
    stages = Stages(
        stt=ScriptedSTT(turns=tuple((text,) for text in texts)),
        llm=ScriptedLLM(reply="Yes."),
        context_window_tokens=400 + 3 + 4 + 140,  # the reply, the system prompt, one long turn with its answer
    )
    converse(stages, dialogue(*((text, CLIP, None) for text in texts)))
    assert [message.text for message in stages.llm.requests[2]] == ["Be brief.", "two " * 100, "Yes.", "Three?"]


def test_the_observer_hears_of_a_turn_in_order() -> None:
    events: list[SessionEvent] = []

    class Noting(Stages):
        def build(self, output: AudioOutput, observer: Observer) -> Session:
            def note(event: SessionEvent) -> None:
                events.append(event)
                observer(event)

            return super().build(output, note)

    converse(Noting())
    assert [type(event) for event in events] == [TurnBegan, TurnCommitted, TurnFinished]
    assert len({id(event.turn) for event in events}) == 1
