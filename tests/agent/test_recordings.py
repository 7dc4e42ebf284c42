import wave
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from agent import resources
from agent.recordings import Pause, Recording, load, shipped
from pipelines.errors import ConfigError, InputError
from pipelines.events import Pcm

RATE_HZ = 16_000
CLEAN = {
    "backchannel",
    "question_short",
    "question_long",
    "one_word",
    "numbers",
    "tool",
    "dialogue",
    "pause",
    "pause_finished",
    "fast",
    "quiet",
    "barge_in",
}
NOISY = {"noise_20db", "noise_10db"}
SPEECHLESS = {"silence", "noise_only", "tones"}


# ---------------------------------------------------------------- labels

LABELS = """
[[recording]]
name = "hello"
file = "hello.wav"
kind = "tool"
voice = "anna"
held_out = true
noise_snr_db = 12.5
[[recording.turn]]
text = "Set a timer and the alarm."
start_samples = 1000
end_samples = 9000
clip_start_samples = 0
clip_end_samples = 10000
pauses = [[3000, 4000, "open"], [5000, 6000, "dangling"]]
[[recording.turn]]
text = "Stop."
start_samples = 11000
end_samples = 15000
clip_start_samples = 10000
clip_end_samples = 16000
barge_in_ms = 700
"""


def labelled_folder(folder: Path, labels: str = LABELS) -> Path:
    soundfile.write(folder / "hello.wav", np.zeros(8_000), 8_000)
    (folder / "recordings.toml").write_text(labels)
    return folder / "hello.wav"


def test_labels_beside_a_file_are_used(tmp_path: Path) -> None:
    (recording,) = load([labelled_folder(tmp_path)])
    assert (recording.name, recording.kind, recording.voice, recording.held_out) == ("hello", "tool", "anna", True)
    assert recording.labelled
    assert len(recording.pcm) == 16_000
    first, second = recording.turns
    assert (first.text, first.start_samples, first.end_samples) == ("Set a timer and the alarm.", 1_000, 9_000)
    assert first.pauses == (Pause(3_000, 4_000, "open"), Pause(5_000, 6_000, "dangling"))
    assert (first.barge_in_ms, second.barge_in_ms) == (None, 700)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'voice = "anna"',
            'voice = "anna"\ncolour = 1',
            "recording[0].colour is not a known key; expected one of: n",
        ),
        (
            "barge_in_ms = 700",
            "barge_in = 700",
            "recording[0].turn[1].barge_in is not a known key; expected one of: t",
        ),
        ("[[recording]]", "version = 1\n[[recording]]", "version is not a known key; expected one of: recording"),
        ("end_samples = 9000", 'end_samples = "soon"', "recording[0].turn[0].end_samples 'soon': Input should be"),
        ('"dangling"]', '"odd"]', "recording[0].turn[0].pauses[1][2] 'odd': Input should be 'dangling', 'open'"),
        ('kind = "tool"\n', "", "recording[0].kind is missing"),
        (
            "end_samples = 16000",
            "end_samples = 17000",
            "recording[0].turn[1].clip_end_samples 17000 is not the end of hello",
        ),
        (
            "end_samples = 16000",
            "end_samples = 15500",
            "recording[0].turn[1].clip_end_samples 15500 is not the end of hello",
        ),
        (
            "clip_start_samples = 10000",
            "clip_start_samples = 9000",
            "recording[0].turn[1].clip_start_samples 9000: expe",
        ),
        (
            "end_samples = 9000",
            "end_samples = 10001",
            "recording[0].turn[0]: speech from 1000 to 10001 leaves its clip; ex",
        ),
        (
            "\nstart_samples = 1000\n",
            "\nstart_samples = -1\n",
            "recording[0].turn[0]: speech from -1 to 9000 leaves its clip; ex",
        ),
        (
            "end_samples = 9000",
            "end_samples = 900",
            "recording[0].turn[0]: start, pauses and end are [1000, 3000, 4000, 5",
        ),
        (
            "[3000, 4000,",
            "[4000, 3000,",
            "recording[0].turn[0]: start, pauses and end are [1000, 4000, 3000, 5000, 600",
        ),
        ("barge_in_ms = 700", "barge_in_ms = -1", "recording[0].turn[1].barge_in_ms -1: expected 0 or more"),
        (
            "pauses",
            "barge_in_ms = 9\npauses",
            "recording[0].turn[0].barge_in_ms 9: expected 0 or more, after the f",
        ),
        ('name = "hello"', "name = hello", "cannot be read as TOML: Invalid value (at line 3"),
    ],
)
def test_bad_labels_get_one_line_with_the_full_path_of_the_key(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    assert LABELS.count(old) == 1
    path = labelled_folder(tmp_path, LABELS.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load([path])
    assert str(caught.value).startswith(f"{tmp_path / 'recordings.toml'}: {message}")
    assert "\n" not in str(caught.value)


def test_labels_that_are_not_text_are_refused(tmp_path: Path) -> None:
    path = labelled_folder(tmp_path)
    (tmp_path / "recordings.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as TOML"):
        load([path])


def test_a_file_labelled_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"recording\[1\]\.file 'hello\.wav' is labelled twice"):
        load([labelled_folder(tmp_path, LABELS + LABELS)])


def test_two_recordings_of_one_name_are_refused_because_their_outputs_would_overwrite_each_other(
    tmp_path: Path,
) -> None:
    path = labelled_folder(tmp_path)
    soundfile.write(tmp_path / "hello.flac", np.zeros(RATE_HZ), RATE_HZ)
    with pytest.raises(InputError, match=r"hello\.flac: another recording is named 'hello' already"):
        load([path, tmp_path / "hello.flac"])


# ---------------------------------------------------------------- estimates


def without_labels(folder: Path, name: str, pcm: Pcm) -> Recording:
    soundfile.write(folder / f"{name}.flac", pcm, RATE_HZ)
    (recording,) = load([folder / f"{name}.flac"])
    assert not recording.labelled
    return recording


def test_the_estimated_edges_of_clean_speech_are_within_10_ms_of_the_labels(tmp_path: Path) -> None:
    for recording in shipped("question_short", "question_long", "one_word", "pause", "quiet", "fast"):
        (truth,) = recording.turns
        (turn,) = without_labels(tmp_path, recording.name, recording.pcm).turns
        assert turn.text is None
        assert abs(turn.start_samples - truth.start_samples) <= 160, recording.name
        assert abs(turn.end_samples - truth.end_samples) <= 160, recording.name
        assert (turn.clip_start_samples, turn.clip_end_samples) == (0, len(recording.pcm))


def test_the_estimated_end_of_noisy_speech_is_within_150_ms_of_the_label(tmp_path: Path) -> None:
    for recording in shipped("noise_20db", "noise_10db"):
        (turn,) = without_labels(tmp_path, recording.name, recording.pcm).turns
        assert abs(turn.end_samples - recording.turns[0].end_samples) <= 2_400, recording.name


def test_a_second_of_silence_begins_another_turn_and_less_does_not(tmp_path: Path) -> None:
    question = shipped("question_short")[0].pcm
    apart = np.concatenate([question, np.zeros(RATE_HZ, np.int16), question])
    first, second = without_labels(tmp_path, "apart", apart).turns
    assert first.clip_start_samples == 0
    assert first.end_samples < first.clip_end_samples == second.clip_start_samples < second.start_samples
    assert second.clip_end_samples == len(apart)
    assert len(without_labels(tmp_path, "joined", np.concatenate([question, question])).turns) == 1


def test_nobody_speaks_in_silence_noise_and_music(tmp_path: Path) -> None:
    for recording in shipped(*SPEECHLESS):
        assert without_labels(tmp_path, recording.name, recording.pcm).turns == ()


def test_a_file_shorter_than_one_frame_holds_no_turn(tmp_path: Path) -> None:
    assert without_labels(tmp_path, "short", np.ones(1, np.int16)).turns == ()


# ---------------------------------------------------------------- the shipped recordings


@pytest.fixture(scope="module")
def fixtures() -> list[Recording]:
    return shipped()


def levels_db(pcm: Pcm) -> NDArray[np.float64]:
    """Level of each 5 ms."""
    power = np.array([np.square(frame, dtype=np.float64).mean() for frame in np.split(pcm, range(80, len(pcm), 80))])
    return np.asarray(10 * np.log10(power + 1e-9))


def test_at_least_30_recordings_of_every_kind_come_with_the_project_in_8_mb(fixtures: list[Recording]) -> None:
    files = list(resources.shipped("recordings").glob("*.wav"))
    assert len(files) == len(fixtures) >= 30
    assert sum(file.stat().st_size for file in files) <= 8e6
    assert {recording.kind for recording in fixtures} == CLEAN | NOISY | SPEECHLESS | {"sounds"}
    assert all(recording.labelled for recording in fixtures)
    plain = [r for r in fixtures if r.kind in {"question_short", "question_long"} and not r.held_out]
    assert len(plain) >= 10
    for file in files:
        with wave.open(str(file)) as audio:
            assert audio.getparams()[:3] == (1, 2, RATE_HZ)


def test_speech_begins_and_ends_where_the_labels_say(fixtures: list[Recording]) -> None:
    for recording in fixtures:
        if recording.kind not in CLEAN:
            continue
        for turn in recording.turns:
            levels = levels_db(recording.pcm[turn.clip_start_samples : turn.clip_end_samples])
            loud = np.flatnonzero(levels > levels.max() - 45)
            start_ms, end_ms = 5 * loud[0], 5 * (loud[-1] + 1)
            assert abs(start_ms - (turn.start_samples - turn.clip_start_samples) / 16) <= 10, (
                recording.name,
                turn.text,
            )
            assert abs(end_ms - (turn.end_samples - turn.clip_start_samples) / 16) <= 10, (recording.name, turn.text)


def test_noise_lies_at_its_signal_to_noise_ratio_and_outlives_the_speech(fixtures: list[Recording]) -> None:
    for recording, snr_db in [(r, float(r.kind[6:8])) for r in fixtures if r.kind in NOISY]:
        (turn,) = recording.turns
        assert len(recording.pcm) - turn.end_samples == 1.2 * RATE_HZ
        power = recording.pcm.astype(np.float64) ** 2
        noise = power[turn.end_samples + 1_600 :].mean()
        speech = power[turn.start_samples : turn.end_samples].mean() - noise
        # Gaps between words count here and not in the label, so that the speech measures a little weaker.
        assert snr_db - 2.5 < 10 * np.log10(speech / noise) < snr_db + 0.5, recording.name


def test_every_turn_has_300_ms_before_it_and_100_ms_after_it(fixtures: list[Recording]) -> None:
    for recording in fixtures:
        for turn in recording.turns:
            assert turn.start_samples - turn.clip_start_samples == 4_800
            if recording.kind not in NOISY:
                assert turn.clip_end_samples - turn.end_samples == 1_600


def test_pauses_are_silent_and_come_in_three_lengths_after_open_and_dangling_words() -> None:
    found = []
    for recording in shipped("pause"):
        (turn,) = recording.turns
        for pause in turn.pauses:
            assert not recording.pcm[pause.start_samples : pause.end_samples].any()
            before = recording.pcm[pause.start_samples - 320 : pause.start_samples]
            after = recording.pcm[pause.end_samples : pause.end_samples + 320]
            assert before.any()
            assert after.any()
            found.append(((pause.end_samples - pause.start_samples) // 16, pause.after))
    assert len(found) >= 9
    assert set(found) == {(length, after) for length in (300, 600, 900) for after in ("open", "dangling")}


def test_dialogues_and_barge_ins_have_their_turns(fixtures: list[Recording]) -> None:
    assert [len(r.turns) for r in fixtures if r.kind == "dialogue"] == [6]
    for recording in fixtures:
        barge_ins = [turn.barge_in_ms is not None for turn in recording.turns]
        match recording.kind:
            case "barge_in":
                assert barge_ins == [False, True]
            case "backchannel" | "sounds":
                assert barge_ins == [False, *[True] * 6]
            case "dialogue":
                assert not any(barge_ins)
            case kind:
                assert barge_ins == ([] if kind in SPEECHLESS else [False])


def test_quiet_speech_is_quiet_and_silence_is_silent(fixtures: list[Recording]) -> None:
    peaks = {recording.kind: int(np.abs(recording.pcm).max()) for recording in fixtures}
    assert 0 < peaks["quiet"] < 0.04 * peaks["question_short"]
    assert peaks["silence"] == 0
    assert peaks["noise_only"] > 0


def test_shipped_recordings_are_chosen_by_kind() -> None:
    assert {recording.kind for recording in shipped("tool", "numbers")} == {"tool", "numbers"}
    with pytest.raises(InputError, match="recording kind 'songs' is not one of: backchannel, barge_in, dialogue"):
        shipped("songs")


def test_an_installed_wheel_brings_its_recordings_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resources.shipped("recordings") == Path(resources.__file__).parents[1] / "recordings"
    (tmp_path / "share" / "recordings").mkdir(parents=True)
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    assert resources.shipped("recordings") == tmp_path / "share" / "recordings"
