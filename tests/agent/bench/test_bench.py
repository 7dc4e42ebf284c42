"""The bench: scenario files, one task with scripted models, a whole plan against the real pacer."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.bench.rows import BenchRow, bench_rows
from agent.bench.scenarios import SHIPPED, Scenario, Task, load_scenarios
from agent.bench.schedule import Plan, PlanOutcome
from agent.bench.show import notes, speed_cells
from agent.bench.task import Attempt, Connected, run_task
from pipelines.errors import ConfigError, InputError, LLMError, LLMFault
from pipelines.events import ChatEvent, ChatMessage, ReasoningDelta, TextDelta, ToolCall, ToolSpec, Usage
from pipelines.llm.catalogue import Model
from tests.command_line import quickturn
from tests.scripted import now
from tests.virtual_time import run

SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = ToolSpec("get_weather", "The weather.", SCHEMA)
PRICED = Model("m", usd_per_m_input=1.0, usd_per_m_output=2.0)


@dataclass
class ScriptedModel:
    """Sends the events of each request, a pause of ms where there is a number, and raises what is an error."""

    requests: Sequence[Sequence[ChatEvent | float | Exception]]
    asked: list[list[ChatMessage]] = field(default_factory=list)
    name: str = "a/model"

    async def stream(
        self, messages: Sequence[ChatMessage], tools: Sequence[ToolSpec] = ()
    ) -> AsyncGenerator[ChatEvent]:
        number = len(self.asked)
        self.asked.append(list(messages))
        for step in self.requests[min(number, len(self.requests) - 1)]:
            match step:
                case int() | float():
                    await asyncio.sleep(step / 1_000)
                case Exception():
                    raise step
                case _:
                    yield step

    async def warm_up(self) -> None: ...

    async def aclose(self) -> None: ...


def words(count: int, gap_ms: float = 10) -> list[ChatEvent | float | Exception]:
    steps: list[ChatEvent | float | Exception] = [100.0]
    for number in range(count):
        steps += [TextDelta(f"word{number}{'.' if number == 4 else ''} "), gap_ms]
    return steps


def asked(
    chat: ScriptedModel, task: Task | None = None, tools: tuple[ToolSpec, ...] = (), model: Model = PRICED
) -> tuple[bool, list[Attempt]]:
    scenario = Scenario("short", "", "Be brief.", 100, (), tools)
    attempts: list[Attempt] = []
    connected = Connected("a/model", chat, model, simulated=False)
    task = task or Task("one", ("Hello?",))
    return run(run_task(connected, scenario, task, now, attempts.append, loaded=False)), attempts


# ---------------------------------------------------------------- one task


def test_the_times_of_an_answer_are_those_of_its_stream() -> None:
    _, (attempt,) = asked(ScriptedModel([[*words(20), Usage(30, 20)]]))
    assert attempt.ttft_ms == pytest.approx(100)
    assert attempt.first_sentence_ms == pytest.approx(140)
    assert attempt.total_ms == pytest.approx(300)
    assert attempt.tokens_per_s == pytest.approx(100)  # 19 tokens in 190 ms
    assert attempt.gap_ms == [pytest.approx(10)] * 19


def test_reasoning_is_no_first_token_and_counts_for_no_speed() -> None:
    thinking: list[ChatEvent | float | Exception] = [ReasoningDelta("hm"), 500.0]
    _, (attempt,) = asked(ScriptedModel([[*thinking, *words(20), Usage(30, 60, reasoning_tokens=40)]]))
    assert attempt.ttft_ms == pytest.approx(600)
    assert attempt.tokens_per_s == pytest.approx(100)
    assert attempt.cost_usd == pytest.approx((30 + 2 * 60) / 1e6)


def test_where_the_server_tells_no_usage_a_token_a_delta_is_the_least() -> None:
    done, attempts = asked(ScriptedModel([words(20)]))
    assert attempts[0].estimated
    assert attempts[0].tokens_per_s == pytest.approx(100)
    outcome = PlanOutcome(attempts, {("a/model", "short", False): [done]})
    plan = Plan(("a/model",), (Scenario("short", "", "", 1, ()),), 1, 1, None, None)
    (row,) = bench_rows(plan, outcome, {"a/model": False})
    assert "≥ 100" in speed_cells(row)
    assert row.tokens_per_success is None
    assert any("reports no token usage" in note for note in notes([row]))


def test_an_empty_answer_is_an_error_and_no_success() -> None:
    done, (attempt,) = asked(ScriptedModel([[100.0, Usage(30, 0)]]))
    assert (done, attempt.fault) == (False, "empty")
    assert attempt.cost_usd == pytest.approx(30e-6)


def test_a_price_or_count_that_is_unknown_makes_the_cost_unknown() -> None:
    _, (unpriced,) = asked(ScriptedModel([[*words(3), Usage(30, 3)]]), model=Model("m"))
    _, (uncounted,) = asked(ScriptedModel([[*words(3), Usage(None, None)]]))
    assert (unpriced.cost_usd, uncounted.cost_usd) == (None, None)


def test_each_turn_of_a_dialogue_holds_what_was_said_before() -> None:
    chat = ScriptedModel([[TextDelta("Fine."), Usage(1, 1)]])
    asked(chat, Task("two", ("How are you?", "And now?")))
    assert [message.text for message in chat.asked[1]] == ["Be brief.", "How are you?", "Fine.", "And now?"]


@pytest.mark.parametrize(
    ("calls", "structured", "right"),
    [
        ([ToolCall("1", "get_weather", '{"city": "paris"}')], True, True),
        ([ToolCall("1", "get_weather", '{"city": "Rome"}')], True, False),
        ([ToolCall("1", "get_weather", '{"city": 7}')], False, False),
        ([ToolCall("1", "get_weather", '{"city": "Par')], False, False),
        ([ToolCall("1", "get_time", "{}")], False, False),
        ([TextDelta("It is sunny.")], False, False),
    ],
)
def test_a_tool_call_is_held_against_its_schema_and_against_what_was_asked(
    calls: list[ChatEvent], structured: bool, right: bool
) -> None:
    task = Task("weather", ("Paris?",), (), "get_weather", {"city": "Paris"})
    succeeded, (attempt,) = asked(ScriptedModel([[*calls, Usage(1, 1)]]), task, (WEATHER,))
    assert (attempt.structured_ok, attempt.answer_ok, succeeded) == (structured, right, structured and right)


@pytest.mark.parametrize(("text", "right"), [("It is Paris.", True), ("It is Rome.", False)])
def test_an_answer_is_held_against_what_is_expected(text: str, right: bool) -> None:
    task = Task("capital", ("Capital?",), (re.compile("Paris"),))
    assert asked(ScriptedModel([[TextDelta(text), Usage(1, 1)]]), task)[0] is right


def test_a_refusal_for_the_moment_is_asked_again_and_every_attempt_is_kept() -> None:
    busy = LLMError("busy", LLMFault.RATE_LIMITED, 2.0)
    succeeded, attempts = asked(ScriptedModel([[busy], [TextDelta("Yes."), Usage(1, 1)]]))
    assert succeeded
    assert [(a.retry, a.fault, a.cost_usd) for a in attempts] == [(0, "rate_limited", 0.0), (1, None, 3e-6)]


def test_an_answer_that_breaks_off_is_no_success_and_is_paid_by_estimate() -> None:
    cut = LLMError("cut", LLMFault.CUT)
    succeeded, (attempt,) = asked(ScriptedModel([[TextDelta("Yes, and "), cut]]))
    assert not succeeded
    assert attempt.cost_usd is not None
    assert attempt.cost_usd > 0


# ---------------------------------------------------------------- rows


def attempt(llm: str, ttft_ms: float | None, *, loaded: bool = False, cost: float | None = 0.5, **how: Any) -> Attempt:
    return Attempt(llm, "short", "one", 0, loaded, 0, ttft_ms=ttft_ms, cost_usd=cost, **how)


def rows_of(attempts: list[Attempt], successes: int = 1) -> list[BenchRow]:
    scenarios = (Scenario("short", "", "", 100, (Task("one", ("?",)),)),)
    plan = Plan(("a", "b"), scenarios, 1, 1, None, None)
    done = {(llm, "short", False): [True] * successes for llm in ("a", "b")}
    return bench_rows(plan, PlanOutcome(attempts, done), {"a": False, "b": False})


def test_the_cost_of_a_success_holds_what_the_failures_cost() -> None:
    failed = attempt("a", None, error="cut", fault="cut")
    row = rows_of([attempt("a", 100), attempt("a", 100), failed], successes=2)[0]
    assert row.usd_per_success == 0.75
    assert row.error_rate == pytest.approx(1 / 3, abs=1e-4)
    assert row.errors == {"cut": 1}


def test_an_unknown_price_is_unknown_and_not_0() -> None:
    row = rows_of([attempt("a", 100), attempt("a", 100, cost=None)])[0]
    assert (row.usd_per_success, row.cost_usd) == (None, None)


def test_a_difference_that_may_be_none_is_called_so() -> None:
    noise = [90.0, 110.0, 95.0, 105.0, 100.0]
    same = rows_of([*(attempt("a", ms) for ms in noise), *(attempt("b", ms + 1) for ms in noise)])
    faster = rows_of([*(attempt("a", ms) for ms in noise), *(attempt("b", ms - 80) for ms in noise)])
    assert speed_cells(same[1])[-1] == "no difference seen"
    assert speed_cells(faster[1])[-1].startswith("-80 (")
    assert same[0].delta_ttft_ms is None


def test_of_a_handful_no_interval_is_told() -> None:
    slow, fast = rows_of([*(attempt("a", 100.0) for _ in range(4)), *(attempt("b", 20.0) for _ in range(4))])
    assert (fast.delta_ttft_ms, fast.ci95_ms) == (-80.0, None)
    assert speed_cells(fast)[-1] == "-80 (too few to tell)"
    assert slow.delta_ttft_ms is None


def test_the_p99_under_load_stands_beside_the_one_alone() -> None:
    row = rows_of([attempt("a", 100), attempt("a", 300, loaded=True)])[0]
    assert (row.p99_alone_ms, row.p99_loaded_ms) == (100.0, 300.0)


# ---------------------------------------------------------------- scenario files


def test_the_shipped_scenarios_are_five_and_the_mix_comes_last() -> None:
    assert [scenario.name for scenario in load_scenarios(list(SHIPPED))] == list(SHIPPED)
    (long,) = load_scenarios(["long_summarization"])
    assert len(long.tasks[0].ask[0]) > 10_000
    (dialogue,) = load_scenarios(["multi_turn"])
    assert len(dialogue.tasks[0].ask) == 10


@pytest.mark.parametrize(
    ("toml", "problem"),
    [
        ("description = 'x'\nspeed = 1\n[[task]]\nname='a'\nask=['b']", "speed is not one of: 'description', 'system'"),
        ("description = 'x'\n[[task]]\nname='a'\nask='b'", "task[0].ask is 'b': input should be a valid list"),
        ("description = 'x'\n[[task]]\nname='a'\nask=['b']\nhurry=1", "task[0].hurry is not one of: 'name', 'ask'"),
        ("[[task]]\nname='a'\nask=['b']", "description is missing"),
        ("description = 'x'", "give either [[task]] entries or mix"),
        ("description = 'x'\n[[task]]\nname='a'\nask=['b']\nexpect_tool='t'", "expect_tool 't' is not one of: none"),
        (
            "description='x'\n[[tool]]\nname='t'\ndescription='d'\n[tool.parameters]\ntype='objekt'\n[[task]]\nname='a'\nask=['b']",
            "tool[0].parameters.type is not a JSON schema",
        ),
        (
            "description='x'\n[[tool]]\nname='t'\ndescription='d'\n[[task]]\nname='a'\nask=['b']",
            "tool[0].parameters is missing",
        ),
        ("description='x'\n[[task]]\nname='a'\nask=['b']\nexpect=['(']", "expect '(' is not a regular expression"),
        ("description='x'\n[[task]]\nname='a'\nask=['b']\ndocument='none.txt'", "document 'none.txt' cannot be read"),
        ("description = ", "is not valid TOML"),
    ],
)
def test_a_scenario_file_that_cannot_be_used_names_the_key(tmp_path: Path, toml: str, problem: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(toml)
    with pytest.raises(ConfigError, match=re.escape(problem)):
        load_scenarios([str(path)])


@pytest.mark.parametrize(("name", "problem"), [("short", "is not one of: short_qa"), ("no.toml", "cannot be read")])
def test_a_scenario_that_is_not_there_is_refused(name: str, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        load_scenarios([name])


# ---------------------------------------------------------------- the command


def test_a_bench_against_the_pacer_prints_rows_and_writes_every_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--llm", "sim/20:2000", "--llm", "sim/60:2000", "--scenario", "short_qa", "--rounds", 1]
    assert quickturn("bench", *arguments, "--json", "--out", tmp_path) == 0
    slow, fast = sorted(json.loads(capsys.readouterr().out)["rows"], key=lambda row: -row["ttft_ms"]["p50"])
    assert (slow["llm"], fast["llm"]) == ("sim/60:2000", "sim/20:2000")
    assert slow["ttft_ms"]["p50"] >= 60
    assert slow["usd_per_success"] is None
    raw = [json.loads(line) for line in (tmp_path / "bench.jsonl").read_text().splitlines()]
    assert len(raw) == slow["requests"] + fast["requests"] == 10
    page = (tmp_path / "bench.html").read_text()
    assert "sim/60:2000 (simulated)" in page
    assert "http" not in page.replace("http-equiv", "")


def test_where_every_request_fails_the_errors_are_shown_and_the_exit_code_is_1(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert quickturn("bench", "--llm", "sim/20:2000?fault=400", "--scenario", "short_qa", "--rounds", 1) == 1
    out = capsys.readouterr().out
    assert "100%" in out
    assert "5 rejected" in out


def test_a_bench_stops_before_it_would_pass_its_budget(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--llm", "sim/cerebras-llama3.1-8b", "--scenario", "short_qa", "--budget-usd", "0.00004", "--json"]
    assert quickturn("bench", *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert "budget" in document["stopped"]
    assert 0 < document["rows"][0]["cost_usd"] <= 0.00004


def test_ctrl_c_shows_what_was_measured(tmp_path: Path) -> None:
    arguments = ["bench", "--llm", "sim/20:2000", "--scenario", "short_qa", "--rounds", "500", "--out", str(tmp_path)]
    # A job in the background of a shell ignores Ctrl-C, and so would what it starts; here it is a terminal's.
    program = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from agent.cli import main; main()"
    )
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as bench:
        measured = tmp_path / "bench.jsonl"
        while not (measured.exists() and measured.read_text().count("\n") >= 5):
            assert bench.poll() is None
            time.sleep(0.05)
        bench.send_signal(signal.SIGINT)
        out, err = bench.communicate(timeout=40)
    assert bench.returncode == 1
    assert "stopped early: interrupted" in err
    assert "short_qa" in out
    assert (tmp_path / "bench.html").exists()


def test_a_budget_without_prices_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert quickturn("bench", "--llm", "sim/20:2000", "--budget-usd", "1") == 2
    assert "--budget-usd needs prices" in capsys.readouterr().err
