"""What happens to speech on its way to the agent: a room, a telephone line, other talkers, noise.

Every function takes and returns a signal at 16 kHz and leaves the speech where it was, so that labels stay exact. It
knows nothing of synthesizers or labels.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import soxr
from numpy.typing import NDArray

Signal = NDArray[np.float64]
"""Mono audio at 16 kHz, shape (samples,), full scale at 1."""

RATE_HZ = 16_000
FLOOR_DB = -75.0
"""Level of the quiet room behind every recording, in dB of full scale."""

_TELEPHONE_HZ = (300.0, 3_400.0)
_MU = 255.0
_DIRECT_TO_REVERBERANT_DB = 4.0
_OUTLIVES = RATE_HZ * 11 // 10


def generator(seed: str) -> np.random.Generator:
    """Random numbers that are the same for the same words."""
    return np.random.default_rng(zlib.crc32(seed.encode()))


def pink_noise(samples: int, seed: str) -> Signal:
    """Noise whose power falls by 3 dB per octave above 50 Hz; RMS 1."""
    spectrum = np.fft.rfft(generator(seed).standard_normal(samples))
    frequency_hz = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    shaped = np.where(frequency_hz < 50, 0, spectrum / np.sqrt(np.maximum(frequency_hz, 50)))
    return unit(np.fft.irfft(shaped, samples))


def unit(signal: Signal) -> Signal:
    """The signal at RMS 1."""
    return np.asarray(signal / np.sqrt(np.mean(signal**2)), np.float64)


def quiet_room(signal: Signal, seed: str) -> Signal:
    """The signal over the faint noise of a quiet room."""
    return signal + 10 ** (FLOOR_DB / 20) * pink_noise(len(signal), seed)


def telephone(signal: Signal) -> Signal:
    """A narrow-band line: 300 to 3,400 Hz at 8 kHz, eight bits by the mu-law of ITU-T G.711."""
    spectrum = np.fft.rfft(signal)
    frequency_hz = np.fft.rfftfreq(len(signal), 1 / RATE_HZ)
    low, high = _TELEPHONE_HZ
    skirts = 1 / np.sqrt((1 + (low / np.maximum(frequency_hz, 1)) ** 8) * (1 + (frequency_hz / high) ** 16))
    narrow = soxr.resample(np.fft.irfft(spectrum * skirts, len(signal)), RATE_HZ, RATE_HZ // 2)
    companded = np.sign(narrow) * np.log1p(_MU * np.minimum(np.abs(narrow), 1)) / np.log1p(_MU)
    coded = np.round(companded * 127) / 127
    decoded = np.sign(coded) * np.expm1(np.abs(coded) * np.log1p(_MU)) / _MU
    wide = soxr.resample(decoded, RATE_HZ // 2, RATE_HZ)
    return np.asarray(np.resize(np.pad(wide, (0, max(0, len(signal) - len(wide)))), len(signal)), np.float64)


def room(signal: Signal, rt60_s: float, seed: str) -> Signal:
    """An echoing room: the direct sound, and noise that decays by 60 dB in `rt60_s`, 4 dB below it in all.

    The echo is as long as the signal lets it be; nothing is appended.
    """
    time_s = np.arange(round(rt60_s * RATE_HZ)) / RATE_HZ
    tail = generator(seed).standard_normal(len(time_s)) * 10 ** (-3 * time_s / rt60_s)
    tail[: RATE_HZ // 200] = 0  # the first reflection is late by 5 ms
    tail *= 10 ** (-_DIRECT_TO_REVERBERANT_DB / 20) / np.sqrt(np.sum(tail**2))
    length = len(signal) + len(tail)
    echo = np.fft.irfft(np.fft.rfft(signal, length) * np.fft.rfft(tail, length), length)
    mixed = signal + echo[: len(signal)]
    return np.asarray(mixed * np.abs(signal).max() / np.abs(mixed).max(), np.float64)


def babble(talkers: Sequence[Signal], samples: int, seed: str) -> Signal:
    """Many people talking at once, no word of whom can be made out; RMS 1.

    Every talker is heard twice at different places in a loop, so eight of them sound like sixteen.
    """
    if not talkers:
        raise ValueError("babble needs talkers; none were given")
    random = generator(seed)
    mixed = np.zeros(samples)
    for talker in [*talkers, *talkers]:
        start = int(random.integers(len(talker)))
        mixed += np.resize(np.roll(unit(talker), -start), samples) * random.uniform(0.7, 1.3)
    return unit(mixed)


def heard(
    clean: Signal, active: NDArray[np.bool_], condition: str | None, talkers: Sequence[Signal], seed: str
) -> Signal:
    """Speech as it reaches the agent over `condition`: None for a quiet room, or one of

    telephone; room_S with a reverberation time of S seconds; babble_DB and pink_DB, talkers or pink noise at a
    signal-to-noise ratio; breath, where the speaker breathes out 250 ms after the last word.

    Where there is echo, noise or breath, it outlives the speech and the signal is 1.1 s longer. Raises ValueError.
    """
    way, _, amount = (condition or "quiet").partition("_")
    longer = np.pad(clean, (0, 0 if way in ("quiet", "telephone") else _OUTLIVES))
    match way:
        case "quiet":
            return quiet_room(clean, seed)
        case "telephone":
            return telephone(quiet_room(clean, seed))
        case "room":
            return quiet_room(room(longer, float(amount), seed), seed)
        case "breath":
            start = int(np.flatnonzero(active)[-1]) + RATE_HZ // 4
            sigh = breath(min(len(longer) - start, RATE_HZ * 8 // 10), seed)
            longer[start : start + len(sigh)] += sigh
            return quiet_room(longer, seed)
        case "babble" | "pink":
            noise = babble(talkers, len(longer), seed) if way == "babble" else pink_noise(len(longer), seed)
            mixed = mix(longer, np.pad(active, (0, _OUTLIVES)), noise, float(amount))
            return np.asarray(mixed / max(1.0, np.abs(mixed).max()), np.float64)
        case _:
            raise ValueError(
                f"condition {condition!r} is unknown; expected telephone, room_S, babble_DB, pink_DB, breath"
            )


def breath(samples: int, seed: str) -> Signal:
    """One breath into the microphone, 20 dB below a talker."""
    spectrum = np.fft.rfft(generator(seed).standard_normal(samples))
    frequency_hz = np.fft.rfftfreq(samples, 1 / RATE_HZ)
    band = np.fft.irfft(np.where((frequency_hz > 400) & (frequency_hz < 4_000), spectrum, 0), samples)
    return np.asarray(0.01 * unit(band) * np.hanning(samples), np.float64)


def mix(speech: Signal, active: NDArray[np.bool_], noise: Signal, snr_db: float) -> Signal:
    """Speech in noise of RMS 1 and the same length; `snr_db` counts only the samples where speech is `active`."""
    return np.asarray(speech + noise * np.sqrt(np.mean(speech[active] ** 2)) * 10 ** (-snr_db / 20), np.float64)
