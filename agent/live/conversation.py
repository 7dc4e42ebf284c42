"""A live conversation, whatever carries the audio: a microphone, a browser, a room.

It runs one session over the engines, lets the model and the mode be changed in the middle, and turns what happens into
the records of the trace. There are no labels here, so a turn's times count from where the voice activity heard the user
stop. Independent of devices, terminals and pages.
"""

from collections.abc import AsyncIterator, Callable, Sequence

from agent.exports.telemetry import TurnSink
from agent.setup.engines import Engines
from pipelines.audio import MediaClock
from pipelines.errors import InputError
from pipelines.events import AudioFrame, ChatMessage
from pipelines.modes import Mode
from pipelines.playout import AudioOutput
from pipelines.session import Session
from pipelines.session_events import OpeningBegan, OpeningEnded, SessionEvent, TurnBegan, TurnFinished
from pipelines.stopwatch.marks import Playout
from pipelines.stopwatch.record import TurnHeader, TurnRecord
from pipelines.stopwatch.spans import trace_turn
from pipelines.stopwatch.trace import BargeIns, turn_record, wall_time
from pipelines.stopwatch.turn_marks import marks_of
from pipelines.turn import Turn

OnEvent = Callable[[SessionEvent, TurnRecord | None], None]
"""Hears what happens; of a turn that has finished, with its record."""


class Conversation:
    """One conversation with the agent.

    `on_event` must return at once. `turns` holds the records so far, `current` the turn that is under way, `opening`
    the agent's first words while it says them. `room` and `participant` stand in each record.
    """

    def __init__(
        self,
        engines: Engines,
        llm: str,
        mode: Mode,
        output: AudioOutput,
        on_event: OnEvent = lambda event, record: None,
        sinks: Sequence[TurnSink] = (),
        opening: str = "",
        history: Sequence[ChatMessage] = (),
        room: str | None = None,
        participant: str | None = None,
    ) -> None:
        self.turns: list[TurnRecord] = []
        self.current: Turn | None = None
        self.opening: Playout | None = None
        self.llm = llm
        self.mode = mode
        self._engines = engines
        self._output = output
        self._on_event = on_event
        self._sinks = sinks
        self._room = room
        self._participant = participant
        self._names: dict[int, tuple[str, Mode]] = {}  # of each turn that is not over
        self._barge_ins = BargeIns()
        self._listener = engines.listener()
        voice, settings = engines.voice(llm, output), engines.session_settings(llm, mode)
        self._session = Session(self._listener, voice, settings, self._observe, opening, history)

    @property
    def history(self) -> list[ChatMessage]:
        """What was said so far, as heard."""
        return self._session.history

    @property
    def media(self) -> MediaClock:
        """Where in the input something happened, and when."""
        return self._listener.media

    async def run(self, frames: AsyncIterator[AudioFrame]) -> None:
        """Converse until the frames end and the last answer has been played."""
        await self._session.run(frames)

    async def switch(self, llm: str | None = None, mode: str | None = None) -> None:
        """Answer with another model or in another mode from the next turn on.

        Raises InputError for one that is unknown, and ServiceError for a model that cannot be reached; then nothing
        changes.
        """
        try:
            new_mode = self.mode if mode is None else Mode(mode)
        except ValueError:
            raise InputError(f"mode {mode!r} is not one of: {', '.join(Mode)}") from None
        new_llm = self.llm if llm is None else llm
        await self._engines.connect(new_llm)
        self.llm, self.mode = new_llm, new_mode
        self._session.use(self._engines.voice(new_llm, self._output), self._engines.session_settings(new_llm, new_mode))

    def _observe(self, event: SessionEvent) -> None:
        record = None
        match event:
            case OpeningBegan(playout):
                self.opening = playout
            case OpeningEnded():
                self.opening = None
            case TurnBegan(turn):
                self.current = turn
                self._names[id(turn)] = self.llm, self.mode
            case TurnFinished(turn):
                record = self._record(event, *self._names.pop(id(turn)))
                if self.current is turn:
                    self.current = None
                self.turns.append(record)
                for sink in self._sinks:
                    sink.turn(len(self.turns) - 1, record)
            case _:
                pass
        self._on_event(event, record)

    def _record(self, finished: TurnFinished, llm: str, mode: Mode) -> TurnRecord:
        turn, engines, marks = finished.turn, self._engines, marks_of(finished)
        start_s = self.media.process_time_s(turn.utterance.started_samples)
        end_s = turn.ended.speech_end_s if turn.ended else start_s
        header = TurnHeader(
            mode=mode.value,
            llm=llm,
            simulated=engines.models[llm].endpoint.simulated,
            stt=engines.stt.name,
            tts=engines.tts.name,
            labelled=False,
            speech_end_at=wall_time(end_s, engines.clock()),
            speech_samples=(turn.utterance.started_samples, self.media.samples(end_s)),
            barge_in_ms=self._barge_ins.ms(marks, start_s),
            room=self._room,
            participant=self._participant,
        )
        return turn_record(trace_turn(marks, start_s, end_s), header, engines.prices)
