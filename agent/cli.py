"""The command line: argv in, exit code out. The commands live in `agent.commands`; heavy imports happen inside them.

Exit codes: 0 done, 1 a run finished but something in it failed, 2 the input or configuration is wrong.
"""

import logging
import sys

import typer

from agent.commands.bench import bench
from agent.commands.compare import compare
from agent.commands.machine import doctor, endpointing_eval, fetch, llm_sim, stt_eval
from agent.commands.measuring import demo, replay
from agent.commands.mirror import mirror
from agent.commands.report import report
from agent.commands.room import room
from agent.commands.shared import Verbose
from agent.commands.talk import talk
from agent.commands.web import web
from agent.commands.whatif import whatif
from pipelines.errors import InputError, QuickturnError

_INTERRUPTED = 130  # what a shell reports for Ctrl-C

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A real-time voice agent with a stopwatch: where the milliseconds of every turn went, "
    "and what another LLM would have changed.",
    epilog="Start with: quickturn demo",
)
for command in (demo, talk, web, replay, compare, bench, mirror, whatif, report, doctor, fetch):
    app.command()(command)
app.command("llm-sim")(llm_sim)
app.command("stt-eval")(stt_eval)
app.command("endpointing-eval")(endpointing_eval)
app.add_typer(room, name="room")


@app.callback()
def _logging(verbose: Verbose = False) -> None:
    logging.basicConfig(level=logging.INFO if verbose else logging.ERROR, format="quickturn: %(message)s")
    if not verbose:  # our own warnings are for the user; other libraries' are not
        for package in ("agent", "pipelines"):
            logging.getLogger(package).setLevel(logging.WARNING)


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
