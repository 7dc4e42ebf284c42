import logging
import os
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from agent.measure.audio_file import read_audio
from pipelines.errors import InputError

RATE_HZ = 16_000


def sine(rate_hz: int, seconds: float = 1.0) -> NDArray[np.float64]:
    return np.asarray(0.5 * np.sin(2 * np.pi * 440 * np.arange(round(rate_hz * seconds)) / rate_hz))


def sparse_wav(path: Path, rate_hz: int, channels: int, bytes_per_sample: int, seconds: int) -> Path:
    """A WAV whose samples are a hole in the file, so that an hour costs no disk."""
    frame = channels * bytes_per_sample
    size = rate_hz * seconds * frame
    form = struct.pack("<HHIIHH", 1, channels, rate_hz, rate_hz * frame, frame, 8 * bytes_per_sample)
    with path.open("wb") as file:
        file.write(b"RIFF" + struct.pack("<I", 36 + size) + b"WAVEfmt " + struct.pack("<I", 16) + form)
        file.write(b"data" + struct.pack("<I", size))
        file.truncate(44 + size)
    return path


@pytest.mark.parametrize(
    ("name", "subtype", "rate_hz", "channels"),
    [
        ("8bit.wav", "PCM_U8", 16_000, 1),
        ("24bit.wav", "PCM_24", 48_000, 1),
        ("32bit.wav", "PCM_32", 44_100, 1),
        ("float.wav", "FLOAT", 16_000, 1),
        ("double.wav", "DOUBLE", 22_050, 1),
        ("stereo.wav", "PCM_16", 44_100, 2),
        ("six_channels.wav", "PCM_16", 48_000, 6),
        ("8khz.wav", "PCM_16", 8_000, 1),
        ("96khz.wav", "PCM_24", 96_000, 2),
        ("mulaw.wav", "ULAW", 8_000, 1),
        ("a.flac", "PCM_16", 44_100, 2),
        ("a.ogg", "VORBIS", 48_000, 2),
        ("opus.ogg", "OPUS", 48_000, 1),
        ("a.mp3", "MPEG_LAYER_III", 44_100, 2),
    ],
)
def test_any_format_rate_and_channel_count_becomes_the_same_16_khz_mono(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, subtype: str, rate_hz: int, channels: int
) -> None:
    soundfile.write(tmp_path / name, np.tile(sine(rate_hz)[:, None], channels), rate_hz, subtype=subtype)
    pcm = read_audio(tmp_path / name)
    assert pcm.dtype == np.int16
    assert len(pcm) == pytest.approx(RATE_HZ, abs=0.1 * RATE_HZ)  # MP3 pads
    middle = pcm[4_000:12_000] / 32_768
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.03)
    assert np.argmax(np.abs(np.fft.rfft(middle))) == 220  # 440 Hz in half a second
    assert not caplog.records


def test_16_khz_16_bit_audio_is_not_changed_by_a_single_bit(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).integers(-32_768, 32_767, 50_000).astype(np.int16)
    soundfile.write(tmp_path / "a.wav", noise, RATE_HZ)
    np.testing.assert_array_equal(read_audio(tmp_path / "a.wav"), noise)


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.mp3", "MPEG_LAYER_III"), ("opus.ogg", "OPUS"), ("a.ogg", "VORBIS"), ("a.flac", "PCM_16")]
)
def test_decoding_in_blocks_gives_what_decoding_at_once_gives(tmp_path: Path, name: str, subtype: str) -> None:
    soundfile.write(tmp_path / name, np.random.default_rng(1).uniform(-0.4, 0.4, 200_000), RATE_HZ, subtype=subtype)
    at_once, _ = soundfile.read(tmp_path / name, dtype="float32")
    np.testing.assert_allclose(read_audio(tmp_path / name) / 32_768, at_once, atol=1 / 32_768)


def test_stereo_is_mixed_not_picked(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", np.stack([sine(RATE_HZ), -sine(RATE_HZ)], axis=1), RATE_HZ)
    assert np.abs(read_audio(tmp_path / "a.wav")).max() <= 1


def test_float_audio_beyond_full_scale_is_clipped_not_wrapped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", 4 * sine(RATE_HZ), RATE_HZ, subtype="FLOAT")
    pcm, loud = read_audio(tmp_path / "a.wav"), np.abs(sine(RATE_HZ)) > 0.3
    np.testing.assert_array_equal(np.sign(pcm[loud]), np.sign(sine(RATE_HZ)[loud]))
    assert (pcm.min(), pcm.max()) == (-32_768, 32_767)


def test_an_hour_is_refused_before_it_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = sparse_wav(tmp_path / "hour.wav", 96_000, 2, 2, 3_600)
    monkeypatch.setattr(soundfile.SoundFile, "read", None)
    with pytest.raises(InputError, match=r"60\.0 minutes long .* at most 30: cut it, or raise --max-minutes"):
        read_audio(path)


def test_a_file_that_hides_its_length_is_refused_while_it_is_decoded(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.flac", sine(RATE_HZ, 7), RATE_HZ)
    data = bytearray((tmp_path / "a.flac").read_bytes())
    data[21] &= 0xF0  # the 36-bit sample count of STREAMINFO: 0 means unknown
    data[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(data)
    assert len(read_audio(tmp_path / "a.flac")) == 7 * RATE_HZ
    with pytest.raises(InputError, match=r"0\.1 minutes long"):
        read_audio(tmp_path / "a.flac", max_minutes=0.1)


# In a process of its own: tracemalloc counts what every thread of the process allocates.
PRINT_LENGTH_AND_PEAK = """
import sys, tracemalloc
from pathlib import Path
from agent.measure.audio_file import read_audio
read_audio(Path(sys.argv[1]))  # imports what it needs, which is not counted
tracemalloc.start()
pcm = read_audio(Path(sys.argv[2]))
print(len(pcm), tracemalloc.get_traced_memory()[1])
"""


def test_a_long_file_needs_little_more_memory_than_its_result(tmp_path: Path) -> None:
    short = sparse_wav(tmp_path / "short.wav", 96_000, 2, 2, 1)
    long = sparse_wav(tmp_path / "long.wav", 96_000, 2, 2, 120)  # 46 MB, 92 MB as float32
    command = [sys.executable, "-c", PRINT_LENGTH_AND_PEAK, str(short), str(long)]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    samples, peak = map(int, printed.split())
    assert samples == 120 * RATE_HZ
    assert peak < 2 * (2 * samples) + 4e6  # the result, two bytes a sample, and its blocks


def test_an_hour_is_read_where_it_is_allowed(tmp_path: Path) -> None:
    assert len(read_audio(sparse_wav(tmp_path / "hour.wav", 8_000, 1, 1, 3_600), max_minutes=60)) == 3_600 * RATE_HZ


def test_a_truncated_wav_gives_what_is_there_and_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, sine(RATE_HZ, 2), RATE_HZ)
    path.write_bytes(path.read_bytes()[: 44 + RATE_HZ])
    with caplog.at_level(logging.WARNING):
        assert len(read_audio(path)) == RATE_HZ // 2
    assert "a.wav is cut short; using the 0.5 s that are there" in caplog.text


def test_a_flac_damaged_in_the_middle_gives_its_beginning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "a.flac"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, 10 * RATE_HZ), RATE_HZ)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with caplog.at_level(logging.WARNING):
        assert 3 * RATE_HZ < len(read_audio(path)) <= 5 * RATE_HZ
    assert "cut short" in caplog.text


def write_samples(*samples: float) -> Callable[[Path], None]:
    return lambda path: soundfile.write(path, np.array(samples), RATE_HZ, subtype="FLOAT", format="WAV")


def write_cut(name_format: str, keep: float) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        soundfile.write(path, sine(RATE_HZ), RATE_HZ, format=name_format)
        data = path.read_bytes()
        path.write_bytes(data[: int(len(data) * keep)])

    return write


BAD_FILES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "missing": ("a.wav", lambda path: None, "does not exist"),
    "directory": ("a.wav", Path.mkdir, "is a directory; expected the audio files in it"),
    "pipe": ("a.wav", os.mkfifo, "is not a regular file"),
    "empty": ("a.wav", Path.touch, "is empty (0 bytes)"),
    "text": ("a.wav", lambda path: path.write_text("Dear diary,\n" * 99), "does not begin like an audio file"),
    "text mp3": ("a.mp3", lambda path: path.write_text("Dear diary,\n" * 99), "does not begin like an audio file"),
    "headerless": ("a.raw", lambda path: path.write_bytes(bytes(5_000)), "does not begin like an audio file"),
    "corrupt": ("a.wav", lambda path: path.write_bytes(b"RIFF" + bytes(range(256)) * 9), "is damaged or of an unknown"),
    "riff named raw": ("a.raw", write_samples(0.0, 0.1), "is damaged or of an unknown kind"),
    "cut in the header": ("a.wav", write_cut("WAV", 0.0005), "is damaged or of an unknown kind"),
    "cut at once": ("a.flac", write_cut("FLAC", 0.1), "cannot be decoded, not even its beginning"),
    "no samples": ("a.wav", write_samples(), "holds no audio (0 samples)"),
    "NaN": ("a.wav", write_samples(*[0.0] * 800, float("nan")), "the sample at 0.050 s is infinite or not a number"),
    "infinite": ("a.wav", write_samples(0.0, float("inf")), "the sample at 0.000 s is infinite or not a number"),
}


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_file_gets_one_line_that_names_it_and_says_what_is_expected(tmp_path: Path, case: str) -> None:
    name, make, message = BAD_FILES[case]
    make(tmp_path / name)
    with pytest.raises(InputError) as caught:
        read_audio(tmp_path / name)
    text = str(caught.value)
    assert text.startswith(f"{tmp_path / name}: {message}")
    assert "expected" in text
    assert "\n" not in text


def test_a_file_that_may_not_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF")

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(InputError, match=r"a\.wav: cannot be opened \(Permission denied\)"):
        read_audio(tmp_path / "a.wav")
