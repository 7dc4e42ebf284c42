"""Records of turns of every outcome and both engines: there and back, through a file, and against the schema."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from agent.measure.replay import ReplayedTurn
from agent.room.agent_session.watch import MODE
from agent.room.agent_session.watched_spans import trace_watched
from agent.trace.reader import read_trace
from agent.trace.schema import PATH, schema_text
from pipelines.errors import LLMError, LLMFault
from pipelines.events import ToolCall, ToolSpec, Usage
from pipelines.llm.catalogue import Model
from pipelines.modes import Mode, Outcome
from pipelines.stopwatch.record import LiveKitTimes, SessionRecord, TurnHeader, TurnRecord
from pipelines.stopwatch.trace import turn_record
from pipelines.stopwatch.turn_marks import marks_of
from pipelines.tools import Tool
from tests.records import changed, plain, record, written
from tests.scripted import ScriptedLLM, ScriptedSTT, Stages, converse, dialogue, question, silence, voice

HEADER = TurnHeader(
    mode="speculative", llm="scripted/llm", recording="scripted", reference="What time is it?", wer=0.25
)
PRICES = {"scripted/llm": Model("scripted", usd_per_m_input=0.1, usd_per_m_output=0.3)}
SCHEMA: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))


async def ring() -> str:
    await asyncio.sleep(0.25)
    return "rung"


def first(stages: Stages, *spoken: Any) -> ReplayedTurn:
    return converse(stages, *spoken).turns[0]


def scripted() -> dict[str, ReplayedTurn]:
    clip = question().pcm
    called = ScriptedLLM(events=([ToolCall("1", "ring", "{}"), Usage(20, 5)],), reply="It rang.")
    refused = LLMError("too many requests", LLMFault.RATE_LIMITED)
    resumed = Stages(stt=ScriptedSTT(("One.", "One and two.")), llm=ScriptedLLM(ttft_ms=3_000))
    return {
        "completed": first(Stages()),
        "resumed": first(resumed, question(voice(640), silence(1_024), voice(640))),
        "interrupted": first(Stages(), dialogue(("One.", clip, None), ("Two.", clip, 300))),
        "failed": first(Stages(Mode.STREAMING, llm=ScriptedLLM(errors=(refused,)))),
        "tool": first(
            Stages(Mode.STREAMING, llm=called, tools=[Tool(ToolSpec("ring", "Ring.", {"type": "object"}), ring)])
        ),
        "no_speech": first(Stages(stt=ScriptedSTT(("",)))),
    }


def of_agent_session(turn: ReplayedTurn) -> TurnRecord:
    """As AgentSession's stopwatch lays it out."""
    marks = marks_of(turn.finished)
    trace = trace_watched(marks, turn.trace.origin_s - 1.6, turn.trace.origin_s)
    header = TurnHeader(mode=MODE, llm="scripted/llm", set_up="best", livekit=LiveKitTimes(e2e_latency_ms=271.5))
    return turn_record(trace, header, PRICES)


@pytest.fixture(scope="module")
def turns() -> dict[str, TurnRecord]:
    taken = scripted()
    ours = {name: turn_record(turn.trace, HEADER, PRICES) for name, turn in taken.items()}
    return ours | {"agent session": of_agent_session(taken["completed"])}


def test_there_is_a_turn_of_every_outcome(turns: dict[str, TurnRecord]) -> None:
    assert {turn.outcome for turn in turns.values()} == set(Outcome)
    assert turns["agent session"].turn_latency_ms == pytest.approx(turns["completed"].turn_latency_ms, abs=1)


def test_a_record_comes_back_from_its_json(turns: dict[str, TurnRecord]) -> None:
    for turn in turns.values():
        assert TurnRecord.model_validate(json.loads(json.dumps(plain(turn), allow_nan=False))) == turn


def test_json_comes_back_from_its_record(turns: dict[str, TurnRecord]) -> None:
    for turn in turns.values():
        line = json.dumps(plain(turn))
        assert json.dumps(plain(TurnRecord.model_validate(json.loads(line)))) == line


def test_turns_come_back_from_a_file_with_their_numbers(turns: dict[str, TurnRecord], tmp_path: Path) -> None:
    session = SessionRecord(quickturn="1.2.3", config={"agent": {"llm": "scripted/llm"}}, machine={"cores": 2})
    read = read_trace(written(tmp_path / "trace.jsonl", *turns.values(), session=session))
    assert read.session == session
    assert read.turns == [changed(turn, index=index) for index, turn in enumerate(turns.values())]
    assert read.notes == ()


# ---------------------------------------------------------------- reading what others wrote


def test_a_line_that_does_not_fit_is_named_and_left_out(tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", record(recording="good"))
    bad = {"type": "turn"} | plain(record()) | {"turn_latency_ms": "soon"}
    trace.write_text(trace.read_text() + json.dumps(bad) + "\n")
    read = read_trace(trace)
    assert [turn.recording for turn in read.turns] == ["good"]
    (note,) = read.notes
    assert note.startswith(f"trace {trace}: line 3 does not fit and is left out: turn_latency_ms: Input should be")


def test_what_an_older_quickturn_did_not_write_is_none_and_what_a_newer_one_adds_is_passed_over() -> None:
    old = {"mode": "streaming", "llm": "a/b", "outcome": "completed", "turn_latency_ms": 300.0, "mood": "good"}
    turn = TurnRecord.model_validate(old)
    assert (turn.transcripts, turn.usage, turn.speech_end_at, turn.critical_path) == (None, None, None, ())


# ---------------------------------------------------------------- the schema


def test_the_schema_is_that_of_the_record() -> None:
    assert PATH.read_text(encoding="utf-8") == schema_text(), "stale: make it again by python -m agent.trace.schema"


def test_every_line_of_a_trace_fits_the_schema(turns: dict[str, TurnRecord], tmp_path: Path) -> None:
    trace = written(tmp_path / "trace.jsonl", *turns.values())
    _, *lines = trace.read_text(encoding="utf-8").splitlines()
    for line in lines:
        jsonschema.validate(json.loads(line), SCHEMA)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(json.loads(lines[0]) | {"outcome": "bored"}, SCHEMA)


def test_every_field_says_what_it_means() -> None:
    silent = [name for name, field in fields() if not field.get("description")]
    assert silent == []


def fields() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, part in [("TurnRecord", SCHEMA), *SCHEMA["$defs"].items()]:
        for field, described in part.get("properties", {}).items():
            yield f"{name}.{field}", described
