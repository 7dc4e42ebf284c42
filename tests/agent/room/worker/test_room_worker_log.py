"""What is logged of a worker."""

import logging
import subprocess
import sys

import pytest

from agent.room.worker.log import connection_lost_calls


def test_a_lost_connection_is_told_and_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    calls: list[int] = []
    logger = logging.getLogger("livekit.agents")
    with connection_lost_calls(lambda: calls.append(1)):
        logger.warning("failed to connect to livekit, retrying in 2s")
        logger.warning("something else")
    logger.warning("failed to connect to livekit, retrying in 4s")
    assert calls == [1]
    assert [record.getMessage() for record in caplog.records] == [
        "something else",
        "failed to connect to livekit, retrying in 4s",
    ]


_COUNT = """
import asyncio, logging, time
from unittest.mock import patch
from livekit import rtc
from agent.room.worker.log import keep_native_log

async def knock():
    with patch("livekit.rtc._ffi_client.to_python_level", side_effect=lambda level: told.append(level)):
        try:
            await rtc.Room().connect("ws://127.0.0.1:1", "token", rtc.RoomOptions(connect_timeout=1.0))
        except rtc.ConnectError:
            pass
        await asyncio.sleep(0.2)

told = []
if {quiet}:
    keep_native_log()
    time.sleep(1)  # the first lines, which were on their way
asyncio.run(knock())
print(len(told))
"""


@pytest.mark.parametrize("quiet", [True, False])
def test_webrtcs_own_log_wakes_no_python_unless_it_is_wanted(quiet: bool) -> None:
    """Each in a process of its own: what it logs is set once for all."""
    knocked = subprocess.run(
        [sys.executable, "-c", _COUNT.format(quiet=quiet)], capture_output=True, text=True, check=True
    )
    assert (int(knocked.stdout) == 0) is quiet
    assert knocked.stderr == ""
