"""`demo`, `replay` and `compare`: recordings through the agent in real time."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.shared import (
    ConfigFile,
    Hedge,
    Json,
    Lanes,
    Llm,
    Llms,
    MaxMinutes,
    ModeName,
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
    print_lines,
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
    from agent.trace.reader import Trace as Recorded
    from pipelines.stopwatch.document import RunRecord
    from pipelines.stopwatch.gate import Judged, Limit


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report, the WAVs and the trace.")] = Path("quickturn-demo"),
    config: ConfigFile = None,
    lanes: Lanes = None,
    json: Json = False,
    offline: Offline = False,
) -> None:
    """The main job with no key and no device: the shipped questions at four LLM speeds and in three modes."""
    from agent.measure import demo as body
    from agent.report import terminal as show
    from agent.report.findings import headline

    console = stderr()
    wanted = body.measurement(read_config(config), out, lanes)
    console.print(body.WHAT_IS_REAL)
    measured = run_measurement(wanted, console)
    listen = body.before_and_after(measured, wanted.recordings[0], out)
    if json:
        print_record(measured.record())
    else:
        plain = stdout()
        plain.print(show.grid(measured.rows))
        print_lines(measured)
        plain.print(f"\n[bold]{headline(measured.rows)}[/bold] (The LLMs are simulated; the rest is real.)\n")
        plain.print(
            f"report  {measured.report}\nlisten  {listen} (left: the user, right: the agent; first slow, then fast)",
            markup=False,
        )
    raise typer.Exit(exit_code(measured))


def replay(
    wavs: Wavs = None,
    llm: Llm = None,
    mode: ModeName = None,
    standby: Standby = None,
    hedge: Hedge = None,
    stt: Stt = None,
    tts: Tts = None,
    config: ConfigFile = None,
    json: Json = False,
    trace: Trace = None,
    out: Out = None,
    lanes: Lanes = None,
    repeat: Repeat = 1,
    max_minutes: MaxMinutes = 30.0,
    offline: Offline = False,
) -> None:
    """Run recordings through the agent in real time; time every turn."""
    from agent.measure.measurement import Measurement
    from agent.report import terminal as show

    settings = read_config(config, standby=standby, hedge=hedge, llm=llm, mode=mode, stt=stt, tts=tts)
    recordings = chosen_recordings(wavs, max_minutes)
    agent, console = settings.agent, stderr()
    measured = run_measurement(
        Measurement(settings, recordings, [agent.llm], [agent.mode], "Replay", lanes, repeat, out, trace), console
    )
    if json:
        print_record(measured.record())
    else:
        plain = stdout()
        plain.print(show.turns_table(measured.turns))
        if measured.summary.turn_latency_ms.n:
            plain.print(show.shares(measured.rows))
        print_summary(measured, recordings)
    raise typer.Exit(exit_code(measured))


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
    from agent.measure.recordings import shipped
    from agent.report import terminal as show
    from agent.report.findings import headline

    settings = read_config(config, standby=standby, hedge=hedge, stt=stt, tts=tts)
    recorded, limits = _gate(baseline, fail_if)
    cells = dict.fromkeys((turn.llm, turn.mode) for turn in recorded.turns) if recorded else {}
    llm = llm or list(dict.fromkeys(name for name, _ in cells))
    if not llm:
        raise InputError("compare needs an LLM: give --llm once for each, or --baseline with a trace")
    modes = [turn_mode(name) for name in mode or dict.fromkeys(name for _, name in cells) or [settings.agent.mode]]
    if wavs:
        recordings = chosen_recordings(wavs, max_minutes)
    elif recorded:
        names = list(dict.fromkeys(turn.recording for turn in recorded.turns))
        recordings = recordings_named(names, None, "give the files of all of them")
    else:
        recordings = shipped("question_short", "question_long")
    console = stderr()
    measured = run_measurement(
        Measurement(settings, recordings, llm, modes, "Comparison", lanes, repeat, out, trace), console
    )
    judged = _judged(measured, recorded, limits)
    if json:
        print_record(_gated(measured.record(), judged) if recorded else measured.record())
    else:
        plain = stdout()
        plain.print(show.grid(measured.rows))
        plain.print(show.shares(measured.rows))
        plain.print(f"\n[bold]{headline(measured.rows)}[/bold]\n")
        print_summary(measured, recordings)
        for outcome in judged:
            plain.print(outcome.line(), markup=False)
    broken = any(outcome.verdict == "broken" for outcome in judged)
    raise typer.Exit(1 if broken else exit_code(measured))


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
