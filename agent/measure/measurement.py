"""One measurement, for `replay`, `compare` and `demo` alike: recordings x models x modes -> turns, rows, files.

It opens the engines, runs the replays, writes the trace as turns finish and the WAVs as recordings do. Printing is left
to the caller.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from rich.console import Console

from agent.exports.telemetry import TurnSink
from agent.measure.recordings import Recording
from agent.measure.replay import Replayed
from agent.measure.runs import Job, default_lanes, run_jobs
from agent.report.folder import write_report
from agent.report.stages import llm_label
from agent.report.terminal import progress
from agent.runtime import open_runtime
from agent.setup.config import Config
from agent.sound.wav import write_wav
from agent.system.folder import make_folder
from pipelines.modes import Mode
from pipelines.stopwatch.document import RunRecord
from pipelines.stopwatch.record import SessionRecord, TurnRecord
from pipelines.stopwatch.summary import Row, Summary, rows, summarise


@dataclass(frozen=True, slots=True)
class Measurement:
    """What is measured. `lanes` replays run at a time, None for as many as do not slow each other down. `out` receives
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
        """All replays, with models and modes interleaved, so that a drift of the machine affects all alike."""
        return [
            Job(recording, llm, mode)
            for _ in range(self.repeat)
            for recording in self.recordings
            for mode in self.modes
            for llm in self.llms
        ]


@dataclass(frozen=True, slots=True)
class Sound:
    """The two-track WAV of a replay."""

    job: Job
    path: Path

    @property
    def title(self) -> str:
        """What it is, for people."""
        return f"{self.job.recording.name}: {llm_label(self.job.llm)}, {self.job.mode.value}"


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out: the trace's session line, turns, rows, summary, and what was written besides the trace."""

    session: SessionRecord
    turns: list[TurnRecord]
    rows: list[Row]
    summary: Summary
    sounds: list[Sound]
    report: Path | None

    def record(self) -> RunRecord:
        """What `--json` prints."""
        return RunRecord(turns=tuple(self.turns), summary=self.summary, rows=tuple(self.rows), session=self.session)


async def measure(measurement: Measurement, console: Console) -> Measured:
    """Run it. Raises InputError, and ServiceError if a model cannot be reached at all."""
    out, jobs = measurement.out and make_folder(measurement.out), measurement.jobs()
    async with open_runtime(
        measurement.config, measurement.llms, measurement.trace, out and out / "trace.jsonl"
    ) as runtime:
        for note in runtime.notes:
            console.print(note, style="dim", markup=False)
        results = _Results(runtime.sinks, out, only_run=len(jobs) == len(measurement.recordings))
        with progress(console, "replaying", len(jobs)) as advance:

            def on_done(job: Job, replayed: Replayed, turns: list[TurnRecord]) -> None:
                results.take(job, replayed, turns)
                advance(f"{job.recording.name}, {job.mode.value}")

            run = await run_jobs(runtime.engines, jobs, measurement.lanes or default_lanes(), on_done)
        summary = summarise(run.turns, run.loop_lag_ms, runtime.engines.failover_states())
    table, sounds = rows(run.turns, measurement.llms[0]), sorted(results.sounds, key=lambda sound: sound.title)
    audio = [(sound.title, sound.path) for sound in sounds]
    report = out and write_report(out, runtime.session, run.turns, table, title=measurement.title, audio=audio)
    return Measured(runtime.session, run.turns, table, summary, sounds, report)


class _Results:
    """Where finished replays go: their turns to the sinks, numbered as they come, and their sound into the folder."""

    def __init__(self, sinks: Sequence[TurnSink], out: Path | None, *, only_run: bool) -> None:
        self.sounds: list[Sound] = []
        self._sinks = sinks
        self._only_run = only_run
        self._folder = out if out is None or only_run else out / "wavs"
        self._numbers = count()

    def take(self, job: Job, replayed: Replayed, turns: Sequence[TurnRecord]) -> None:
        """A replay is over. Raises InputError if a file cannot be written."""
        for turn in turns:
            number = next(self._numbers)
            for sink in self._sinks:
                sink.turn(number, turn)
        if self._folder is not None:
            path = make_folder(self._folder) / self._wav_name(job)
            self.sounds.append(Sound(job, write_wav(path, replayed.two_tracks())))

    def _wav_name(self, job: Job) -> str:
        """`NAME.wav`, with the model and mode in it if the folder holds several runs of one recording."""
        if self._only_run:
            return f"{job.recording.name}.wav"
        return f"{job.recording.name}.{job.llm.replace('/', '-')}.{job.mode.value}.wav".replace(":", "-").replace(
            "?", "-"
        )
