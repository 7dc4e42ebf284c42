"""The pacer in a process of its own, so that what is measured does not share an event loop with what is simulated.

`python -m agent.pacer.pacer_process` prints its base URL and serves until its standard input closes: when the parent
ends, in whatever way.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from agent.system.resources import shipped
from pipelines.errors import StageError
from pipelines.llm.catalogue import Endpoint
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.pacer.simulator import Pacer

_START_TIMEOUT_S = 20.0


@asynccontextmanager
async def pacer_process() -> AsyncIterator[str]:
    """Start it and yield its base URL. Raises StageError if it does not start."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "agent.pacer.pacer_process",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C is for the parent, which then lets it end
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_START_TIMEOUT_S):
            line = await process.stdout.readline()
        if not line:
            raise StageError(f"the pacer did not start: it ended with exit code {await process.wait()}")
        yield line.decode().strip()
    except TimeoutError:
        raise StageError(f"the pacer did not start within {_START_TIMEOUT_S:g} s") from None
    finally:
        process.stdin.close()
        await process.wait()


async def at_pacer(endpoints: Sequence[Endpoint], stack: AsyncExitStack) -> list[Endpoint]:
    """The endpoints with the simulated ones at a pacer, which is started if there is any and ends with the stack."""
    if not any(endpoint.simulated for endpoint in endpoints):
        return list(endpoints)
    base_url = await stack.enter_async_context(pacer_process())
    return [endpoint.at(base_url) if endpoint.simulated else endpoint for endpoint in endpoints]


async def _serve() -> None:
    catalogue = load_catalogue(shipped("configs") / "providers.toml")
    async with Pacer(catalogue.paces()) as pacer:
        print(pacer.base_url, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
