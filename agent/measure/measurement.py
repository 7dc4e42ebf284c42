"""One measurement, whoever asks for it (`replay`, `compare`, `demo`): recordings x models x modes -> turns, rows,
files.

It opens the engines, runs the replays, writes the trace as turns finish and the WAVs as recordings do. Printing is left
to the caller.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from rich.console import Console

from agent.exports.telemetry import TurnSink, open_telemetry
from agent.measure.recordings import Recording
from agent.measure.replay import Replayed
from agent.measure.runs import Job, Run, default_lanes, run_jobs
from agent.report.folder import write_report
from agent.report.stages import llm_label
from agent.report.terminal import progress
from agent.setup.config import Config
from agent.setup.engines import Engines, open_engines
from agent.sound.wav import write_wav
from agent.system.folder import make_folder
from agent.trace.files import TraceFile, session_line
from pipelines.modes import Mode
from pipelines.stopwatch.document import RunRecord
from pipelines.stopwatch.record import SessionRecord, TurnRecord
from pipelines.stopwatch.summary import Row, Summary, rows, summarise


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured. `lanes` replays run at a time, None for as many as do not slow each other. `out` receives
    WAVs, trace and report; `trace` a trace alone.
    """

    config: Config
    recordings: Sequence[Recording]
    llms: Sequence[str]
    modes: Sequence[Mode]
    title: str
    lanes: int | None = None
    repeat: int = 1
    out: Path | None = None
    trace: Path | None = None

    def jobs(self) -> list[Job]:
        """All replays, with models and modes interleaved, so that a drift of the machine hits all alike."""
        return [
            Job(recording, llm, mode)
            for _ in range(self.repeat)
            for recording in self.recordings
            for mode in self.modes
            for llm in self.llms
        ]


@dataclass(slots=True)
class Measured:
    """What came out: the trace's session line, turns, rows, summary, and where files were written."""

    session: SessionRecord
    turns: list[TurnRecord]
    rows: list[Row]
    summary: Summary
    wavs: list[tuple[str, Path]] = field(default_factory=list)
    report: Path | None = None

    def record(self) -> RunRecord:
        """What `--json` prints."""
        return RunRecord(turns=tuple(self.turns), summary=self.summary, rows=tuple(self.rows), session=self.session)


async def measure(measurement: Measurement, console: Console) -> Measured:
    """Run it. Raises InputError, and ServiceError where a model cannot be reached at all."""
    out = make_folder(measurement.out) if measurement.out else None
    async with open_engines(measurement.config, measurement.llms) as engines:
        session = session_line(engines)
        with ExitStack() as files:
            paths = [measurement.trace, out / "trace.jsonl" if out else None]
            traces = [files.enter_context(TraceFile(path, session)) for path in paths if path]
            telemetry = files.enter_context(open_telemetry(measurement.config.telemetry))
            for note in telemetry.notes:
                console.print(note, style="dim", markup=False)
            run, wavs = await _replay_all(measurement, engines, [*traces, *telemetry.sinks], out, console)
        summary = summarise(run.turns, run.loop_lag_ms, engines.failover_states())
    measured = Measured(session, run.turns, rows(run.turns, measurement.llms[0]), summary, wavs)
    if out is not None:
        measured.report = write_report(out, session, run.turns, measured.rows, title=measurement.title, audio=wavs)
    return measured


async def _replay_all(
    measurement: Measurement, engines: Engines, sinks: Sequence[TurnSink], out: Path | None, console: Console
) -> tuple[Run, list[tuple[str, Path]]]:
    jobs = measurement.jobs()
    only_run = len(jobs) == len(measurement.recordings)
    folder = out if out is None or only_run else out / "wavs"
    wavs: list[tuple[str, Path]] = []
    indices = count()
    with progress(console, "replaying", len(jobs)) as advance:

        def on_done(job: Job, replayed: Replayed, turns: list[TurnRecord]) -> None:
            for turn in turns:
                index = next(indices)
                for sink in sinks:
                    sink.turn(index, turn)
            if folder is not None:
                name = _wav_name(replayed, job.llm, job.mode.value, only_run=only_run)
                wavs.append((_wav_title(job, engines), write_wav(make_folder(folder) / name, replayed.two_tracks())))
            advance(f"{replayed.recording.name}, {job.mode.value}")

        return await run_jobs(engines, jobs, measurement.lanes or default_lanes(), on_done), sorted(wavs)


def _wav_title(job: Job, engines: Engines) -> str:
    name = llm_label(job.llm)
    return f"{job.recording.name}: {name}, {job.mode.value}"


def _wav_name(replayed: Replayed, llm: str, mode: str, *, only_run: bool) -> str:
    """`NAME.wav`, with the model and mode in it where a folder holds several runs of one recording."""
    if only_run:
        return f"{replayed.recording.name}.wav"
    return f"{replayed.recording.name}.{llm.replace('/', '-')}.{mode}.wav".replace(":", "-").replace("?", "-")
