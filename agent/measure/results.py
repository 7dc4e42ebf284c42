"""What came of a replay: the records of its turns, scored against their labels."""

from collections.abc import Sequence

from agent.measure.replay import Replayed, ReplayedTurn
from agent.setup.engines import Engines
from pipelines.modes import Mode, Outcome
from pipelines.stopwatch.record import TurnHeader, TurnRecord
from pipelines.stopwatch.spans import TurnTrace
from pipelines.stopwatch.trace import turn_record, wall_time
from pipelines.stopwatch.turn_marks import TurnMarks
from pipelines.stt.wer import word_error_rate


def turn_records(replayed: Replayed, engines: Engines, llm: str, mode: Mode) -> list[TurnRecord]:
    """One record per turn, and a single one for a recording in which there was no turn."""
    recording = replayed.recording
    header = TurnHeader(
        recording=recording.name,
        kind=recording.kind,
        held_out=recording.held_out,
        mode=mode.value,
        llm=llm,
        simulated=engines.models[llm].endpoint.simulated,
        stt=engines.stt.name,
        tts=engines.tts.name,
        labelled=recording.labelled,
    )
    if not replayed.turns:
        nothing = TurnTrace(TurnMarks(Outcome.NO_SPEECH), 0.0)
        return [turn_record(nothing, header, engines.prices)]
    now_s = engines.clock()
    records = []
    for index, turn in enumerate(replayed.turns):
        # In seconds of the two-track WAV, and by the wall clock.
        end_s = turn.trace.origin_s
        placed = {"speech_end_s": round(end_s - replayed.epoch_s, 4), "speech_end_at": wall_time(end_s, now_s)}
        scored = header.model_copy(update=placed | _scores(index, replayed.turns, recording.labelled))
        records.append(turn_record(turn.trace, scored, engines.prices))
    return records


def _scores(index: int, turns: Sequence[ReplayedTurn], labelled: bool) -> dict[str, object]:
    """Reference, word error rate and false cut-in of one of the turns.

    If a false cut-in split an utterance, its last turn is scored, on what all of them heard.
    """
    label = turns[index].label
    reference = label.text if label and labelled else None
    split = any(turn.label is label for turn in turns[index + 1 :])
    parts = [ended.transcript.text for t in turns[: index + 1] if t.label is label and (ended := t.trace.marks.ended)]
    heard = " ".join(filter(None, parts)) if reference and not split else None
    wer = None if reference is None or heard is None else round(word_error_rate(reference, heard), 4)
    cut_in = turns[index].false_cut_in
    return {"reference": reference, "scored_transcript": heard, "wer": wer, "false_cut_in": cut_in}
