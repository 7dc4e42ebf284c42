import json
import re
from pathlib import Path
from typing import Any

import pytest

from agent.bench.mirror import Pair, Prompt, read_prompts, summary
from agent.bench.task import Attempt
from pipelines.errors import InputError
from pipelines.events import ChatMessage
from tests.command_line import quickturn


def pair(ours: str, theirs: str, ttfts_ms: tuple[float, float] = (200, 100), error: str | None = None) -> Pair:
    incumbent = Attempt("a", "mirror", "1", 0, False, 0, ttft_ms=ttfts_ms[0], text=theirs)
    candidate = Attempt("b", "mirror", "1", 0, False, 0, ttft_ms=ttfts_ms[1], text=ours, error=error)
    return Pair(Prompt("1", (ChatMessage("user", "?"),)), incumbent, candidate)


@pytest.mark.parametrize(
    ("ours", "theirs", "same", "similarity"),
    [
        ("It is noon.", "It is noon.", "exact", 1.0),
        ("it is noon", "It is noon!", "normalised", 1.0),
        ("It is half past noon.", "It is noon.", "different", 0.6),
    ],
)
def test_answers_are_compared_word_by_word(ours: str, theirs: str, same: str, similarity: float) -> None:
    compared = pair(ours, theirs)
    assert (compared.same, compared.similarity) == (same, pytest.approx(similarity))


def test_a_prompt_that_one_of_them_did_not_answer_is_counted_and_not_compared() -> None:
    totals = summary([pair("Yes.", "Yes."), pair("", "Yes.", error="cut")])
    assert totals.failed == {"incumbent": 0, "candidate": 1}
    assert totals.same == {"exact": 1, "normalised": 0, "different": 0}


def test_the_difference_is_that_of_the_candidate_prompt_by_prompt() -> None:
    totals = summary([pair("a", "a", (200 + n, 100 + n)) for n in range(8)])
    assert totals.ttft_ms is not None
    assert totals.ttft_ms.delta == -100
    assert totals.ttft_ms.ci95 == (-100, -100)


def lines(*messages: list[dict[str, Any]]) -> str:
    return "\n".join(json.dumps({"messages": asked}) for asked in messages)


def test_prompts_are_lines_of_messages(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(lines([{"role": "system", "content": "Brief."}, {"role": "user", "content": "Hi."}]) + "\n\n")
    (prompt,) = read_prompts(path)
    assert prompt.messages == (ChatMessage("system", "Brief."), ChatMessage("user", "Hi."))


def test_the_turns_of_a_trace_are_prompts_with_what_was_said_before(tmp_path: Path) -> None:
    turn = {"type": "turn", "recording": "r", "llm": "x", "mode": "streaming", "outcome": "completed"}
    session = {"type": "session", "version": 1, "config": {"agent": {"system_prompt": "Brief."}}}
    turns = [{**turn, "transcript": "Hi.", "reply": "Hello."}, {**turn, "transcript": "And?", "reply": "Well."}]
    path = tmp_path / "trace.jsonl"
    path.write_text("\n".join(map(json.dumps, [session, *turns])))
    first, second = read_prompts(path)
    assert [message.text for message in first.messages] == ["Brief.", "Hi."]
    assert [message.text for message in second.messages] == ["Brief.", "Hi.", "Hello.", "And?"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty"),
        ("nonsense", "line 1 is not a JSON object"),
        ("{}", '"messages" must be a list'),
        (lines([{"role": "user"}]), 'every message needs a "role" and a text'),
        (lines([{"role": "boss", "content": "x"}]), "role 'boss' is not one of: system, user, assistant"),
        (lines([{"role": "assistant", "content": "x"}]), "there is nothing to answer"),
    ],
)
def test_prompts_that_cannot_be_asked_name_the_line(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(text)
    with pytest.raises(InputError, match=re.escape(problem)):
        read_prompts(path)


def test_two_llms_are_asked_and_their_answers_stand_side_by_side(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prompts.jsonl"
    asked = [[{"role": "user", "content": text}] for text in ("Tell me a joke.", "What is two plus two?", "Hello.")]
    path.write_text(lines(*asked))
    arguments = ("--incumbent", "sim/150:500", "--candidate", "sim/30:500", "--out", tmp_path, "--json")
    assert quickturn("mirror", path, *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert -160 < document["summary"]["ttft_ms"]["delta"] < -80
    assert document["summary"]["same"]["exact"] == 3  # the pacer says the same at any speed
    page = (tmp_path / "mirror.html").read_text()
    assert "Tell me a joke." in page
    assert "sim/30:500 (simulated)" in page


def test_an_llm_that_fails_is_told_in_one_line_and_ends_with_1(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(lines([{"role": "user", "content": "Hello."}]))
    assert quickturn("mirror", path, "--incumbent", "sim/30:500", "--candidate", "sim/30:500?fault=500") == 1
    assert "failed: sim/30:500?fault=500" in capsys.readouterr().out
