"""`compare`: the same recordings under several LLMs, and against a recorded run."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.shared import (
    ConfigFile,
    Hedge,
    Json,
    Lanes,
    Llms,
    MaxMinutes,
    Offline,
    Out,
    Repeat,
    Standby,
    Stt,
    Trace,
    Tts,
    Wavs,
    chosen_recordings,
    exit_code,
    print_record,
    print_summary,
    read_config,
    recordings_named,
    run_measurement,
    stderr,
    stdout,
    turn_mode,
)
from pipelines.errors import InputError

if TYPE_CHECKING:
    from agent.measure.measurement import Measured
    from agent.measure.recordings import Recording
    from agent.setup.config import Config
    from agent.trace.reader import Trace as Recorded
    from pipelines.modes import Mode
    from pipelines.stopwatch.document import RunRecord
    from pipelines.stopwatch.gate import Judged, Limit


def compare(
    wavs: Wavs = None,
    llm: Llms = None,
    mode: Annotated[list[str] | None, typer.Option(help="Once per mode; default: the configured one.")] = None,
    standby: Standby = None,
    hedge: Hedge = None,
    stt: Stt = None,
    tts: Tts = None,
    baseline: Annotated[
        Path | None, typer.Option(help="A trace to compare with; its recordings, LLMs and modes are the default.")
    ] = None,
    fail_if: Annotated[
        list[str] | None, typer.Option(help="Exit 1 if worse than the baseline: 'p95>+10%'; may be given again.")
    ] = None,
    repeat: Repeat = 1,
    lanes: Lanes = None,
    json: Json = False,
    out: Out = None,
    trace: Trace = None,
    config: ConfigFile = None,
    max_minutes: MaxMinutes = 30.0,
    offline: Offline = False,
) -> None:
    """The same turns under several LLMs: the difference by stage, with confidence intervals."""
    from agent.measure.measurement import Measurement
    from pipelines.stopwatch.gate import LimitVerdict

    settings = read_config(config, standby=standby, hedge=hedge, stt=stt, tts=tts)
    recorded, limits = _gate(baseline, fail_if)
    llms, modes = _cells(recorded, llm, mode, settings)
    recordings = _recordings(recorded, wavs, max_minutes)
    wanted = Measurement(settings, recordings, llms, modes, "Comparison", lanes, repeat, out, trace)
    measured = run_measurement(wanted, stderr())
    judged = _judged(measured, recorded, limits)
    if json:
        print_record(_gated(measured.record(), judged) if recorded else measured.record())
    else:
        _print(measured, recordings, judged)
    broken = any(outcome.verdict is LimitVerdict.BROKEN for outcome in judged)
    raise typer.Exit(1 if broken else exit_code(measured))


def _cells(
    recorded: "Recorded | None", llms: list[str] | None, modes: list[str] | None, settings: "Config"
) -> "tuple[list[str], list[Mode]]":
    """The LLMs and modes that were asked for, else those of the baseline. Raises InputError without an LLM."""
    turns = recorded.turns if recorded else []
    llms = llms or list(dict.fromkeys(turn.llm for turn in turns))
    if not llms:
        raise InputError("compare needs an LLM: give --llm once for each, or --baseline with a trace")
    names = modes or list(dict.fromkeys(turn.mode for turn in turns)) or [settings.agent.mode]
    return llms, [turn_mode(name) for name in names]


def _recordings(recorded: "Recorded | None", wavs: list[Path] | None, max_minutes: float) -> "list[Recording]":
    """The files given, else the recordings of the baseline, else the shipped questions. Raises InputError."""
    from agent.measure.recordings import shipped

    if wavs:
        return chosen_recordings(wavs, max_minutes)
    if recorded:
        names = list(dict.fromkeys(turn.recording for turn in recorded.turns))
        return recordings_named(names, None, "give the files of all of them")
    return shipped("question_short", "question_long")


def _print(measured: "Measured", recordings: "list[Recording]", judged: "list[Judged]") -> None:
    from agent.report import terminal as show
    from agent.report.findings import headline

    plain = stdout()
    plain.print(show.grid(measured.rows))
    plain.print(show.shares(measured.rows))
    plain.print(f"\n[bold]{headline(measured.rows)}[/bold]\n")
    print_summary(measured, recordings)
    for outcome in judged:
        plain.print(outcome.line(), markup=False)


def _gate(baseline: Path | None, fail_if: list[str] | None) -> "tuple[Recorded | None, list[Limit]]":
    """The trace to compare with, and the limits; both are refused before anything is measured."""
    from agent.trace.reader import read_trace
    from pipelines.stopwatch.gate import parse_limit

    limits = [parse_limit(text) for text in fail_if or []]
    if baseline is None:
        if limits:
            raise InputError("--fail-if needs --baseline, the trace of a run to compare with")
        return None, []
    recorded = read_trace(baseline)
    for note in recorded.notes:
        stderr().print(note, markup=False)
    if not recorded.turns:
        raise InputError(f"trace {baseline} holds no turn to compare with")
    return recorded, limits


def _judged(measured: "Measured", recorded: "Recorded | None", limits: "list[Limit]") -> "list[Judged]":
    from pipelines.stopwatch.gate import judge

    if recorded is None:
        return []
    for name in ("engines", "machine"):
        was, now = getattr(recorded.session, name), getattr(measured.session, name)
        for key in now:
            if key != "llm" and was.get(key) != now[key]:
                note = f"the baseline was recorded with another {name}.{key}: {was.get(key)}, now {now[key]}"
                stderr().print(note, markup=False)
    outcomes = []
    for row in measured.rows:
        ours, theirs = (
            [turn for turn in turns if (turn.llm, turn.mode) == (row.llm, row.mode)]
            for turns in (measured.turns, recorded.turns)
        )
        outcomes += [judge(limit, ours, theirs, row.llm, row.mode) for limit in limits]
    return outcomes


def _gated(run: "RunRecord", judged: "list[Judged]") -> "RunRecord":
    from pipelines.stopwatch.document import GatedRunRecord

    return GatedRunRecord(**dict(run), gate=tuple(outcome.record() for outcome in judged))
