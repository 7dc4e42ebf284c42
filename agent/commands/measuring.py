"""`demo` and `replay`: recordings through the agent in real time."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.shared import (
    ConfigFile,
    Hedge,
    Json,
    Lanes,
    Llm,
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
    run_measurement,
    stderr,
    stdout,
)


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
