"""What the client itself adds: `pytest -m bench -s tests/pipelines/llm/test_chat_overhead.py`."""

import asyncio
import statistics
from contextlib import aclosing

import pytest

from pipelines.events import ChatMessage, TextDelta
from pipelines.llm.catalogue import Endpoint, Model
from pipelines.llm.chat import ChatCompletions
from pipelines.pacer.simulator import Pacer

TTFT_MS = 50
ASKED = [ChatMessage("system", "You are a voice agent. " * 20), ChatMessage("user", "Tell me a joke.")]


async def _overheads_ms(requests: int) -> list[float]:
    """TTFT as the listener sees it, less the pacer's: both on this machine and this event loop."""
    loop = asyncio.get_running_loop()
    overheads = []
    async with Pacer({}) as pacer:
        llm = ChatCompletions(Endpoint("sim", "sim", pacer.base_url, None, Model(f"{TTFT_MS}:1800")))
        await llm.warm_up()
        for _ in range(requests):
            sent = loop.time()
            first = None
            async with aclosing(llm.stream(ASKED)) as events:
                async for event in events:
                    if first is None and isinstance(event, TextDelta):
                        first = loop.time()
            assert first is not None
            overheads.append((first - sent) * 1000 - TTFT_MS)
        await llm.aclose()
    return sorted(overheads)


@pytest.mark.bench
def test_the_client_adds_a_few_milliseconds_to_the_first_token() -> None:
    overheads = asyncio.run(_overheads_ms(100))
    p50, p95 = statistics.median(overheads), overheads[94]
    print(f"\nclient overhead on TTFT, loopback, n=100: p50 {p50:.1f} ms, p95 {p95:.1f} ms, max {overheads[-1]:.1f} ms")
    assert 0 < p50 < 4
