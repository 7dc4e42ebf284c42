"""What is heard where nobody speaks to the agent: noise, music, typing, coughs, laughter, breathing, knocks.

Each function makes as many samples at 16 kHz as it is asked for, the same for the same seed, with peaks below full
scale and about as loud as a talker in the same room. All are synthetic: noise shaped in band and time, and pulses like
those of a voice for laughter. Independent of recordings or labels. Babble needs talkers: `conditions.babble`.
"""

from collections.abc import Callable, Iterator

import numpy as np
from conditions import RATE_HZ, Signal, generator, pink_noise

_PEAK = 0.4


def silence(samples: int, seed: str = "") -> Signal:
    """Digital silence."""
    return np.zeros(samples)


def noise(samples: int, seed: str = "noise") -> Signal:
    """Pink noise at -30 dB of full scale, like a fan."""
    return 0.03 * pink_noise(samples, seed)


def music(samples: int, seed: str = "music") -> Signal:
    """A slow tune over chords, each note of four decaying harmonics, in one key and without an end."""
    random = generator(seed)
    signal = np.zeros(samples)
    scale = [57, 59, 60, 62, 64, 65, 67, 69, 71, 72]
    place, at = 0, 0
    while at < samples:
        notes = [scale[place]]
        if random.random() < 0.3:
            notes += [scale[(place + 2) % len(scale)], scale[(place + 4) % len(scale)]]
        for note in notes:
            _add(signal, at, _note(440 * 2 ** ((note - 69) / 12)))
        place = int(np.clip(place + random.integers(-3, 4), 0, len(scale) - 1))
        at += int(RATE_HZ * random.choice([0.25, 0.25, 0.5, 0.8]))
    return signal


def typing(samples: int, seed: str = "typing") -> Signal:
    """Keys of a keyboard close to the microphone, in runs with pauses between them."""
    random = generator(seed)

    def keys() -> Iterator[tuple[float, Signal]]:
        while True:
            for _ in range(int(random.integers(4, 25))):
                click = _burst(random, 0.08, 0.006, 800, 7_000) * random.uniform(0.4, 1.0)
                yield random.uniform(0.08, 0.22), click
            yield random.uniform(0.5, 2.0), np.zeros(1)

    return _scattered(samples, keys())


def coughs(samples: int, seed: str = "coughs") -> Signal:
    """Coughs of two or three bursts each, every one to four seconds."""
    random = generator(seed)

    def bursts() -> Iterator[tuple[float, Signal]]:
        while True:
            for _ in range(int(random.integers(2, 4))):
                yield 0.35, _burst(random, 0.4, random.uniform(0.06, 0.12), 200, 3_500)
            yield random.uniform(1.0, 4.0), np.zeros(1)

    return _scattered(samples, bursts())


def laughter(samples: int, seed: str = "laughter") -> Signal:
    """Somebody laughs: runs of five to ten breathy vowels whose pitch and strength fall, every two to five seconds."""
    random = generator(seed)

    def syllables() -> Iterator[tuple[float, Signal]]:
        while True:
            pitch_hz, count = random.uniform(150, 320), int(random.integers(5, 11))
            for index in range(count):
                fall = 1 - 0.4 * index / count
                yield 0.19, fall * _laugh(random, pitch_hz * fall)
            yield random.uniform(2.0, 5.0), np.zeros(1)

    return _scattered(samples, syllables())


def breathing(samples: int, seed: str = "breathing") -> Signal:
    """Breath into the microphone, in and out, fifteen times a minute, 15 dB below the other sounds."""
    random = generator(seed)

    def breaths() -> Iterator[tuple[float, Signal]]:
        while True:
            for low_hz, high_hz, length_s in ((600, 5_000, 1.2), (300, 3_000, 1.6)):
                samples = round(RATE_HZ * length_s * random.uniform(0.8, 1.2))
                breath = _band(random, samples, low_hz, high_hz) * np.hanning(samples)
                yield length_s + 0.5, 0.18 * breath / np.abs(breath).max()

    return _scattered(samples, breaths())


def knocks(samples: int, seed: str = "knocks") -> Signal:
    """Three knocks on a table every two seconds."""
    random = generator(seed)

    def knock() -> Iterator[tuple[float, Signal]]:
        while True:
            for _ in range(3):
                yield 0.22, _burst(random, 0.22, 0.02, 60, 500)
            yield 1.34, np.zeros(1)

    return _scattered(samples, knock())


def clicks(samples: int, seed: str = "clicks") -> Signal:
    """Two clicks of a mouse every second."""
    random = generator(seed)

    def click() -> Iterator[tuple[float, Signal]]:
        while True:
            for _ in range(2):
                yield 0.25, _burst(random, 0.25, 0.002, 1_000, 7_500)
            yield 0.5, np.zeros(1)

    return _scattered(samples, click())


SOUNDS: dict[str, Callable[[int, str], Signal]] = {
    "silence": silence,
    "noise": noise,
    "music": music,
    "typing": typing,
    "coughs": coughs,
    "laughter": laughter,
    "breathing": breathing,
    "knocks": knocks,
    "clicks": clicks,
}
"""Every sound by name: samples and seed to a signal."""


# ---------------------------------------------------------------- what they are made of


def _scattered(samples: int, sounds: Iterator[tuple[float, Signal]]) -> Signal:
    """Sounds one after another, each at the stated seconds after the one before began; the last may be cut."""
    signal, at = np.zeros(samples), 0
    while at < samples:
        wait_s, sound = next(sounds)
        _add(signal, at, _PEAK * sound)
        at += round(wait_s * RATE_HZ)
    return signal


def _add(signal: Signal, at: int, sound: Signal) -> None:
    part = sound[: len(signal) - at]
    signal[at : at + len(part)] += part


def _band(random: np.random.Generator, samples: int, low_hz: float, high_hz: float) -> Signal:
    """Noise of a band."""
    spectrum = np.fft.rfft(random.standard_normal(samples))
    frequency_hz = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    inside = (frequency_hz > low_hz) & (frequency_hz < high_hz)
    return np.asarray(np.fft.irfft(np.where(inside, spectrum, 0), samples), np.float64)


def _burst(random: np.random.Generator, length_s: float, decay_s: float, low_hz: float, high_hz: float) -> Signal:
    """Noise of a band that dies away; peak 1."""
    time_s = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    band = _band(random, len(time_s), low_hz, high_hz) * np.minimum(1, time_s / 0.004) * np.exp(-time_s / decay_s)
    return np.asarray(band / np.abs(band).max(), np.float64)


def _note(pitch_hz: float) -> Signal:
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * pitch_hz * k * time_s) / k**2 for k in range(1, 5))
    return np.asarray(0.1 * np.minimum(1, time_s / 0.01) * np.exp(-time_s / 0.35) * harmonics, np.float64)


def _laugh(random: np.random.Generator, pitch_hz: float) -> Signal:
    """One "ha": breath, then pulses of the voice through the resonances of an open vowel; peak 1."""
    time_s = np.arange(round(0.16 * RATE_HZ)) / RATE_HZ
    voice = np.zeros(len(time_s))
    for harmonic in range(1, int(4_000 / pitch_hz)):
        frequency_hz = harmonic * pitch_hz
        strength = sum(1 / (1 + ((frequency_hz - formant) / 120) ** 2) for formant in (750, 1_250, 2_600))
        voice += strength / harmonic**0.5 * np.sin(2 * np.pi * frequency_hz * time_s + random.uniform(0, 6))
    breath = _band(random, len(time_s), 500, 5_000)
    breath *= 0.3 * np.abs(voice).max() / np.abs(breath).max()
    both = breath * np.exp(-time_s / 0.05) + voice * np.clip((time_s - 0.04) / 0.02, 0, 1) * np.exp(-time_s / 0.07)
    return np.asarray(both / np.abs(both).max(), np.float64)
