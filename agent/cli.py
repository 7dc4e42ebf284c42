"""The command line: argv in, exit code out. Each command parses its options and hands over; heavy imports happen
inside commands.

Exit codes: 0 done, 1 a run finished but something in it failed, 2 the input or configuration is wrong.
"""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from pipelines.errors import InputError, QuickturnError

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from rich.console import Console

    from agent.config import Config
    from agent.measure import Measured, Measurement
    from agent.recordings import Recording
    from pipelines.turn import Mode

T = TypeVar("T")

_INTERRUPTED = 130  # what a shell reports for Ctrl-C

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A real-time voice agent with a stopwatch: where the milliseconds of every turn went, "
    "and what another LLM would have changed.",
    epilog="Start with: quickturn demo",
)

Wavs = Annotated[list[Path] | None, typer.Argument(help="WAV, FLAC, OGG or MP3 files; none: the shipped recordings.")]
Llm = Annotated[str | None, typer.Option(help="PROVIDER/MODEL, or sim/PROFILE, or sim/TTFT_MS:TOK_PER_S.")]
Llms = Annotated[list[str], typer.Option("--llm", help="Give it once for each LLM; the first is the baseline.")]
ModeName = Annotated[str | None, typer.Option(help="sequential, streaming or speculative.")]
Stt = Annotated[str | None, typer.Option(help="auto, embedded, whisper:SIZE_OR_PATH or pocketsphinx.")]
Tts = Annotated[str | None, typer.Option(help="auto, embedded or piper:VOICE_OR_PATH.")]
ConfigFile = Annotated[Path | None, typer.Option("--config", help="A TOML file over the shipped defaults.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, everything else on stderr.")]
Trace = Annotated[Path | None, typer.Option(help="Write the trace (JSON Lines) to this file.")]
Out = Annotated[Path | None, typer.Option(help="Write WAVs, trace and report into this folder.")]
Lanes = Annotated[int, typer.Option(min=1, max=16, help="Replays that run at a time.")]
Repeat = Annotated[int, typer.Option(min=1, max=1000, help="How often each replay is run.")]
MaxMinutes = Annotated[float, typer.Option(min=0.1, help="Refuse longer files: a replay runs in real time.")]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens to stderr.")]


@app.callback()
def _logging(verbose: Verbose = False) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="quickturn: %(message)s")
    if not verbose:  # our own warnings are for the user; other libraries' are not
        for package in ("agent", "pipelines"):
            logging.getLogger(package).setLevel(logging.WARNING)


@app.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder for the report, the WAVs and the trace.")] = Path("quickturn-demo"),
    config: ConfigFile = None,
    lanes: Lanes = 4,
    json: Json = False,
) -> None:
    """The main job with no key, no device, no download: the shipped questions at four LLM speeds and in three modes."""
    from agent import console as show
    from agent import demo as body
    from agent.report import headline

    console = _console()
    wanted = body.measurement(_config(config), out, lanes)
    console.print(body.WHAT_IS_REAL)
    measured = _measure(wanted, console)
    listen = body.before_and_after(measured, wanted.recordings[0], out)
    if json:
        _print_json(measured)
    else:
        plain = _stdout()
        plain.print(show.grid(measured.rows))
        _print_lines(measured)
        plain.print(f"\n[bold]{headline(measured.rows)}[/bold] (The LLMs are simulated; the rest is real.)\n")
        plain.print(
            f"report  {measured.report}\nlisten  {listen} (left: the user, right: the agent; first slow, then fast)"
        )
    raise typer.Exit(_exit_code(measured))


@app.command()
def replay(
    wavs: Wavs = None,
    llm: Llm = None,
    mode: ModeName = None,
    stt: Stt = None,
    tts: Tts = None,
    config: ConfigFile = None,
    json: Json = False,
    trace: Trace = None,
    out: Out = None,
    lanes: Lanes = 4,
    repeat: Repeat = 1,
    max_minutes: MaxMinutes = 30.0,
) -> None:
    """Run recordings through the agent in real time; time every turn."""
    from agent import console as show
    from agent.measure import Measurement

    settings = _config(config, llm=llm, mode=mode, stt=stt, tts=tts)
    recordings = _recordings(wavs, max_minutes)
    agent, console = settings.agent, _console()
    measured = _measure(
        Measurement(settings, recordings, [agent.llm], [agent.mode], "Replay", lanes, repeat, out, trace), console
    )
    if json:
        _print_json(measured)
    else:
        plain = _stdout()
        plain.print(show.turns_table(measured.turns))
        if measured.summary["turn_latency_ms"]["n"]:
            plain.print(show.shares(measured.rows))
        _print_summary(measured, recordings)
    raise typer.Exit(_exit_code(measured))


@app.command()
def compare(
    llm: Llms,
    wavs: Wavs = None,
    mode: Annotated[
        list[str] | None, typer.Option(help="Give it once for each mode; default: the configured one.")
    ] = None,
    stt: Stt = None,
    tts: Tts = None,
    config: ConfigFile = None,
    json: Json = False,
    trace: Trace = None,
    out: Out = None,
    lanes: Lanes = 4,
    repeat: Repeat = 1,
    max_minutes: MaxMinutes = 30.0,
) -> None:
    """The same turns under several LLMs: the difference by stage, with confidence intervals."""
    from agent import console as show
    from agent.measure import Measurement
    from agent.recordings import shipped
    from agent.report import headline

    settings = _config(config, stt=stt, tts=tts)
    modes = [_mode(name) for name in mode or [settings.agent.mode]]
    recordings = _recordings(wavs, max_minutes) if wavs else shipped("question_short", "question_long")
    console = _console()
    measured = _measure(Measurement(settings, recordings, llm, modes, "Comparison", lanes, repeat, out, trace), console)
    if json:
        _print_json(measured)
    else:
        plain = _stdout()
        plain.print(show.grid(measured.rows))
        plain.print(show.shares(measured.rows))
        plain.print(f"\n[bold]{headline(measured.rows)}[/bold]\n")
        _print_summary(measured, recordings)
    raise typer.Exit(_exit_code(measured))


@app.command("llm-sim")
def llm_sim(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8377,
) -> None:
    """The pacer alone: a simulated Chat Completions server at a chosen speed, for any OpenAI client."""
    from agent.llm_sim import serve

    _run(serve(host, port))


@app.command()
def doctor(
    llm: Annotated[list[str] | None, typer.Option(help="Ask this provider what it serves; may be given again.")] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """What is installed, reachable, missing, and the exact fix."""
    from agent.doctor import examine, show

    checks = _run(examine(_config(config), llm or []))
    raise typer.Exit(show(checks, as_json=json))


@app.command()
def fetch(
    models: Annotated[
        list[str] | None, typer.Argument(help="whisper:SIZE or piper:VOICE, such as whisper:base.en.")
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Show what can be fetched and what is here.")] = False,
) -> None:
    """Download larger speech models, with progress; what is already there is kept."""
    from agent import fetch as body

    if list_them or not models:
        body.list_models(_stdout())
    else:
        body.fetch_models(models, _console())


@app.command("stt-eval")
def stt_eval(
    wavs: Wavs = None,
    stt: Annotated[list[str] | None, typer.Option(help="Engines to evaluate; may be given again.")] = None,
    window: Annotated[list[float] | None, typer.Option(help="Encoder windows in seconds; may be given again.")] = None,
    json: Json = False,
    max_minutes: MaxMinutes = 30.0,
) -> None:
    """Word error rate and latency of each speech recogniser on labelled recordings."""
    from agent import stt_eval as body

    body.run(_recordings(wavs, max_minutes), stt, window, as_json=json)


# ---------------------------------------------------------------- what the commands share


def _run(work: "Coroutine[Any, Any, T]") -> "T":
    import asyncio  # a fifth of what `--help` would otherwise take

    return asyncio.run(work)


def _console() -> "Console":
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def _stdout() -> "Console":
    from rich.console import Console

    # A pipe has no width of its own; tables must not be cut to 80 there.
    return Console(highlight=False, width=None if sys.stdout.isatty() else 140)


def _config(path: Path | None, **agent: str | None) -> "Config":
    from agent.config import load_config

    return load_config(path, {"agent": agent})


def _mode(name: str) -> "Mode":
    from pipelines.turn import Mode

    try:
        return Mode(name)
    except ValueError:
        raise InputError(f"mode {name!r} is not one of: {', '.join(Mode)}") from None


def _recordings(wavs: list[Path] | None, max_minutes: float) -> "list[Recording]":
    from agent.recordings import load, shipped

    return load(wavs, max_minutes) if wavs else shipped()


def _measure(measurement: "Measurement", console: "Console") -> "Measured":
    from agent.measure import measure

    return _run(measure(measurement, console))


def _print_json(measured: "Measured") -> None:
    import json

    print(json.dumps(measured.document(), ensure_ascii=False))


def _print_lines(measured: "Measured") -> None:
    from agent.console import failure_lines, summary_lines

    plain = _stdout()
    for line in [*summary_lines(measured.summary, cells=len(measured.rows)), *failure_lines(measured.turns)]:
        plain.print(line)


def _print_summary(measured: "Measured", recordings: "list[Recording]") -> None:
    _print_lines(measured)
    plain = _stdout()
    if any(not recording.labelled for recording in recordings):
        plain.print("no labels beside some files: there the end of speech is estimated from energy and voice activity")
        if measured.session["engines"]["stt"] == "embedded":
            plain.print("the embedded recogniser does not understand human speech: try --stt pocketsphinx")
    if measured.report:
        plain.print(f"report  {measured.report}")


def _exit_code(measured: "Measured") -> int:
    return 1 if measured.summary["outcomes"].get("failed") else 0


def main() -> None:
    """Run the command line; one line on stderr for whatever goes wrong on purpose."""
    try:
        app()
    except BaseExceptionGroup as group:
        error = _first_of_ours(group)
        if error is None:
            raise
        _end(error)
    except QuickturnError as error:
        _end(error)
    except SystemExit as ended:
        if ended.code == _INTERRUPTED:
            print("quickturn: stopped; what was written so far is kept", file=sys.stderr)
        raise


def _first_of_ours(group: BaseExceptionGroup) -> QuickturnError | None:
    ours = group.subgroup(QuickturnError)
    while isinstance(ours, BaseExceptionGroup):
        ours = ours.exceptions[0]  # type: ignore[assignment]  # the leaves are what the subgroup was made of
    return ours


def _end(error: QuickturnError) -> None:
    print(f"quickturn: {error}", file=sys.stderr)
    sys.exit(2 if isinstance(error, InputError) else 1)
