"""What showing a live conversation costs: `python -m tests.bench.live_cpu`.

CPU of `talk` on the virtual sound card into a pipe and on a terminal, and of `web` with no page, one and two, all of
them listening to silence; as shares of one core.
"""

import asyncio
import os
import pty
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from threading import Thread

import aiohttp

from tests.live.virtual_card import Room, missing, virtual_card

SETTLE_S, MEASURE_S = 8, 15
QUICKTURN = [sys.executable, "-c", "from agent.cli import main; main()"]


def cpu_s(pid: int) -> float:
    """Process time of a process so far, by /proc."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(pid: int) -> float:
    """The share of one core over the measured time."""
    before = cpu_s(pid)
    time.sleep(MEASURE_S)
    return (cpu_s(pid) - before) / MEASURE_S


def talk(room: Room, *, on_a_terminal: bool) -> float:
    """The share of `talk`."""
    command = [*QUICKTURN, "talk", "--seconds", str(SETTLE_S + MEASURE_S + 2)]
    ours, theirs = pty.openpty()
    out = theirs if on_a_terminal else subprocess.DEVNULL
    environment = {**room.environment, "TERM": "xterm", "COLUMNS": "80", "LINES": "30"}
    with subprocess.Popen(command, env=environment, stdout=out, stderr=subprocess.DEVNULL) as process:
        os.close(theirs)
        if on_a_terminal:
            Thread(target=_read, args=(ours,), daemon=True).start()
        time.sleep(SETTLE_S)
        return share(process.pid)


def _read(terminal: int) -> None:
    try:
        while os.read(terminal, 65_536):
            pass
    except OSError:  # the other end is closed
        return


def web(pages: int) -> float:
    """The share of `web` with so many pages that send silence."""
    port = 18_765
    command = [*QUICKTURN, "web", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            time.sleep(SETTLE_S)
            return asyncio.run(_with_pages(process.pid, port, pages))
        finally:
            process.terminate()


async def _with_pages(pid: int, port: int, pages: int) -> float:
    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as tasks:
        senders = [tasks.create_task(_silence(client, port)) for _ in range(pages)]
        await asyncio.sleep(2)
        found = await asyncio.to_thread(share, pid)
        for sender in senders:
            sender.cancel()
    return found


async def _silence(client: aiohttp.ClientSession, port: int) -> None:
    """A page that listens and sends silence in real time."""
    origin = f"http://127.0.0.1:{port}"
    async with client.ws_connect(f"{origin}/ws", origin=origin) as socket:
        reader = asyncio.create_task(_take(socket))
        due_s = time.monotonic()
        try:
            while not socket.closed:
                await socket.send_bytes(bytes(1_024))
                due_s += 512 / 16_000
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        finally:
            reader.cancel()


async def _take(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for message in socket:
        if message.type == aiohttp.WSMsgType.TEXT and message.json()["type"] == "ping":
            number = message.json()["number"]
            await socket.send_json({"type": "pong", "number": number, "at_ms": time.monotonic() * 1_000})


def main() -> None:
    """Measure and print."""
    if missing():
        print(f"talk: not measured, {missing()}")
    else:
        with tempfile.TemporaryDirectory() as folder, virtual_card(Path(folder, "card")) as card:
            print(f"talk into a pipe: {talk(card.room, on_a_terminal=False):.1%} of one core")
            print(f"talk on a terminal: {talk(card.room, on_a_terminal=True):.1%}")
    for pages in (0, 1, 2):
        print(f"web, {pages} pages: {web(pages):.1%}")


if __name__ == "__main__":
    main()
