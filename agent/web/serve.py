"""`quickturn web`: the engines are opened, the page is served until Ctrl-C."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from agent.runtime import open_runtime
from agent.setup.config import Config
from agent.system.folder import make_folder
from agent.system.signals import until_told_to_stop
from agent.web.access_policy import AccessPolicy, is_loopback
from agent.web.server import Server, listening
from agent.web.web_session import PageOptions

_SLIDER_TTFT_MS = 120
_SLOWEST, _FASTEST, _STEPS = 20, 2_000, 40


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What is asked for: the first of `llms` answers until the page says otherwise."""

    config: Config
    llms: Sequence[str]
    access: AccessPolicy
    port: int
    sessions: int
    trace: Path | None = None
    record: Path | None = None


def slider_speeds() -> list[str]:
    """What the slider chooses among: from slow to fast in equal ratios, to two digits."""
    rates = (_SLOWEST * (_FASTEST / _SLOWEST) ** (step / _STEPS) for step in range(_STEPS + 1))
    return list(dict.fromkeys(f"sim/{_SLIDER_TTFT_MS}:{float(f'{rate:.2g}'):g}" for rate in rates))


async def serve(wanted: WebOptions, console: Console) -> None:
    """Serve until told to stop. Raises InputError, and ServiceError if a model cannot be reached."""
    wanted.access.check_setting()
    if wanted.record is not None:
        make_folder(wanted.record, "--record")  # refused now, and not when the first page comes
    async with open_runtime(wanted.config, wanted.llms, wanted.trace) as runtime:
        for note in runtime.notes:
            console.print(note, style="dim", markup=False)
        offer = PageOptions(wanted.llms, slider_speeds(), wanted.llms[0], wanted.config.agent.mode)
        server = Server(runtime.engines, offer, wanted.access, wanted.sessions, runtime.sinks, wanted.record)
        async with listening(server.app(), wanted.access.host, wanted.port) as port:
            _introduce(wanted.access, port, console)
            await until_told_to_stop()


def _introduce(access: AccessPolicy, port: int, console: Console) -> None:
    def say(text: str) -> None:
        # Unwrapped: a terminal's width must not break an address that is meant to be copied.
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    host = f"[{access.host}]" if ":" in access.host else access.host
    say(f"Talk at http://{host}:{port}/{'?token=...  (your token)' if access.token else ''}")
    if not is_loopback(access.host):
        say(
            "Browsers give a page the microphone only over TLS or on this machine: put a proxy with a certificate "
            "before it, or use an SSH tunnel (ssh -L). Anybody with the token can talk to it, at your cost."
        )
    say("Ctrl-C stops it.")
