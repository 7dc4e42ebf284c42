"""A conversation on tape, and the fixture that is cut out of it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.output_folder import read_wav
from agent.recordings import load
from agent.tape import Tape, write_fixture
from pipelines.errors import InputError

RATE = 16_000


def turn(start: int, end: int, text: str = "What time is it?", barge_in_ms: int | None = None) -> dict[str, Any]:
    return {"speech_samples": [start, end], "transcript": text, "barge_in_ms": barge_in_ms}


def taped(folder: Path, user: int, agent: int) -> Path:
    """Both sides in blocks of 20 ms, so many seconds each."""
    with Tape(folder) as tape:
        for _ in range(user * 50):
            tape.user(np.full(320, 1, np.int16))
        for _ in range(agent * 50):
            tape.agent(np.full(320, 2, np.int16))
    return folder / "conversation.wav"


@pytest.mark.parametrize(("user", "agent"), [(3, 3), (3, 1), (1, 3)])
def test_both_sides_lie_on_one_timeline_and_the_shorter_is_filled_up(tmp_path: Path, user: int, agent: int) -> None:
    heard = read_wav(taped(tmp_path, user, agent))
    assert heard.shape == (RATE * max(user, agent), 2)
    assert list(np.count_nonzero(heard, axis=0)) == [RATE * user, RATE * agent]


def test_what_has_happened_so_far_can_be_saved_while_it_goes_on(tmp_path: Path) -> None:
    with Tape(tmp_path / "tape") as tape:
        tape.user(np.full(RATE // 2, 1, np.int16))
        tape.agent(np.full(RATE // 2, 2, np.int16))
        tape.copy(tmp_path / "so_far.wav")
        tape.user(np.full(RATE, 1, np.int16))
    assert len(read_wav(tmp_path / "so_far.wav")) == RATE // 2
    assert len(read_wav(tmp_path / "tape" / "conversation.wav")) == RATE * 3 // 2


def test_the_users_turns_become_a_labelled_recording(tmp_path: Path) -> None:
    conversation = taped(tmp_path, 10, 10)
    turns = [turn(RATE, 2 * RATE), turn(5 * RATE, 6 * RATE, "Stop.", 700), turn(8 * RATE, 8 * RATE, "")]
    (recording,) = load([write_fixture(conversation, turns)])
    first, second = recording.turns
    assert recording.labelled
    assert (first.text, first.barge_in_ms, second.text, second.barge_in_ms) == ("What time is it?", None, "Stop.", 700)
    assert first.end_samples - first.start_samples == second.end_samples - second.start_samples == RATE
    assert first.start_samples == RATE * 3 // 10
    assert second.clip_start_samples == first.clip_end_samples
    assert len(recording.pcm) == second.clip_end_samples


def test_speech_at_the_very_beginning_has_less_silence_before_it(tmp_path: Path) -> None:
    (recording,) = load([write_fixture(taped(tmp_path, 3, 3), [turn(100, RATE)])])
    assert recording.turns[0].start_samples == 100


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="it is a file; give a folder"):
        Tape(tmp_path / "file")
