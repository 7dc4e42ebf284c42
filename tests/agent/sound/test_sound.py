"""The parts of the sound card that need no card: the ring, the echo path, the cleaner, the queue of the speaker."""

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from agent.sound import speaker as speaker_module
from agent.sound.capture import Ring
from agent.sound.devices import Device
from agent.sound.echo import Cleaner, SoundSettings
from agent.sound.echo_path import EchoPath
from agent.sound.speaker import Speaker
from pipelines.audio import level_dbfs
from pipelines.errors import InputError
from pipelines.events import Pcm

RATE = 16_000
BLOCK = RATE // 50


def noise(seconds: float, gain: float = 0.1, seed: int = 1) -> Pcm:
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 32_768 * gain).astype(np.int16)


# ---------------------------------------------------------------- the ring


def test_what_is_written_comes_out_in_order_also_across_the_edge() -> None:
    ring, out = Ring(10), []
    for start in range(0, 40, 4):
        assert ring.write(np.arange(start, start + 4, dtype=np.int16))
        out += list(ring.read(4))
    assert out == list(range(40))


def test_what_does_not_fit_is_refused_and_what_is_there_is_kept() -> None:
    ring = Ring(6)
    assert ring.write(np.arange(4, dtype=np.int16))
    assert not ring.write(np.arange(3, dtype=np.int16))
    assert list(ring.read(4)) == [0, 1, 2, 3]


# ---------------------------------------------------------------- echo


def heard(path: EchoPath, far: Pcm, near: Pcm) -> None:
    for at in range(0, len(far) - BLOCK + 1, BLOCK):
        path.heard(far[at : at + BLOCK], near[at : at + BLOCK])


def test_headphones_are_told_from_an_open_speaker_within_a_second() -> None:
    far = noise(1.0)
    headphones, open_speaker = EchoPath(), EchoPath()
    heard(headphones, far, noise(1.0, gain=1e-5))
    heard(open_speaker, far, (np.roll(far, 1_600) * 0.1).astype(np.int16))
    assert headphones.is_absent
    assert not open_speaker.is_absent
    assert open_speaker.gain_db == pytest.approx(-20, abs=1)


def test_who_interrupts_over_headphones_does_not_look_like_an_echo() -> None:
    path = EchoPath()
    heard(path, noise(2.0), np.concatenate([noise(1.0, 1e-5), noise(1.0, seed=2)]))
    assert path.is_absent


def test_while_the_agent_is_silent_nothing_is_learned() -> None:
    path = EchoPath()
    heard(path, np.zeros(RATE, np.int16), noise(1.0))
    assert path.gain_db is None


def test_an_echo_is_cancelled_and_the_user_is_not() -> None:
    cleaner = Cleaner(SoundSettings(noise_suppression=False, gain_control=False), RATE, RATE)
    far = noise(6.0)
    near = (np.roll(far, 640) * 0.2).astype(np.int16)  # 40 ms later and 14 dB quieter
    cleaned = [cleaner.clean(near[at : at + BLOCK], far[at : at + BLOCK], 0.04) for at in range(0, len(far), BLOCK)]
    before, after = level_dbfs(near[-RATE:]), level_dbfs(np.concatenate(cleaned)[-RATE:])
    assert before - after > 15


def test_audio_at_48_khz_comes_out_at_16_khz_without_a_gap() -> None:
    cleaner = Cleaner(SoundSettings(), 48_000, 48_000)
    block = np.zeros(960, np.int16)
    samples = sum(len(cleaner.clean(block, block, 0.05)) for _ in range(100))
    assert samples == 2 * RATE


def test_a_longer_delay_than_webrtc_takes_is_no_error() -> None:
    cleaner = Cleaner(SoundSettings(), RATE, RATE)
    block = np.zeros(RATE // 50, np.int16)
    assert len(cleaner.clean(block, block, 0.9)) == len(block)


def test_a_block_that_is_no_whole_10_ms_is_refused() -> None:
    with pytest.raises(ValueError, match="not a whole number of 10 ms blocks"):
        Cleaner(SoundSettings(), RATE, RATE).clean(np.zeros(150, np.int16), np.zeros(160, np.int16), 0.05)


# ---------------------------------------------------------------- the speaker


class Card:
    """PortAudio's side of an output stream: it asks for blocks when the test says so."""

    latency = 0.04

    def __init__(self, **arguments: Any) -> None:
        self._fill: Callable[..., None] = arguments["callback"]

    def start(self) -> None: ...

    def close(self, *, ignore_errors: bool) -> None: ...

    def block(self, underflow: bool = False) -> Pcm:
        """One block, as the card would take it 40 ms before it sounds."""
        out = bytearray(2 * BLOCK)
        time = SimpleNamespace(outputBufferDacTime=1.04, currentTime=1.0)
        self._fill(memoryview(out), BLOCK, time, SimpleNamespace(output_underflow=underflow))
        return np.frombuffer(bytes(out), np.int16)


@pytest.fixture
def speaker(monkeypatch: pytest.MonkeyPatch) -> tuple[Speaker, Card, list[float]]:
    monkeypatch.setattr(speaker_module, "portaudio", lambda: SimpleNamespace(RawOutputStream=Card))
    now = [10.0]
    played = Speaker(Device(0, "card", 0, 1, RATE, False, True), RATE, lambda: now[0], lambda block: None)
    return played, played._stream, now


def tone(samples: int) -> Pcm:
    return np.full(samples, 10_000, np.int16)


def test_what_is_queued_is_played_and_its_time_is_the_cards(speaker: tuple[Speaker, Card, list[float]]) -> None:
    output, card, _ = speaker
    card.block()
    starts = asyncio.run(_play(output, tone(2 * BLOCK), tone(BLOCK)))
    assert starts == [pytest.approx(10.06), pytest.approx(10.10)]  # after the block under way, which sounds 40 ms late
    blocks = [card.block() for _ in range(4)]
    assert [int(block[-1]) for block in blocks] == [10_000, 10_000, 10_000, 0]


async def _play(output: Speaker, *pieces: Pcm) -> list[float]:
    return [await output.play(piece) for piece in pieces]


def test_a_pause_falls_silent_within_the_next_block_and_loses_nothing(
    speaker: tuple[Speaker, Card, list[float]],
) -> None:
    output, card, _ = speaker
    asyncio.run(_play(output, tone(4 * BLOCK)))
    card.block()
    output.pause()
    fading = card.block()
    assert not fading[RATE * 5 // 1_000 :].any()
    assert fading[0] > fading[40] > 0  # it dies away and does not click
    assert not card.block().any()
    output.resume()
    rest = np.concatenate([card.block() for _ in range(5)])
    assert np.count_nonzero(rest) == pytest.approx(4 * BLOCK - BLOCK - RATE * 5 // 1_000, abs=2)


def test_clear_drops_the_rest_and_what_comes_after_it_is_played(
    speaker: tuple[Speaker, Card, list[float]],
) -> None:
    output, card, _ = speaker
    asyncio.run(_play(output, tone(10 * BLOCK)))
    card.block()
    output.clear()
    assert not card.block()[RATE * 5 // 1_000 :].any()
    assert not card.block().any()
    asyncio.run(_play(output, tone(BLOCK)))
    assert card.block()[-1] == 10_000
    assert not card.block().any()


def test_a_card_that_was_fed_too_late_is_counted(speaker: tuple[Speaker, Card, list[float]]) -> None:
    output, card, _ = speaker
    card.block(underflow=True)
    assert output.underruns == 1


# ---------------------------------------------------------------- devices


def test_without_portaudio_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    from agent.sound import devices

    real = builtins.__import__

    def no_portaudio(name: str, *arguments: Any) -> Any:
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *arguments)

    monkeypatch.setattr(builtins, "__import__", no_portaudio)
    with pytest.raises(InputError, match="PortAudio is not installed; to install it: "):
        devices.find("input", "")


def devices_are(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    from agent.sound import devices

    found = [Device(n, name, 1, 1, 48_000, n == 1, n == 0) for n, name in enumerate(names)]
    monkeypatch.setattr(devices, "devices", lambda: found)


@pytest.mark.parametrize(("name", "number"), [("", 1), ("usb", 0), ("USB Headset", 0), ("2", 2)])
def test_a_device_is_found_by_part_of_its_name(name: str, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    from agent.sound.devices import find

    devices_are(monkeypatch, "USB Headset", "Built-in", "HDMI")
    assert find("input", name).number == number


@pytest.mark.parametrize(
    ("names", "wanted", "says"),
    [
        ((), "", "no microphone was found: plug one in"),
        (("Built-in",), "usb", "input device 'usb' is not one of: 'Built-in'"),
        (("USB one", "USB two"), "usb", "input device 'usb' is one of several: 'USB one', 'USB two'"),
    ],
)
def test_a_device_that_cannot_be_told_is_one_clear_line(
    names: tuple[str, ...], wanted: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from agent.sound.devices import find

    devices_are(monkeypatch, *names)
    with pytest.raises(InputError, match=says):
        find("input", wanted)
