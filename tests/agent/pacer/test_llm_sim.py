import asyncio
import io
import os
import signal

import pytest
from rich.console import Console

from agent.pacer.llm_sim import serve
from pipelines.errors import InputError
from pipelines.pacer.simulator import Pacer
from tests.virtual_time import run_on_loopback


def test_it_says_how_to_use_it_and_ends_cleanly_when_told() -> None:
    printed = io.StringIO()

    async def run() -> None:
        serving = asyncio.create_task(serve(port=0, console=Console(file=printed, width=60)))
        while "Ctrl-C" not in printed.getvalue():  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)
        await serving

    run_on_loopback(run())
    text = printed.getvalue()
    assert "Simulated Chat Completions at http://127.0.0.1:" in text
    assert "cerebras-llama3.1-8b" in text
    assert "curl -N http://127.0.0.1:" in text
    assert "0 requests served" in text


def test_a_taken_port_is_told_before_anything_is_printed() -> None:
    printed = io.StringIO()

    async def run() -> None:
        async with Pacer({}) as first:
            port = int(first.base_url.rpartition(":")[2].removesuffix("/v1"))
            with pytest.raises(InputError, match="in use"):
                await serve(port=port, console=Console(file=printed))

    run_on_loopback(run())
    assert printed.getvalue() == ""
