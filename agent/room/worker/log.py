"""What LiveKit's libraries log, made fit for people: tokens struck out, a lost connection told instead of logged."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from livekit import rtc
from livekit.rtc import _ffi_client

from agent.room.access import without_tokens

_LOST = "failed to connect to livekit, retrying"


class _WithoutTokens(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_tokens(record.getMessage()), ()
        return True


class _LostCalls(logging.Filter):
    def __init__(self, on_lost: Callable[[], None]) -> None:
        super().__init__()
        self._on_lost = on_lost

    def filter(self, record: logging.LogRecord) -> bool:
        if _LOST not in record.getMessage():
            return True
        self._on_lost()  # AgentServer has no event for it
        return False


@contextmanager
def connection_lost_calls(on_lost: Callable[[], None]) -> Iterator[None]:
    """Within the block, a worker's lost connection is not logged, but `on_lost` called for each attempt that failed."""
    logger, calls = logging.getLogger("livekit.agents"), _LostCalls(on_lost)
    logger.addFilter(calls)
    try:
        yield
    finally:
        logger.removeFilter(calls)


def quieten() -> None:
    """Let only the worker's own warnings through, unless everything is wanted (--verbose). Tokens never."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_WithoutTokens())
    if logging.getLogger().level > logging.INFO:
        # WebRTC's errors come back as exceptions, and are told there.
        logging.getLogger("livekit").setLevel(logging.CRITICAL)
        logging.getLogger("livekit.agents").setLevel(logging.WARNING)


def keep_native_log() -> None:
    """WebRTC's library calls Python for each line of its log, trace included: thousands while a room is entered, which
    stall all others, and a hundred a second from then on, all to be dropped there. It can be told not to, but livekit
    has no option for it.

    It starts that library, which crashes a process that ends while the first lines are on their way: call it once all
    that may go wrong at the start has gone right. With --verbose the log is wanted.
    """
    if logging.getLogger().level <= logging.INFO:
        return
    os.environ.setdefault("RUST_LOG", "off")  # it writes to stderr instead
    with suppress(AttributeError):  # another livekit: it is slower then, and nothing else
        library = _ffi_client.FfiClient.instance._ffi_lib
        library.livekit_ffi_initialize(_ffi_client.ffi_event_callback, False, b"python", rtc.__version__.encode())
