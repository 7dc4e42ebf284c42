"""Turns whose provider misbehaves, over real HTTP: the session says its apology and goes on."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from agent.measure.replay import Replay, Replayed
from agent.system.resources import shipped
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.llm.chat import ChatCompletions, ChatSettings
from pipelines.modes import Outcome
from pipelines.pacer.simulator import Pacer
from tests.scripted import Stages, dialogue, ms, now, voice
from tests.virtual_time import run_on_loopback

SETTINGS = ChatSettings(first_token_timeout_s=0.5, stall_timeout_s=0.3)
TWO_TURNS = dialogue(("What time is it?", voice(400), None), ("What time is it?", voice(400), None))

FAULTS = {
    "fault=401": "401",
    "fault=403": "403",
    "fault=404": "404",
    "fault=429&seconds=7": "429",
    "fault=500": "500",
    "fault=html": "text/html",
    "fault=half-chunk&after=3": "",
    "fault=malformed&after=3": "",
    "fault=cut&after=3": "",
    "fault=stall&seconds=10": "0.5 s",
    "fault=stall-mid&after=3&seconds=10": "0.3 s",
}


async def converse_with(models: Sequence[str]) -> list[tuple[Replayed, Stages]]:
    """A conversation of two turns with each simulated model, all at once."""
    catalogue = load_catalogue(shipped("configs") / "providers.toml")

    async def one(model: str, base_url: str) -> tuple[Replayed, Stages]:
        chat = ChatCompletions(catalogue.resolve(f"sim/{model}").at(base_url), SETTINGS)
        stages = Stages(llm=chat)  # type: ignore[arg-type]  # the real client in the scripted one's place
        try:
            return await Replay(TWO_TURNS, now, ms(10)).run(stages.build), stages
        finally:
            await chat.aclose()

    async with Pacer(catalogue.paces()) as pacer:
        return await asyncio.gather(*(one(model, pacer.base_url) for model in models))


@pytest.fixture(scope="module")
def conversations() -> dict[str, tuple[Replayed, Stages]]:
    replayed = run_on_loopback(converse_with([f"20:500?{fault}" for fault in FAULTS]))
    return dict(zip(FAULTS, replayed, strict=True))


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_fails_its_turn_with_a_line_that_names_provider_and_fault(
    fault: str, conversations: dict[str, tuple[Replayed, Stages]]
) -> None:
    replayed, stages = conversations[fault]
    for turn in replayed.turns:
        finished: Any = turn.finished
        assert finished.outcome is Outcome.FAILED
        assert "sim/20:500" in str(finished.error)
        assert FAULTS[fault] in str(finished.error)
        assert "\n" not in str(finished.error)
    assert stages.tts.said.count("Sorry.") >= 2


@pytest.mark.parametrize("fault", FAULTS)
def test_the_conversation_goes_on_after_a_fault(fault: str, conversations: dict[str, tuple[Replayed, Stages]]) -> None:
    replayed, _ = conversations[fault]
    assert len(replayed.turns) == 2


def test_a_provider_that_dies_in_the_middle_of_a_turn_fails_that_turn_only() -> None:
    async def main() -> Replayed:
        catalogue = load_catalogue(shipped("configs") / "providers.toml")
        async with Pacer(catalogue.paces()) as first:
            port = int(first.base_url.rsplit(":", 1)[1].split("/")[0])
            chat = ChatCompletions(catalogue.resolve("sim/20:30").at(first.base_url), SETTINGS)
            stages = Stages(llm=chat)  # type: ignore[arg-type]
            replaying = asyncio.create_task(Replay(TWO_TURNS, now, ms(10)).run(stages.build))
            while not first.requests or not first.requests[0].tokens_sent:  # noqa: ASYNC110 - the server has no event for it
                await asyncio.sleep(0.01)
        async with Pacer(catalogue.paces(), port=port):
            replayed = await replaying
        await chat.aclose()
        return replayed

    first, second = run_on_loopback(main()).turns
    assert first.finished.outcome is Outcome.FAILED
    assert second.finished.outcome is Outcome.COMPLETED
