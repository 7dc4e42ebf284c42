"""`quickturn doctor`: what is installed, reachable and missing, each with its exact fix. It changes nothing."""

import asyncio
import json
import os
import platform
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from enum import StrEnum

from rich.console import Console
from rich.markup import escape

from agent.models import fetch
from agent.models.names import check_name
from agent.models.store import folder_of, origin_of
from agent.setup.config import Config
from agent.setup.engines import read_catalogue
from agent.sound.capture import Capture
from agent.sound.devices import Device, devices, find, rate_of
from agent.sound.echo import SoundSettings
from pipelines.audio import level_dbfs
from pipelines.errors import InputError, QuickturnError
from pipelines.llm.catalogue import Catalogue, Endpoint
from pipelines.llm.chat import ChatCompletions


class State(StrEnum):
    """How a check came out; only `broken` keeps the demo from running."""

    OK = "ok"
    NOTE = "note"
    BROKEN = "broken"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at. `fix` is what to do about it, empty if nothing need be done."""

    name: str
    state: State
    found: str
    fix: str = ""


async def examine(config: Config, llms: list[str]) -> list[Check]:
    """Look at the machine, the engines, the devices and the providers; with `llms`, ask those what they serve.

    Raises InputError for an unknown provider.
    """
    catalogue = read_catalogue(config)
    endpoints = [catalogue.resolve(name) for name in llms]
    checks = [_machine(), *_models(config), *await _engines(config), *await _sound(config.sound), *_keys(catalogue)]
    for endpoint in endpoints:
        checks += [check async for check in _provider(endpoint, catalogue)]
    return checks


def show(checks: list[Check], *, as_json: bool) -> int:
    """Print the checks; the exit code is 1 if something is broken."""
    if as_json:
        print(json.dumps({"checks": [asdict(check) for check in checks]}))
    else:
        console = Console(highlight=False, soft_wrap=True)
        colours = {State.OK: "green", State.NOTE: "yellow", State.BROKEN: "red"}
        for check in checks:
            name, found = escape(check.name), escape(check.found)
            console.print(f"[{colours[check.state]}]{check.state:6}[/] [bold]{name}[/]: {found}")
            if check.fix:
                console.print(f"       -> {check.fix}", markup=False)
    return int(any(check.state is State.BROKEN for check in checks))


def _machine() -> Check:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    found = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}, {cores} cores"
    if cores < 2:
        return Check("machine", State.NOTE, found, "two cores or more keep speech recognition from delaying the answer")
    return Check("machine", State.OK, found)


def _models(config: Config) -> list[Check]:
    """Each speech model of the default set and of the configuration, with its hashes; none is downloaded."""
    configured = [config.agent.stt, config.agent.tts, config.agent.turn_detector]
    return [_model(spec) for spec in dict.fromkeys([*configured, *fetch.default_set()]) if spec]


def _model(spec: str) -> Check:
    try:
        if fetch.is_local(spec):
            return Check(spec, State.OK, "a local path, whose origin and hash are not known here")
        check_name(spec)
    except InputError as error:
        return Check(spec, State.BROKEN, str(error), "name another in the configuration")
    fault, origin = fetch.fault(spec, hashes=True), origin_of(spec)
    if origin is None:
        return Check(spec, State.NOTE, "not here yet", f"quickturn fetch {spec} (the first use does it too)")
    where = f"{folder_of(spec)}; from {origin.source}; licence {origin.licence}"
    if fault is not None:
        return Check(spec, State.BROKEN, f"{where}; {fault}", f"quickturn fetch {spec}")
    size = fetch.megabytes(sum(file.size_bytes for file in origin.files))
    return Check(spec, State.OK, f"{where}; {size}, hashes hold")


async def _engines(config: Config) -> list[Check]:
    """Load the configured engines and let the voice say a word: the only proof that they work."""
    from agent.models.load import load_stt, load_tts

    async def stt() -> str:
        return (await asyncio.to_thread(load_stt, config.agent.stt)).name

    async def tts() -> str:
        engine = await asyncio.to_thread(load_tts, config.agent.tts)
        async with aclosing(engine.synthesize("Ready.")) as pieces:
            samples = sum([len(pcm) async for pcm in pieces])
        return f"{engine.name}, {engine.how}; spoke {samples / engine.sample_rate_hz:.1f} s"

    checks = []
    for name, spec, load in (
        ("speech to text", config.agent.stt, stt),
        ("text to speech", config.agent.tts, tts),
    ):
        try:
            if not fetch.is_local(spec) and fetch.fault(spec) is not None:
                continue  # `_models` has said so, and loading would download it
            checks.append(Check(name, State.OK, await load()))
        except QuickturnError as error:
            checks.append(Check(name, State.BROKEN, str(error), "quickturn fetch, or name another model"))
    return checks


async def _sound(settings: SoundSettings) -> list[Check]:
    """Microphones and speakers with their rates, and half a second of what the chosen microphone hears."""
    only = "only for talking to it; recordings need none"
    try:
        known = devices()
    except InputError as error:  # the wheel brings PortAudio for macOS and Windows only
        return [Check("sound card", State.NOTE, "PortAudio is not installed", f"{only}. {error}")]
    checks = []
    for kind, what, name in (("input", "microphone", settings.input), ("output", "speaker", settings.output)):
        listed = [device for device in known if (device.inputs if kind == "input" else device.outputs)]
        try:
            chosen = find(kind, name)
            rate_hz = rate_of(kind, chosen)
        except InputError as error:
            checks.append(Check(what, State.NOTE, ", ".join(d.name for d in listed) or "none", f"{only}. {error}"))
            continue
        others = ", ".join(f"{d.name} ({d.rate_hz:,} Hz)" for d in listed)
        level = f"; {await _level(chosen, rate_hz)}" if kind == "input" else ""
        checks.append(Check(what, State.OK, f"{chosen.name} at {rate_hz:,} Hz{level}; there are: {others}"))
    return checks


async def _level(device: Device, rate_hz: int) -> str:
    """What the microphone hears right now, as a meter of 60 dB."""
    capture = Capture(device, rate_hz, asyncio.get_running_loop().time)
    try:
        pcm = await capture.block(rate_hz // 2, timeout_s=2.0)
    finally:
        capture.close()
    if pcm is None:
        return "delivers nothing: muted, or in use by another program?"
    level = level_dbfs(pcm)
    lit = round(12 * max(0.0, min(1.0, 1 + level / 60)))
    return f"hears {'█' * lit}{'░' * (12 - lit)} {level:.0f} dBFS" if level > -100 else "hears digital silence: muted?"


def _keys(catalogue: Catalogue) -> list[Check]:
    """Which providers have their key in the environment; the keys themselves are not looked at."""
    wanted = {p.name: p.api_key_env for p in catalogue.providers.values() if p.api_key_env}
    have = [name for name, variable in wanted.items() if os.environ.get(variable)]
    lack = [variable for name, variable in wanted.items() if name not in have]
    found = f"keys for: {', '.join(have) or 'none'}"
    fix = f"optional; to use one, set its variable: {', '.join(lack)}" if lack else ""
    return [Check("LLM providers", State.OK if have else State.NOTE, found, fix)]


async def _provider(endpoint: Endpoint, catalogue: Catalogue) -> AsyncIterator[Check]:
    """Ask a provider what it serves, and name the configured ids that it no longer does."""
    if endpoint.simulated:
        yield Check(endpoint.name, State.OK, "simulated: the pacer runs inside each command")
        return
    try:
        chat = ChatCompletions(endpoint)
        try:
            served = await chat.list_models()
        finally:
            await chat.aclose()
    except QuickturnError as error:
        yield Check(endpoint.name, State.BROKEN, str(error), "see the message; other providers may work")
        return
    configured = [m.id for m in catalogue.providers[endpoint.provider].models if not m.retired]
    gone = [model_id for model_id in dict.fromkeys([endpoint.model.id, *configured]) if model_id not in served]
    found = f"reachable, serves {len(served)} models"
    if not gone:
        yield Check(endpoint.name, State.OK, found)
        return
    state = State.BROKEN if endpoint.model.id in gone else State.NOTE
    fix = f"no longer served: {', '.join(gone)}; served: {', '.join(sorted(served)[:12])}"
    yield Check(endpoint.name, state, found, fix)
