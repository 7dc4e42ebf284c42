"""Whisper's log-mel spectrogram over growing audio: frames computed once are handed back in. Independent of models.

The same mathematics as OpenAI's Whisper (Radford et al. 2022, section 2.2): 25 ms Hann windows every 10 ms,
reflected at the start, log10 of the mel power, clamped 8 below the loudest value, scaled. Frames are
kept unclamped, because the clamp follows the loudest frame so far.
"""

import numpy as np
from numpy.typing import NDArray

from pipelines.events import Pcm

N_FFT = 400
HOP = 160
_HALF = N_FFT // 2
_WINDOW = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
_FLOOR = 1e-10

Frames = NDArray[np.float32]


def log_mel(pcm: Pcm, filters: NDArray[np.float32], known: Frames | None = None) -> Frames:
    """Log10 mel power of 16 kHz `pcm`, shape (len(pcm) // 160, mels); `filters` has shape (mels, 201).

    `known` is an earlier result for the same audio when it was shorter: only what it lacks is computed.
    """
    count = len(pcm) // HOP
    # The last frame of an earlier result may have looked past the end of its audio, into zeros.
    if known is None:
        known = np.zeros((0, len(filters)), np.float32)
    done = max(0, len(known) - 1)
    if count <= done:
        return known[:count]
    start = done * HOP - _HALF
    samples = pcm[max(0, start) : (count - 1) * HOP + _HALF].astype(np.float32) / 32768
    if start < 0:
        samples = np.pad(samples, (-start, 0), mode="reflect")
    samples = np.pad(samples, (0, max(0, (count - 1 - done) * HOP + N_FFT - len(samples))))
    windows = np.lib.stride_tricks.sliding_window_view(samples, N_FFT)[::HOP] * _WINDOW
    spectrum = np.fft.rfft(windows, axis=1)
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    fresh = np.log10(np.maximum(power.astype(np.float32) @ filters.T, _FLOOR))
    return np.concatenate([known[:done], fresh])


def encoder_input(frames: Frames, total: int) -> NDArray[np.float32]:
    """What the encoder takes: shape (mels, total), clamped and scaled, with zeros after the last frame.

    Zeros are what faster-whisper pads with. The floor of the clamp, OpenAI's own padding, and the quietest frames
    repeated were tried in windows of 6 to 12 s: neither is better throughout.
    """
    features = np.zeros((frames.shape[1], total), np.float32)
    if len(frames):
        features[:, : len(frames)] = (np.maximum(frames, frames.max() - 8.0).T + 4.0) / 4.0
    return features
