"""A conversation on tape, and the fixture that is cut out of it."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agent.live.fixture import write_fixture
from agent.live.tape import Tape
from agent.measure.recordings import load
from agent.sound.wav import read_wav
from pipelines.errors import InputError
from pipelines.events import Pcm
from pipelines.stopwatch.record import TurnRecord
from tests.records import SESSION, record

RATE = 16_000


def block(value: int, samples: int = 320) -> Pcm:
    return np.full(samples, value, np.int16)


def turn(start: int, end: int, text: str = "What time is it?", barge_in_ms: int | None = None) -> TurnRecord:
    return record(speech_samples=(start, end), transcript=text, barge_in_ms=barge_in_ms)


def taped(folder: Path, user: int, agent: int) -> Path:
    """Both sides in blocks of 20 ms, so many seconds each."""
    with Tape(folder) as tape:
        for number in range(max(user, agent) * 50):
            if number < user * 50:
                tape.user(block(1))
            if number < agent * 50:
                tape.agent(block(2))
    return folder


def saved(tape: Tape) -> Pcm:
    size, blocks = tape.wav()
    data = b"".join(blocks)
    assert len(data) == size
    pcm: Pcm = soundfile.read(io.BytesIO(data), dtype="int16")[0]
    return pcm


@pytest.mark.parametrize(("user", "agent"), [(3, 3), (3, 1), (1, 3)])
def test_both_sides_lie_on_one_timeline_and_the_shorter_is_filled_up(tmp_path: Path, user: int, agent: int) -> None:
    heard = read_wav(taped(tmp_path, user, agent) / "conversation.wav")
    assert heard.shape == (RATE * max(user, agent), 2)
    assert list(np.count_nonzero(heard, axis=0)) == [RATE * user, RATE * agent]


def test_what_has_happened_so_far_can_be_saved_while_it_goes_on(tmp_path: Path) -> None:
    with Tape(tmp_path / "tape") as tape:
        tape.user(block(1, RATE // 2))
        tape.agent(block(2, RATE // 2))
        tape.copy(tmp_path / "so_far.wav")
        tape.user(block(1, RATE))
    assert len(read_wav(tmp_path / "so_far.wav")) == RATE // 2
    assert len(read_wav(tmp_path / "tape" / "conversation.wav")) == RATE * 3 // 2


def test_what_is_on_tape_can_be_played_even_where_the_process_is_killed(tmp_path: Path) -> None:
    with Tape(tmp_path) as tape:
        tape.user(block(1, RATE * 5 // 2))
        assert len(read_wav(tmp_path / "conversation.wav")) == RATE * 5 // 2


def test_a_copy_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with Tape() as tape, pytest.raises(InputError, match=f"{tmp_path} cannot be written: Is a directory"):
        tape.copy(tmp_path)


def test_what_the_agent_played_lies_at_its_media_time_or_behind_what_came_before() -> None:
    with Tape() as tape:
        tape.user(block(1, 1_000))
        tape.agent(block(2, 100), 300)
        tape.agent(block(3, 100))
        tape.agent(block(4, 500), 900)  # it ends after what has been captured so far
        tape.user(block(1, 1_000))
        agent = saved(tape)[:, 1].tolist()
    assert agent == [0] * 300 + [2] * 100 + [3] * 100 + [0] * 400 + [4] * 500 + [0] * 600


def test_without_a_folder_the_last_stretch_of_both_sides_is_kept() -> None:
    with Tape(kept_s=1.0) as tape:
        for number in range(1, 41):  # ten seconds through a ring of six
            tape.user(block(number, 4_000))
            tape.agent(block(-number, 2_000), number * 4_000 - 4_000)
        tape.agent(block(9, 10), -5)
        tape.agent(block(9, 10), 10**9)
        tracks = saved(tape)
    assert tracks.shape == (16_000, 2)
    assert tracks[::4_000, 0].tolist() == [37, 38, 39, 40]
    assert tracks[1_000::4_000, 1].tolist() == [-37, -38, -39, -40]
    assert not tracks[3_000::4_000, 1].any()


def test_what_is_said_to_be_played_in_a_far_future_does_not_fill_the_disk(tmp_path: Path) -> None:
    with Tape(tmp_path) as tape:
        tape.user(block(1))
        tape.agent(block(2), 10**9)
        tape.agent(block(2))
    assert len(read_wav(tmp_path / "conversation.wav")) == 320
    assert (tmp_path / "conversation.wav").stat().st_size == 44 + 320 * 4


def test_the_users_turns_become_a_labelled_recording(tmp_path: Path) -> None:
    folder = taped(tmp_path, 10, 10)
    turns = [turn(RATE, 2 * RATE), turn(5 * RATE, 6 * RATE, "Stop.", 700), turn(8 * RATE, 8 * RATE, "")]
    (recording,) = load([write_fixture(folder, SESSION, turns)])
    first, second = recording.turns
    assert recording.labelled
    assert (first.text, first.barge_in_ms, second.text, second.barge_in_ms) == ("What time is it?", None, "Stop.", 700)
    assert first.end_samples - first.start_samples == second.end_samples - second.start_samples == RATE
    assert first.start_samples == RATE * 3 // 10
    assert second.clip_start_samples == first.clip_end_samples
    assert len(recording.pcm) == second.clip_end_samples
    kept = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
    assert [line["type"] for line in kept] == ["session", "turn", "turn", "turn"]


def test_speech_at_the_very_beginning_has_less_silence_before_it(tmp_path: Path) -> None:
    (recording,) = load([write_fixture(taped(tmp_path, 3, 3), SESSION, [turn(100, RATE)])])
    assert recording.turns[0].start_samples == 100


def test_a_folder_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"--record .*file cannot be written into: it is a file; give a folder"):
        Tape(tmp_path / "file")
