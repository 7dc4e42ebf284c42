"""The picture of a live conversation, drawn from scripted states."""

from dataclasses import dataclass, field
from typing import cast

import pytest
from rich.console import Console

from agent.live.conversation import Conversation
from agent.live.plain_lines import plain_lines
from agent.live.view import state
from agent.talk.console import LiveConsole
from agent.talk.microphone import Counts, Microphone
from pipelines.events import Transcript
from pipelines.modes import Mode, Outcome
from pipelines.session_events import AgentPaused, AgentResumed, TurnFinished
from pipelines.stopwatch.record import TurnRecord
from pipelines.stopwatch.whatif import Speed
from pipelines.turn import Turn
from pipelines.utterance import Utterance
from tests.agent.talk.mic import Mic
from tests.recorded_turns import simulated


@dataclass
class Talk:
    """What the picture reads of a conversation."""

    turns: list[TurnRecord] = field(default_factory=list)
    current: Turn | None = None
    llm: str = "sim/100:90"
    mode: Mode = Mode.SPECULATIVE


def drawn(talk: Talk, mic: Mic | None = None, width: int = 80) -> str:
    console = Console(width=width, record=True, force_terminal=False)
    with console.capture() as captured:
        view = LiveConsole(cast(Conversation, talk), cast(Microphone, mic or Mic()), ["sim/100:90", "groq/fast"])
        console.print(view)
    return captured.get()


def answered() -> TurnRecord:
    return simulated("sim/100:90", Mode.SPECULATIVE, Speed(100, 90))


def hearing(text: str, stable: str, *, final: bool = False) -> Turn:
    turn = Turn(Utterance(0), lambda: 0.0)
    turn.transcripts.append(Transcript(text, stable, final, 0, 0.0, 0.0))
    return turn


def test_before_the_first_word_it_says_what_to_do() -> None:
    picture = drawn(Talk())
    assert "say something" in picture
    assert "listening" in picture
    assert "(simulated)" in picture


def test_the_words_come_as_they_are_understood() -> None:
    picture = drawn(Talk(current=hearing("What time is", "What time")))
    assert "What time is" in picture
    assert "hearing" in picture


def test_the_last_turn_is_a_waterfall_with_its_latency_and_the_running_figures() -> None:
    turn = answered()
    picture = drawn(Talk(turns=[turn, turn]))
    assert f"{turn.turn_latency_ms:.0f} ms" in picture
    assert "Endpointing" in picture
    assert "p95" in picture


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    picture = drawn(Talk(turns=[answered()]), Mic(Counts(1, 2, 3, 4)), width)
    assert max(map(len, picture.splitlines())) <= width
    assert "overruns 1, dropped 2, underruns 3, card lost 4" in " ".join(picture.split())


def test_a_muted_microphone_says_so() -> None:
    assert "muted" in drawn(Talk(), Mic(muted=True))


def test_without_a_terminal_a_turn_is_three_lines() -> None:
    turn = answered()
    finished = TurnFinished(hearing("", ""), Outcome.COMPLETED, None, "", None)
    you, agent, latency = plain_lines(finished, turn)
    assert you.endswith(turn.transcript)
    assert agent.endswith(turn.heard)
    assert f"{turn.turn_latency_ms:.0f} ms (completed)" in latency


def test_a_pause_for_the_user_and_its_end_are_told() -> None:
    turn = hearing("", "")
    assert plain_lines(AgentPaused(turn), None) == ["       (listening)"]
    assert plain_lines(AgentResumed(turn), None) == ["       (going on)"]


def test_the_state_is_that_of_the_turn() -> None:
    thinking = hearing("Yes.", "Yes.", final=True)
    thinking.committed_s = 1.0
    assert [state(None), state(hearing("", "")), state(thinking)] == ["listening", "hearing", "thinking"]
