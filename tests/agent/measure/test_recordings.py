from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from agent.measure.recordings import Pause, Recording, load, shipped
from agent.system import resources
from pipelines.errors import ConfigError, InputError
from pipelines.events import Pcm

RATE_HZ = 16_000
CLEAN = {
    "backchannel",
    "barge_in",
    "comma",
    "dialogue",
    "fast",
    "filler",
    "list",
    "long",
    "numbers",
    "one_word",
    "pause",
    "pause_finished",
    "pause_open",
    "question_long",
    "question_short",
    "quiet",
    "restart",
    "tool",
    "two_questions",
}
NOISY = {"noise_20db", "noise_10db", "babble_20db", "babble_10db"}
ROUGH = NOISY | {"telephone", "room", "breath"}
SPEECHLESS = {"silence", "noise_only", "tones", "no_speech"}


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
            "recording[0].colour is not one of: 'name', '",
        ),
        (
            "barge_in_ms = 700",
            "barge_in = 700",
            "recording[0].turn[1].barge_in is not one of: 'text', ",
        ),
        ("[[recording]]", "version = 1\n[[recording]]", "version is not one of: 'recording'"),
        ("end_samples = 9000", 'end_samples = "soon"', "recording[0].turn[0].end_samples is 'soon': input should be"),
        ('"dangling"]', '"odd"]', "recording[0].turn[0].pauses[1][2] is 'odd': input should be 'dangling', 'open'"),
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


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (LABELS.replace('name = "hello"', "name = hello").encode(), "Invalid value (at line 3"),
        (b"\xff\xfe\x00", "it is not UTF-8 text"),
    ],
)
def test_labels_that_are_not_toml_are_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    path = labelled_folder(tmp_path)
    (tmp_path / "recordings.toml").write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load([path])
    assert str(caught.value).startswith(f"labels {tmp_path / 'recordings.toml'} is not valid TOML: {problem}")
    assert "\n" not in str(caught.value)


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


def test_the_estimated_edges_of_clean_speech_are_within_10_and_35_ms_of_the_labels(tmp_path: Path) -> None:
    """The end is less exact: how far down a last sound counts depends on which it is, and that only the text tells."""
    for recording in shipped("question_short", "question_long", "one_word", "tool", "long", "quiet", "fast"):
        (truth,) = recording.turns
        (turn,) = without_labels(tmp_path, recording.name, recording.pcm).turns
        assert turn.text is None
        assert abs(turn.start_samples - truth.start_samples) <= 160, recording.name
        assert abs(turn.end_samples - truth.end_samples) <= 560, recording.name
        assert (turn.clip_start_samples, turn.clip_end_samples) == (0, len(recording.pcm))


def test_the_estimated_end_of_speech_in_noise_or_echo_is_within_250_ms_of_the_label(tmp_path: Path) -> None:
    for recording in shipped("noise_20db", "noise_10db", "room", "telephone", "breath"):
        (turn,) = without_labels(tmp_path, recording.name, recording.pcm).turns
        assert abs(turn.end_samples - recording.turns[0].end_samples) <= 4_000, recording.name


def test_a_second_of_silence_begins_another_turn_and_less_does_not(tmp_path: Path) -> None:
    question = shipped("question_short")[0].pcm
    apart = np.concatenate([question, np.zeros(RATE_HZ, np.int16), question])
    first, second = without_labels(tmp_path, "apart", apart).turns
    assert first.clip_start_samples == 0
    assert first.end_samples < first.clip_end_samples == second.clip_start_samples < second.start_samples
    assert second.clip_end_samples == len(apart)
    assert len(without_labels(tmp_path, "joined", np.concatenate([question, question])).turns) == 1


def test_nobody_speaks_in_silence_noise_and_music(tmp_path: Path) -> None:
    for recording in shipped("silence", "noise_only", "tones"):
        assert without_labels(tmp_path, recording.name, recording.pcm).turns == ()


def test_a_file_shorter_than_one_frame_holds_no_turn(tmp_path: Path) -> None:
    assert without_labels(tmp_path, "short", np.ones(1, np.int16)).turns == ()


# ---------------------------------------------------------------- the shipped recordings


@pytest.fixture(scope="module")
def fixtures() -> list[Recording]:
    return shipped()


def levels_db(pcm: Pcm) -> NDArray[np.float64]:
    """Level of each 5 ms in dB of full scale."""
    whole = len(pcm) // 80 * 80
    power = np.square(pcm[:whole] / 32_768.0).reshape(-1, 80).mean(axis=1)
    return np.asarray(10 * np.log10(power + 1e-12))


def test_every_kind_of_recording_comes_with_the_project_in_12_mb_and_8_minutes(fixtures: list[Recording]) -> None:
    files = list(resources.shipped("recordings").glob("*.flac"))
    assert len(files) == len(fixtures) >= 100
    assert sum(file.stat().st_size for file in files) <= 12e6
    assert sum(len(recording.pcm) for recording in fixtures) <= 8 * 60 * RATE_HZ
    assert {recording.kind for recording in fixtures} == CLEAN | ROUGH | SPEECHLESS | {"sounds"}
    assert all(recording.labelled for recording in fixtures)
    for file in files:
        about = soundfile.info(str(file))
        assert (about.format, about.subtype) == ("FLAC", "PCM_16")
        assert (about.channels, about.samplerate) == (1, RATE_HZ)


def test_half_of_the_voices_are_held_out_and_at_least_twelve_plain_questions_are_in_each_half(
    fixtures: list[Recording],
) -> None:
    tuned = {recording.voice for recording in fixtures if not recording.held_out} - {"none"}
    held_out = {recording.voice for recording in fixtures if recording.held_out}
    assert not tuned & held_out
    assert (len(tuned), len(held_out)) == (14, 13)
    for group in (tuned, held_out):
        assert {voice[:2] for voice in group} == {"af", "am", "bf", "bm"}
        assert sum(r.kind in {"question_short", "question_long"} and r.voice in group for r in fixtures) >= 12


def test_speech_reaches_from_label_to_label_and_not_beyond(fixtures: list[Recording]) -> None:
    for recording in fixtures:
        if recording.kind not in CLEAN:
            continue
        loudest = levels_db(recording.pcm).max()
        for turn in recording.turns:
            start, end = turn.start_samples, turn.end_samples
            inside = levels_db(recording.pcm[start:end]) - loudest
            # A vowel's end is measured in its own band, and a weak turn of a dialogue against itself: hence 60 dB.
            assert max(inside[:2].max(), inside[-2:].max()) > -60, (recording.name, turn.text)
            before = levels_db(recording.pcm[turn.clip_start_samples : start - 320])
            after = levels_db(recording.pcm[end + 960 : turn.clip_end_samples])
            assert max(before.max(), after.max()) < max(-68, loudest - 60), (recording.name, turn.text)


def test_noise_lies_at_its_signal_to_noise_ratio_and_outlives_the_speech(fixtures: list[Recording]) -> None:
    for recording, snr_db in [(r, float(r.kind.partition("_")[2][:2])) for r in fixtures if r.kind in NOISY]:
        (turn,) = recording.turns
        assert len(recording.pcm) - turn.end_samples == 1.2 * RATE_HZ
        power = recording.pcm.astype(np.float64) ** 2
        noise = power[turn.end_samples + 1_600 :].mean()
        speech = power[turn.start_samples : turn.end_samples].mean() - noise
        assert abs(10 * np.log10(speech / noise) - snr_db) < 3.0, recording.name


def test_every_turn_has_300_ms_before_it_and_100_ms_after_it(fixtures: list[Recording]) -> None:
    for recording in fixtures:
        for turn in recording.turns:
            assert turn.start_samples - turn.clip_start_samples == 4_800
            outlived = recording.kind in NOISY | {"room", "breath"}
            assert turn.clip_end_samples - turn.end_samples == (19_200 if outlived else 1_600)


def test_pauses_are_silent_and_as_long_as_people_hesitate(fixtures: list[Recording]) -> None:
    lengths_ms: dict[str, set[int]] = {}
    for recording in fixtures:
        for pause in (pause for turn in recording.turns for pause in turn.pauses):
            length = pause.end_samples - pause.start_samples
            lengths_ms.setdefault(pause.after, set()).add(length // 16)
            if length >= 4_800:  # the end of a word fades for 60 ms, and a word begins within 20 ms
                silent = levels_db(recording.pcm[pause.start_samples + 960 : pause.end_samples - 320])
                assert silent.max() < -68, recording.name
    for kind in ("dangling", "open", "finished"):
        assert lengths_ms[kind] == {500, 800, 1_200}
    assert min(lengths_ms["list"]) == 400
    assert max(lengths_ms["list"]) == 800
    assert 300 in lengths_ms["comma"]


def test_dialogues_and_barge_ins_have_their_turns(fixtures: list[Recording]) -> None:
    assert [len(r.turns) for r in fixtures if r.kind == "dialogue"] == [6, 5]
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
    peaks = {recording.name: int(np.abs(recording.pcm).max()) for recording in fixtures}
    assert 0 < peaks["quiet"] < 0.04 * peaks["time_in_tokyo"]
    assert peaks["silence"] == 0
    assert peaks["noise"] > 0


def test_a_telephone_line_carries_nothing_above_3_4_khz() -> None:
    for recording in shipped("telephone"):
        power = np.abs(np.fft.rfft(recording.pcm)) ** 2
        frequency_hz = np.fft.rfftfreq(len(recording.pcm), 1 / RATE_HZ)
        assert power[frequency_hz > 4_000].sum() < 1e-3 * power.sum(), recording.name


def test_shipped_recordings_are_chosen_by_kind() -> None:
    assert {recording.kind for recording in shipped("tool", "numbers")} == {"tool", "numbers"}
    with pytest.raises(InputError, match="recording kind 'songs' is not one of: babble_10db, babble_20db, backcha"):
        shipped("songs")


def test_an_installed_wheel_brings_its_recordings_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert resources.shipped("recordings") == Path(resources.__file__).parents[2] / "recordings"
    (tmp_path / "share" / "recordings").mkdir(parents=True)
    monkeypatch.setattr(resources, "_PACKAGE", tmp_path)
    assert resources.shipped("recordings") == tmp_path / "share" / "recordings"
