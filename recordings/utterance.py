"""One turn of a speaker from a marked text: clean speech with silences of exact length, and where everything lies.

In a text `{800 dangling}` is a pause of 800 ms after words that cannot end a sentence; the kinds are those of
recordings/README.md. A `~` in the braces draws out the syllable before the pause. `{0 comma}` leaves the pause as long
as the synthesizer made it. Words before a `finished` pause are spoken by themselves, so that their melody ends; all
others are one breath with what follows. A mark before the brace (`,` or `…`) shapes the melody.

Where speech begins and ends is measured on the clean speech, above 200 Hz, in frames of 5 ms: it begins with the first
frame within 40 dB of the loudest and ends with the last one within 35 dB. Where the last sound is a vowel or the like,
only its band up to 1,500 Hz counts, so that a breath does not; where it is a voiceless consonant, 45 dB. A burst that
stands alone for 150 ms or more is no speech, and whatever the synthesizer adds after the end (a breath, hiss, a hum)
fades out in 60 ms. Independent of files.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from kokoro import RATE_HZ, Kokoro, Part, Signal
from numpy.typing import NDArray

FRAME = 80
LEAD = 4_800
TAIL = 1_600

_START_DB = -40.0
_END_DB = -35.0
_VOICELESS_END_DB = -45.0
_SPEECH_HZ = (200.0, 8_000.0)
_SONORANT_HZ = (200.0, 1_500.0)
_LONG_GAP = RATE_HZ * 150 // 1_000 // FRAME
_SHORT_GAP = RATE_HZ * 40 // 1_000 // FRAME
_SHORT_BURST = RATE_HZ * 50 // 1_000 // FRAME
_FADE_OUT = RATE_HZ * 60 // 1_000
_FADE_IN = RATE_HZ * 20 // 1_000
_CUT_SEARCH = RATE_HZ * 20 // 1_000
_DRAWL = 1.6
_HOLD = 3.0
_PEAK = 0.5
_PAUSE = re.compile(r"\s*\{(\d+) (dangling|open|finished|comma|list)( ~)?\}\s*")


@dataclass(frozen=True, slots=True)
class Utterance:
    """Clean speech of one turn with 300 ms before it and 100 ms after it; times in samples of `signal`.

    `pauses` holds start, end and kind of each pause. `active` tells which samples are speech.
    """

    text: str
    signal: Signal
    start: int
    end: int
    pauses: list[tuple[int, int, str]]
    active: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Gap:
    samples: int
    kind: str


@dataclass(frozen=True, slots=True)
class _Piece:
    """Speech between two pauses: `signal[start:end]` with what surrounds it in its breath."""

    signal: Signal
    start: int
    end: int


def utter(kokoro: Kokoro, voice: str, marked: str, rate: float = 1.0) -> Utterance:
    """Speak a marked text. Raises ValueError for one without words."""
    first, *rest = _PAUSE.split(marked)
    breaths, gaps, words = [list[Part]()], list[_Gap](), first
    for length_ms, kind, drawl, following in zip(rest[0::4], rest[1::4], rest[2::4], rest[3::4], strict=True):
        breaths[-1].append(_part(words, drawl, hold=int(length_ms) > 0))
        gaps.append(_Gap(int(length_ms) * RATE_HZ // 1_000, kind))
        if kind == "finished":
            breaths.append([])
        words = following
    breaths[-1].append(_part(words, None, hold=False))
    pieces = [piece for breath in breaths for piece in _speak(kokoro, voice, breath, rate)]
    return _join(_PAUSE.sub(" ", marked).replace("…", ""), pieces, gaps)


def _part(words: str, drawl: str | None, *, hold: bool) -> Part:
    mark = words[-1] if words[-1] in ",…" else ""
    return Part(words[: len(words) - len(mark)], mark, _DRAWL if drawl else 1.0, _HOLD if hold else 1.0)


def _levels_db(signal: Signal, low_hz: float, high_hz: float) -> Signal:
    """Level of each whole 5 ms frame in a band, in dB of full scale."""
    frequency_hz = np.fft.rfftfreq(len(signal), 1 / RATE_HZ)
    skirts = 1 / np.sqrt((1 + (low_hz / np.maximum(frequency_hz, 1)) ** 8) * (1 + (frequency_hz / high_hz) ** 8))
    band = np.fft.irfft(np.fft.rfft(signal) * skirts, len(signal))
    whole = len(band) // FRAME * FRAME
    return np.asarray(10 * np.log10(np.mean(band[:whole].reshape(-1, FRAME) ** 2, axis=1) + 1e-12), np.float64)


def _speak(kokoro: Kokoro, voice: str, parts: Sequence[Part], rate: float) -> list[_Piece]:
    """One breath, cut into its parts at the quietest place near each boundary."""
    spoken = kokoro.speak(voice, parts, rate)
    levels = _levels_db(spoken.signal, *_SPEECH_HZ)
    sonorous = _levels_db(spoken.signal, *_SONORANT_HZ)
    cuts = [0]
    for (_, end), (start, _) in zip(spoken.spans, spoken.spans[1:], strict=False):
        low, high = max(cuts[-1], end - _CUT_SEARCH) // FRAME, (max(start, end + _CUT_SEARCH) + _CUT_SEARCH) // FRAME
        cuts.append((low + int(np.argmin(levels[low:high]))) * FRAME + FRAME // 2)
    cuts.append(len(spoken.signal))
    pieces = []
    for part, start, end in zip(parts, cuts, cuts[1:], strict=False):
        frames = slice(-(-start // FRAME), end // FRAME)
        gap = _SHORT_GAP if start else _LONG_GAP  # after a cut, a rest of the word before it may come first
        first = _groups(levels[frames] > levels.max() + _START_DB, gap)[0][0]
        match kokoro.last_sound(voice, part.words):
            case "sonorant":
                loud = sonorous[frames] > sonorous.max() + _END_DB
            case "voiceless":
                loud = levels[frames] > levels.max() + _VOICELESS_END_DB
            case _:
                loud = levels[frames] > levels.max() + _END_DB
        last = _groups(loud, _LONG_GAP)[-1][1]
        offset = frames.start * FRAME - start
        pieces.append(_Piece(spoken.signal[start:end], offset + first * FRAME, offset + (last + 1) * FRAME))
    return pieces


def _groups(loud: NDArray[np.bool_], gap: int) -> list[tuple[int, int]]:
    """First and last frame of each stretch with less than `gap` quiet frames in it; none short at either end."""
    frames = np.flatnonzero(loud)
    groups = [(int(g[0]), int(g[-1])) for g in np.split(frames, np.flatnonzero(np.diff(frames) > gap) + 1)]
    while len(groups) > 1 and groups[-1][1] - groups[-1][0] < _SHORT_BURST:
        groups.pop()
    while len(groups) > 1 and groups[0][1] - groups[0][0] < _SHORT_BURST:
        groups.pop(0)
    return groups


def _tail(piece: _Piece) -> int:
    """How much of what follows the speech is kept as it fades: up to where it is quietest, before the next word."""
    after = np.square(piece.signal[piece.end : piece.end + _FADE_OUT])
    whole = len(after) // FRAME
    return (int(np.argmin(after[: whole * FRAME].reshape(whole, FRAME).mean(axis=1))) + 1) * FRAME if whole else 0


def _join(text: str, pieces: list[_Piece], gaps: list[_Gap]) -> Utterance:
    """Set silence of exactly the length of each gap between the speech of the pieces."""
    scale = _PEAK / max(np.abs(piece.signal).max() for piece in pieces)
    lengths = []
    for before, gap, after in zip(pieces, gaps, pieces[1:], strict=False):
        natural = len(before.signal) - before.end + after.start
        lengths.append(gap.samples or max(FRAME, natural // FRAME * FRAME))
    total = LEAD + sum(piece.end - piece.start for piece in pieces) + sum(lengths) + TAIL
    signal, active = np.zeros(total), np.zeros(total, bool)
    pauses, at = [], LEAD
    for index, piece in enumerate(pieces):
        lead = min(_FADE_IN, piece.start)
        tail = _tail(piece)
        sound = piece.signal[piece.start - lead : piece.end + tail] * scale
        sound[: max(lead, FRAME)] *= np.linspace(0, 1, max(lead, FRAME))
        sound[len(sound) - max(tail, FRAME) :] *= np.linspace(1, 0, max(tail, FRAME))
        signal[at - lead : at - lead + len(sound)] += sound[: total - at + lead]
        active[at : at + piece.end - piece.start] = True
        at += piece.end - piece.start
        if index < len(gaps):
            pauses.append((at, at + lengths[index], gaps[index].kind))
            at += lengths[index]
    return Utterance(text, signal, LEAD, at, pauses, active)
