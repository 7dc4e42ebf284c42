"""What the commands share: their common options and how they read configuration, run, print and end.

Heavy imports happen inside functions, so that `--help` answers at once.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pipelines.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence

    from rich.console import Console

    from agent.measure.measurement import Measured, Measurement
    from agent.measure.recordings import Recording
    from agent.setup.config import Config
    from pipelines.modes import Mode
    from pipelines.stopwatch.record import Record

T = TypeVar("T")


def _go_offline(wanted: bool) -> bool:
    if wanted:  # the hub's own library goes by this variable too, and so do processes that we start
        os.environ["HF_HUB_OFFLINE"] = "1"
    return wanted


Wavs = Annotated[list[Path] | None, typer.Argument(help="WAV, FLAC, OGG or MP3 files; none: the shipped recordings.")]
Llm = Annotated[str | None, typer.Option(help="PROVIDER/MODEL, or sim/PROFILE, or sim/TTFT_MS:TOK_PER_S.")]
Llms = Annotated[list[str] | None, typer.Option("--llm", help="Once per LLM; the first is the baseline.")]
OfferedLlms = Annotated[
    list[str] | None,
    typer.Option("--llm", help="Once per LLM: the first answers, the others can be switched to."),
]
ModeName = Annotated[str | None, typer.Option(help="sequential, streaming or speculative.")]
Standby = Annotated[str | None, typer.Option(help="The LLM that takes over if --llm fails or is late.")]
Hedge = Annotated[str | None, typer.Option(help="When the standby is asked too: p95, off, or milliseconds.")]
Stt = Annotated[str | None, typer.Option(help="whisper:SIZE_OR_PATH.")]
Tts = Annotated[str | None, typer.Option(help="piper:VOICE_OR_PATH.")]
Offline = Annotated[
    bool, typer.Option("--offline", callback=_go_offline, help="Download no models; say what is missing instead.")
]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file over the shipped defaults.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")]
Trace = Annotated[Path | None, typer.Option(help="Write the trace (JSON Lines) to this file.")]
Out = Annotated[Path | None, typer.Option(help="Write WAVs, trace and report into this folder.")]
Lanes = Annotated[
    int | None, typer.Option(min=1, max=16, help="Replays that run at a time; default: one for every two cores.")
]
Repeat = Annotated[int, typer.Option(min=1, max=1000, help="How often each replay is run.")]
MaxMinutes = Annotated[float, typer.Option(min=0.1, help="Refuse longer files: a replay runs in real time.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")]


def run(work: "Coroutine[Any, Any, T]") -> "T":
    """Run a coroutine to completion."""
    import asyncio  # a fifth of what `--help` would otherwise take

    return asyncio.run(work)


def stderr() -> "Console":
    """The console for progress and notes, so that stdout holds results alone."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def stdout() -> "Console":
    """The console for results."""
    from rich.console import Console

    # A pipe has no width of its own; tables must not be cut to 80 there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


def read_config(
    path: Path | None,
    *,
    standby: str | None = None,
    hedge: str | None = None,
    sound: "Mapping[str, object] | None" = None,
    telemetry: "Mapping[str, object] | None" = None,
    room: "Mapping[str, object] | None" = None,
    **agent: str | None,
) -> "Config":
    """The configuration file with the command line over it: by section, and the rest are keys of `agent`.

    Raises InputError.
    """
    from agent.setup.config import load_config

    failover: dict[str, object] = {"standby": standby, "hedge": hedge}
    if hedge is not None and hedge.replace(".", "", 1).isdigit():
        failover |= {"hedge": "fixed", "hedge_ms": float(hedge)}
    config = load_config(
        path,
        {
            "agent": agent,
            "failover": failover,
            "sound": sound or {},
            "telemetry": telemetry or {},
            "room": room or {},
        },
    )
    if hedge is not None and not config.failover.standby:
        raise InputError(f"--hedge {hedge} needs an LLM to ask: give --standby PROVIDER/MODEL")
    return config


def offered_llms(config: "Config", llms: list[str] | None) -> list[str]:
    """What a live conversation can be switched to: those given, or some that need no key and sound different."""
    beside = (
        f"sim/{profile}"
        for profile in ("cerebras-llama3.1-8b", "cerebras-llama3.1-70b", "gpu-cloud-8b", "gpu-cloud-70b")
    )
    return list(dict.fromkeys(llms or [config.agent.llm, *beside]))


def turn_mode(name: str) -> "Mode":
    """The mode of that name. Raises InputError."""
    from pipelines.modes import Mode

    try:
        return Mode(name)
    except ValueError:
        raise InputError(f"mode {name!r} is not one of: {', '.join(Mode)}") from None


def chosen_recordings(wavs: list[Path] | None, max_minutes: float) -> "list[Recording]":
    """The files given, or the shipped recordings. Raises InputError."""
    from agent.measure.recordings import load, shipped

    return load(wavs, max_minutes) if wavs else shipped()


def recordings_named(names: "Sequence[str | None]", paths: list[Path] | None, how: str) -> "list[Recording]":
    """The recordings of a trace, among the files given or else the shipped ones. Raises InputError, which ends with
    `how` a missing one can be given.
    """
    from agent.measure.recordings import load, shipped

    known = {recording.name: recording for recording in (load(paths) if paths else shipped())}
    for name in names:
        if name not in known:
            among = "those given" if paths else "the shipped ones"
            raise InputError(f"recording {name!r} of the trace is not among {among}: {how}")
    return [known[name] for name in names if name is not None]


def have_models(config: "Config", llms: "Sequence[str]") -> None:
    """Download the speech models that are missing. Raises InputError, DownloadError.

    Call it before there is an event loop, so that Ctrl-C ends a download at once. Names are checked first.
    """
    from agent.models.fetch import fetch_needed
    from agent.models.load import model_name
    from agent.setup.engines import read_catalogue

    catalogue = read_catalogue(config)
    for llm in llms:
        catalogue.resolve(llm).api_key()
    models = {"stt": config.agent.stt, "tts": config.agent.tts}
    if config.agent.turn_detector:
        models["turn detector"] = config.agent.turn_detector
    for role, spec in models.items():
        model_name(role, spec)
    fetch_needed(models.values(), stderr())


def run_measurement(measurement: "Measurement", console: "Console") -> "Measured":
    """Run a measurement with its progress on `console`."""
    from agent.measure.measurement import measure
    from agent.system.folder import make_folder

    if measurement.out:
        make_folder(measurement.out)  # refused before a download
    have_models(measurement.config, measurement.llms)
    return run(measure(measurement, console))


def print_record(record: "Record") -> None:
    """One JSON document on stdout."""
    import json

    print(json.dumps(record.model_dump(mode="json"), ensure_ascii=False))


def print_lines(measured: "Measured") -> None:
    """Print what a run comes to, in lines."""
    from agent.report.terminal import failure_lines, summary_lines

    plain = stdout()
    for line in [*summary_lines(measured.summary, cells=len(measured.rows)), *failure_lines(measured.turns)]:
        plain.print(line, markup=False)


def print_summary(measured: "Measured", recordings: "list[Recording]") -> None:
    """Print the same, with what the user should know about the recordings and where the report is."""
    print_lines(measured)
    plain = stdout()
    if any(not recording.labelled for recording in recordings):
        plain.print("some files have no labels: their end of speech is estimated from energy and voice activity")
    if measured.report:
        plain.print(f"report  {measured.report}", markup=False)


def exit_code(measured: "Measured") -> int:
    """1 if a turn failed."""
    return 1 if measured.summary.outcomes.get("failed") else 0
