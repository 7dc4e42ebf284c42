"""The order of the requests: warm-up, then every task alone with the models interleaved, then the mixes at once.

It stops before a task that would pass the budget, and keeps what was measured when it is interrupted. It computes no
statistic.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from agent.bench.scenarios import Scenario, Task
from agent.bench.task import Attempt, Connected, run_task
from agent.pacer.pacer_process import at_pacer
from pipelines.errors import InputError, LLMError
from pipelines.events import ChatMessage, Usage
from pipelines.llm.catalogue import Catalogue, Endpoint, Model
from pipelines.llm.chat import ChatCompletions, ChatSettings
from pipelines.llm.history import estimate_tokens


@dataclass(frozen=True, slots=True)
class Plan:
    """What is benched. `rounds` is how often each task and each mix is run; no `budget_usd`: no bound."""

    llms: tuple[str, ...]
    scenarios: tuple[Scenario, ...]
    rounds: int
    concurrency: int
    budget_usd: float | None
    raw: Path | None

    def tasks(self, scenario: Scenario) -> list[tuple[Scenario, Task]]:
        """The tasks of a scenario; those of a mix are those of its parts, taken in turn."""
        if not scenario.mix:
            return [(scenario, task) for task in scenario.tasks]
        parts = [part for part in self.scenarios if part.name in scenario.mix]
        return [(part, task) for part in parts for task in part.tasks]

    def steps(self) -> int:
        """How many tasks will be run, warm-up apart."""
        return self.rounds * len(self.llms) * sum(len(self.tasks(scenario)) for scenario in self.scenarios)


@dataclass(slots=True)
class PlanOutcome:
    """What came of a plan: all attempts, the tasks by (llm, scenario, loaded) with how many succeeded, and why it
    stopped early, None if it did not.
    """

    attempts: list[Attempt] = field(default_factory=list)
    tasks: dict[tuple[str, str, bool], list[bool]] = field(default_factory=dict)
    stopped: str | None = None
    warm_up_errors: list[str] = field(default_factory=list)

    @property
    def spent_usd(self) -> float:
        """The known part of the cost."""
        return sum(attempt.cost_usd or 0.0 for attempt in self.attempts)


class _OverBudgetError(Exception):
    """The next task would pass the budget."""


async def run_plan(
    plan: Plan, catalogue: Catalogue, settings: ChatSettings, advance: Callable[[str], None]
) -> PlanOutcome:
    """Run it. Raises InputError for a model that cannot be asked, or a budget that cannot be kept."""
    endpoints = [catalogue.resolve(name) for name in plan.llms]
    for endpoint in endpoints:
        endpoint.api_key()
        if plan.budget_usd is not None and endpoint.model.cost_usd(Usage(1, 1)) is None:
            raise InputError(
                f"--budget-usd needs prices, and none is known for {endpoint.name}: add them to a provider file"
            )
    outcome = PlanOutcome()
    async with _connected(endpoints, plan, settings) as models:
        run = _Run(plan, models, outcome, advance)
        with _raw_file(plan.raw) as write:
            run.write = write
            try:
                await run.everything()
            except _OverBudgetError:
                outcome.stopped = f"the next task might pass the budget of ${plan.budget_usd:g}"
            except asyncio.CancelledError:
                outcome.stopped = "interrupted"
    return outcome


class _Run:
    """A plan being run."""

    def __init__(
        self,
        plan: Plan,
        models: dict[tuple[str, str], Connected],
        outcome: PlanOutcome,
        advance: Callable[[str], None],
    ) -> None:
        self._plan = plan
        self._models = models
        self._outcome = outcome
        self._advance = advance
        self._clock = asyncio.get_running_loop().time
        self.write: Callable[[Attempt], None] = lambda attempt: None

    async def everything(self) -> None:
        """Warm up, then all scenarios alone, then the mixes."""
        plan = self._plan
        await self._warm_up()
        for _ in range(plan.rounds):
            for scenario, task in [pair for s in plan.scenarios if not s.mix for pair in plan.tasks(s)]:
                for llm in plan.llms:  # interleaved, so that a drift affects all alike
                    await self._one(llm, scenario, task, loaded=False)
        for mix in [scenario for scenario in plan.scenarios if scenario.mix]:
            for _ in range(plan.rounds):
                for llm in plan.llms:
                    await self._all_at_once(llm, mix)

    async def _warm_up(self) -> None:
        """Connections and one task each, which are not measured; a model that fails here is still asked."""
        for (llm, _), connected in self._models.items():
            try:
                await connected.chat.warm_up()
            except LLMError as error:
                self._outcome.warm_up_errors.append(str(error))
                self._advance(f"{llm} did not answer")
        for scenario in self._plan.scenarios:
            for llm in self._plan.llms:
                if scenario.tasks:
                    first = replace(scenario.tasks[0], ask=scenario.tasks[0].ask[:1])
                    self._keep_budget(llm, scenario, first)
                    await run_task(
                        self._models[llm, scenario.name], scenario, first, self._clock, lambda _: None, loaded=False
                    )

    async def _all_at_once(self, llm: str, mix: Scenario) -> None:
        room = asyncio.Semaphore(self._plan.concurrency)

        async def in_turn(scenario: Scenario, task: Task) -> None:
            async with room:
                await self._one(llm, scenario, task, loaded=True)

        try:
            async with asyncio.TaskGroup() as tasks:
                for scenario, task in self._plan.tasks(mix):
                    tasks.create_task(in_turn(scenario, task), name=f"{llm} {task.name}")
        except BaseExceptionGroup as group:
            raise group.exceptions[0] from None

    async def _one(self, llm: str, scenario: Scenario, task: Task, *, loaded: bool) -> None:
        self._keep_budget(llm, scenario, task)

        def note(attempt: Attempt) -> None:
            self._outcome.attempts.append(attempt)
            self.write(attempt)

        succeeded = await run_task(self._models[llm, scenario.name], scenario, task, self._clock, note, loaded=loaded)
        self._outcome.tasks.setdefault((llm, scenario.name, loaded), []).append(succeeded)
        self._advance(f"{llm}, {scenario.name}{' under load' if loaded else ''}")

    def _keep_budget(self, llm: str, scenario: Scenario, task: Task) -> None:
        if self._plan.budget_usd is None:
            return
        most = _most_usd(self._models[llm, scenario.name].model, scenario, task)
        if self._outcome.spent_usd + most > self._plan.budget_usd:
            raise _OverBudgetError


def _most_usd(model: Model, scenario: Scenario, task: Task) -> float:
    """What a task may cost at most: every answer as long as it may be, and all of them in the next prompt."""
    cost, prompt = 0.0, estimate_tokens(ChatMessage("system", scenario.system))
    for words in task.ask:
        prompt += estimate_tokens(ChatMessage("user", words))
        cost += model.cost_usd(Usage(prompt, scenario.max_tokens)) or 0.0
        prompt += scenario.max_tokens
    return cost


@asynccontextmanager
async def _connected(
    endpoints: Sequence[Endpoint], plan: Plan, settings: ChatSettings
) -> AsyncIterator[dict[tuple[str, str], Connected]]:
    """A client for each model and scenario, since scenarios differ in how long an answer may be."""
    async with AsyncExitStack() as stack:
        models = {}
        for at in await at_pacer(endpoints, stack):
            for scenario in plan.scenarios:
                if scenario.mix:
                    continue
                warm = max(settings.warm_connections, plan.concurrency) if len(plan.scenarios) > 1 else 1
                chat = ChatCompletions(at, replace(settings, max_tokens=scenario.max_tokens, warm_connections=warm))
                stack.push_async_callback(chat.aclose)
                models[at.name, scenario.name] = Connected(at.name, chat, at.model, at.simulated)
        yield models


@contextmanager
def _raw_file(path: Path | None) -> Iterator[Callable[[Attempt], None]]:
    """Writes each attempt as a line at once; does nothing without a path. Raises InputError."""
    if path is None:
        yield lambda attempt: None
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} cannot be written: {error.strerror}") from None
    with file:

        def write(attempt: Attempt) -> None:
            file.write(json.dumps(attempt.document(), ensure_ascii=False) + "\n")
            file.flush()

        yield write
