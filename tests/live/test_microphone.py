"""`quickturn talk` on a virtual sound card: what counts is what the room heard, not what the agent says of itself."""

import json
import subprocess
import sys
import time
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soxr
from numpy.typing import NDArray

from agent.measure.recordings import Recording, shipped
from agent.sound.wav import read_wav
from agent.trace.reader import read_trace
from pipelines.audio import AUDIBLE_DBFS
from pipelines.stt.wer import word_error_rate
from pipelines.text import normalise
from tests.bench.barge_in import voiced_onset_samples
from tests.live.machine_speed import allowance_ms
from tests.live.transcribed import transcribed
from tests.live.virtual_card import RATE_HZ, Card, Room, missing, virtual_card
from tests.records import plain

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(120),
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
Signal = NDArray[np.float32]
BLOCK_MS = 20


@pytest.fixture
def card(tmp_path: Path) -> Iterator[Card]:
    with virtual_card(tmp_path / "card") as plugged_in:
        yield plugged_in


@pytest.fixture
def room(card: Card) -> Room:
    return card.room


@dataclass(frozen=True, slots=True)
class Talking:
    """A running `quickturn talk`, which records into `folder`."""

    process: subprocess.Popen[str]
    folder: Path

    def line(self, part: str) -> str:
        """Wait for a line of its output that holds `part`."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if part in line:
                return line
        raise AssertionError(f"it ended without saying {part!r}")

    def turns(self) -> list[dict[str, Any]]:
        """Wait for its end; the turns in its trace."""
        self.process.communicate(timeout=60)
        return [plain(turn) for turn in read_trace(self.folder / "trace.jsonl").turns]


@contextmanager
def talking(room: Room, seconds: float) -> Iterator[Talking]:
    folder = room.folder / "tape"
    command = [sys.executable, "-c", "from agent.cli import main; main()", "talk"]
    command += ["--llm", "sim/cerebras-llama3.1-8b", "--seconds", str(seconds), "--record", str(folder)]
    with subprocess.Popen(command, env=room.environment, stdout=subprocess.PIPE, text=True) as process:
        talk = Talking(process, folder)
        talk.line("listening")
        time.sleep(1)
        try:
            yield talk
        finally:
            process.terminate()


def clip(folder: Path, recording: Recording, turn: int) -> Path:
    """One turn of a recording as a file."""
    label = recording.turns[turn]
    path = folder / f"{recording.name}.{turn}.wav"
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", "not compressed"))
        file.writeframes(recording.pcm[label.clip_start_samples : label.clip_end_samples].tobytes())
    return path


def named(kind: str, name: str) -> Recording:
    return next(recording for recording in shipped(kind) if recording.name == name)


def sides(room: Room) -> tuple[Signal, Signal]:
    """The user and the agent as the room heard them, at 16 kHz."""
    heard = room.heard().astype(np.float32)
    user, agent = (soxr.resample(heard[:, side], RATE_HZ, 16_000) for side in (0, 1))
    return user, agent


def levels(signal: Signal) -> Signal:
    """RMS of each 5 ms, full scale at 1."""
    frames = signal[: len(signal) // 80 * 80].reshape(-1, 80) / 32_768
    return np.asarray(np.sqrt((frames**2).mean(axis=1)), np.float32)


def audible_ms(signal: Signal) -> NDArray[np.int64]:
    """The milliseconds at which something can be heard, in steps of 5."""
    return np.flatnonzero(levels(signal) > 10 ** (AUDIBLE_DBFS / 20)) * 5


def speech_end_ms(user: Signal) -> int:
    """The end of the last 5 ms within 45 dB of the loudest, as the labels of the recordings count it."""
    loud = levels(user)
    return int(np.flatnonzero(loud > loud.max() * 10**-2.25)[-1] + 1) * 5


def lag_ms(heard: Signal, taped: Signal) -> float:
    """How much later the same sound is in `heard` than in `taped`."""
    size = 1 << (len(heard) + len(taped)).bit_length()
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(taped, size)), size)
    shift = int(np.argmax(product))
    return (shift if shift < size // 2 else shift - size) / 16


def latencies_ms(line: str) -> tuple[float, float]:
    """Capture and playout latency as PortAudio states them, from the closing line."""
    words = line.replace(",", "").split()
    return float(words[words.index("capture") + 1]), float(words[words.index("playout") + 1])


def test_a_question_is_answered_aloud_and_as_fast_as_the_trace_says(tmp_path: Path) -> None:
    asked = [one_question(tmp_path / f"card{number}") for number in range(3)]
    # A card that ran dry for a moment is late by that much, so each time is the soonest of three.
    assert min(abs(answer.off_ms) for answer in asked) <= 15
    assert min(answer.over_bar_ms for answer in asked) <= 0


@dataclass(frozen=True)
class Answer:
    """How far the latency in the room is from the trace's, and over the bar of 450 ms: that of a machine like the one
    it was set on, without what the card adds.
    """

    off_ms: float
    over_bar_ms: float


def one_question(folder: Path) -> Answer:
    """Ask one on a card of its own: it is understood and answered aloud, every time."""
    with virtual_card(folder) as card:
        room = card.room
        with talking(room, 11) as talk:
            room.play(shipped_wav("a_joke")).wait()
            capture_ms, playout_ms = latencies_ms(talk.line("device latency"))
            (turn,) = talk.turns()
        assert turn["outcome"] == "completed"
        assert normalise(turn["transcript"]) == "can you tell me a joke"
        user, agent = sides(room)
        assert word_error_rate(turn["reply"], transcribed(agent)) <= 0.4
        latency_ms = audible_ms(agent)[0] - speech_end_ms(user)
        # The trace counts from where the voice activity heard the end, in captured samples; the room from the true end.
        late_ms = turn["speech_samples"][1] / 16 - (speech_end_ms(user) - lag_ms(user, tape(talk)))
    # The card's latency counts from the first sample of a block, the trace's media time from its last.
    off_ms = latency_ms - late_ms - (turn["turn_latency_ms"] + capture_ms - BLOCK_MS)
    engines_ms = sum(part["ms"] for part in turn["critical_path"] if part["stage"] in ("stt", "tts"))
    return Answer(off_ms, latency_ms - (450 + allowance_ms(engines_ms) + capture_ms + playout_ms))


def shipped_wav(name: str) -> Path:
    from agent.system.resources import shipped as resource

    return resource("recordings") / f"{name}.flac"


def tape(talk: Talking) -> Signal:
    """What the agent took for the user's voice."""
    return read_wav(talk.folder / "conversation.wav")[:, 0].astype(np.float32)


@pytest.mark.parametrize("echo_db", [None, -20.0])
def test_speech_over_the_answer_silences_it_and_is_answered(room: Room, tmp_path: Path, echo_db: float | None) -> None:
    story = named("barge_in", "barge_in_question")
    if echo_db is not None:
        room.echo(echo_db)
    with talking(room, 40) as talk:  # until the second answer has been played, on a slow machine too
        room.play(clip(tmp_path, story, 0)).wait()
        time.sleep(3.5)  # the agent waits up to 1.3 s for a statement to go on
        room.play(clip(tmp_path, story, 1)).wait()
        capture_ms, playout_ms = latencies_ms(talk.line("device latency"))
        first, second = talk.turns()
    assert (first["outcome"], second["outcome"]) == ("interrupted", "completed")
    assert first["false_starts"] == []  # once silent, it stays so
    assert first["reply"].startswith(first["heard"][:20])
    assert len(first["heard"]) < len(first["reply"]) / 2
    user, agent = sides(room)
    label = story.turns[1]
    said = story.pcm[label.clip_start_samples : label.clip_end_samples].astype(np.float32)
    onset = label.start_samples - label.clip_start_samples
    onset += voiced_onset_samples(story.pcm[label.start_samples : label.end_samples])
    onset_ms = lag_ms(user, said) + onset / 16
    sounding = audible_ms(agent)
    silent_ms = sounding[sounding < onset_ms + 800][-1]  # the next answer comes later than that
    assert silent_ms - onset_ms <= 200 + capture_ms + playout_ms


def test_its_own_echo_does_not_make_the_agent_interrupt_itself(room: Room, tmp_path: Path) -> None:
    story = named("barge_in", "barge_in_question")
    room.echo(-20)
    with talking(room, 30) as talk:
        room.play(clip(tmp_path, story, 0)).wait()
        turns = talk.turns()
    assert len(turns) == 1
    assert turns[0]["false_starts"] == []
    user, agent = sides(room)
    sounding = np.isin(np.arange(0, len(user) // 16, 5), audible_ms(agent))[: len(levels(user))]
    echo_db = 20 * np.log10(levels(user)[sounding].mean() / levels(agent)[: len(sounding)][sounding].mean())
    assert echo_db == pytest.approx(-20, abs=2)  # it was there to be heard


def test_a_card_that_vanishes_is_waited_for(card: Card, room: Room) -> None:
    with talking(room, 30) as talk:
        card.unplug()
        assert "waiting for it to come back" in talk.line("has stopped responding")
        card.plug_in()
        talk.line("is back")
        time.sleep(1)
        room.play(shipped_wav("coffee_shop")).wait()
        assert "coffee" in talk.line("you ")
        talk.line("card lost 1")


def test_the_conversation_on_tape_can_be_replayed(room: Room) -> None:
    with talking(room, 10) as talk:
        room.play(shipped_wav("coffee_shop")).wait()
        (turn,) = talk.turns()
    command = [
        sys.executable,
        "-c",
        "from agent.cli import main; main()",
        "replay",
        str(talk.folder / "user.wav"),
        "--json",
    ]
    replayed = json.loads(subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout)
    assert [t["transcript"] for t in replayed["turns"]] == [turn["transcript"]]
    assert replayed["turns"][0]["labelled"]
