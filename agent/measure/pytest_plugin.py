"""A pytest fixture that holds an agent to its latency: it replays a recording and hands back the turn.

    def test_the_agent_answers_at_once(quickturn):
        turn = quickturn.replay("question.wav", llm="groq/llama-3.3-70b-versatile")
        assert turn.stages.llm_ttft_ms < 300

It costs nothing unless it is used: engines are loaded on the first replay, once for each configuration and LLM.
"""

from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import asyncio

    from agent.setup.engines import Engines
    from pipelines.stopwatch.record import TurnRecord


class Quickturn:
    """Replays recordings through the agent of a configuration."""

    def __init__(self, runner: "asyncio.Runner", config: Path | None) -> None:
        self._runner = runner
        self._config = config
        self._stack = AsyncExitStack()
        self._rigs: dict[tuple[Path | None, str], Engines] = {}

    def replay(
        self,
        recording: str | Path,
        *,
        llm: str | None = None,
        mode: str | None = None,
        config: str | Path | None = None,
    ) -> "TurnRecord":
        """Replay a recording in real time and return its only turn. Raises InputError, ServiceError; AssertionError for
        several.
        """
        turns = self.turns(recording, llm=llm, mode=mode, config=config)
        assert len(turns) == 1, f"{recording} holds {len(turns)} turns: use quickturn.turns"
        return turns[0]

    def turns(
        self,
        recording: str | Path,
        *,
        llm: str | None = None,
        mode: str | None = None,
        config: str | Path | None = None,
    ) -> "list[TurnRecord]":
        """Replay a recording in real time and return all its turns. Raises InputError and ServiceError."""
        path = Path(config) if config else self._config
        return self._runner.run(self._replayed(Path(recording), llm, mode, path))

    async def _replayed(self, path: Path, llm: str | None, mode: str | None, config: Path | None) -> "list[TurnRecord]":
        from agent.measure.recordings import load
        from agent.measure.replay import Replay
        from agent.measure.results import turn_records
        from agent.setup.config import load_config
        from agent.setup.engines import open_engines

        settings = load_config(config, {"agent": {"llm": llm, "mode": mode}})
        agent = settings.agent
        (recording,) = load([path])
        if (config, agent.llm) not in self._rigs:
            self._rigs[config, agent.llm] = await self._stack.enter_async_context(open_engines(settings, [agent.llm]))
        engines = self._rigs[config, agent.llm]
        replayed = await Replay(recording, engines.clock).run(engines.session_builder(agent.llm, agent.mode))
        return turn_records(replayed, engines, agent.llm, agent.mode)

    def close(self) -> None:
        """Close engines and connections."""
        self._runner.run(self._stack.aclose())


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that names the agent under test."""
    group = parser.getgroup("quickturn")
    group.addoption("--quickturn-config", type=Path, default=None, help="Configuration of the agent under test (TOML).")


@pytest.fixture(scope="session")
def quickturn(pytestconfig: pytest.Config) -> Iterator[Quickturn]:
    """Replays recordings through the agent; `quickturn.replay("question.wav", llm=…)` returns the turn."""
    import asyncio

    with asyncio.Runner() as runner:
        agent = Quickturn(runner, pytestconfig.getoption("--quickturn-config"))
        try:
            yield agent
        finally:
            agent.close()
