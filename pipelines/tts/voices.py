"""How a Piper voice speaks a text: whole, sentence by sentence, or cut, window by window. Blocking; threads may share.

Piper itself scales each sentence to full scale by its loudest sample. A sentence that is heard before it has been
made cannot be; one gain for the voice keeps what the speaker said loudly louder. It is such that, over the sentences
of `CALIBRATION`, half of the peaks would reach 0.9 of full scale: over 25 other sentences of joe-medium speech is then
0.2 dB louder than Piper's own, and varies less (by 1.4 dB instead of 1.6). Peaks are bent below full scale by a curve
without memory, 0.1 % of the samples: nothing clips, and the level cannot jump where windows meet.
"""

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from pipelines.events import Pcm
from pipelines.tts.windows import FrameStage, Tensor, decode

CALIBRATION = (
    "Ready when you are.",
    "No, sorry, that table is taken.",
    "What would you like to know?",
    "The train leaves at nine fifteen from platform two.",
    "Let me check that for you.",
    "It will be sunny in the morning, with some rain in the afternoon.",
    "You're welcome!",
)
"""Short and long, statements, a question and an exclamation, as an agent says them."""

TOLERANCE = 1e-3
"""By how much of full scale a sample may differ from the undivided voice's; a receptive field leaves 1e-6."""

_PEAK = 0.9  # of full scale, at noise 0; with the voice's noise peaks are a tenth higher
_BEND = 0.8  # of full scale: louder samples are bent towards it


class Voice(Protocol):
    """What speaks a text, piece by piece. Raises what onnxruntime or the phonemizer raise."""

    def speak(self, text: str) -> Iterator[Pcm]:
        """The pieces as they are ready; sentences follow each other without a pause of their own."""
        ...


class WholeVoice:
    """A voice whose graph is undivided: a sentence is one piece, as loud as Piper makes it."""

    def __init__(self, piper: Any) -> None:
        self._piper = piper

    def speak(self, text: str) -> Iterator[Pcm]:
        """See Voice."""
        for chunk in self._piper.synthesize(text):
            if len(pcm := chunk.audio_int16_array):
                yield np.asarray(pcm, np.int16)


class CutVoice:
    """A voice in three parts. `piper` is a PiperVoice whose session is the text's part."""

    def __init__(self, piper: Any, flow: FrameStage, decoder: FrameStage, gain: float = 1.0) -> None:
        self.gain = gain
        self.piper = piper
        self.flow = flow
        self.decoder = decoder
        self._carried = [made.name for made in piper.session.get_outputs()]

    def speak(self, text: str) -> Iterator[Pcm]:
        """See Voice."""
        config = self.piper.config
        for phonemes in self.piper.phonemize(text):
            if phonemes:
                frames = self.frames(phonemes, config.noise_scale, config.noise_w_scale)
                for samples in decode(frames, self.flow, self.decoder):
                    yield to_pcm(samples, self.gain)

    def calibrate(self) -> float:
        """Set the voice's gain; return by how much, of full scale 1, windows differ from the whole.

        Takes a second or two, once a voice. Without the voice's noise, so that it finds the same every time.
        """
        peaks, error = [], 0.0
        longest = max(CALIBRATION, key=len)
        for text in CALIBRATION:
            for phonemes in self.piper.phonemize(text):
                frames = self.frames(phonemes, 0.0, 0.0)
                whole = self._whole(frames)
                peaks.append(float(np.abs(whole).max()))
                if text is longest:
                    windowed = np.concatenate(list(decode(frames, self.flow, self.decoder)))
                    error = max(error, float(np.abs(windowed - whole).max()))
        self.gain = _PEAK / max(float(np.median(peaks)), 0.1)  # a voice quieter than that is broken
        return error

    def frames(self, phonemes: list[str], noise: float, width_noise: float) -> dict[str, Tensor]:
        """What the text's part makes of a sentence: by name, what the flow and the decoder take."""
        config = self.piper.config
        ids = self.piper.phonemes_to_ids(phonemes)
        feed = {
            "input": np.array([ids], np.int64),
            "input_lengths": np.array([len(ids)], np.int64),
            "scales": np.array([noise, config.length_scale, width_noise], np.float32),
        }
        if config.num_speakers > 1:
            feed["sid"] = np.array([config.default_speaker_id], np.int64)
        return dict(zip(self._carried, self.piper.session.run(None, feed), strict=True))

    def _whole(self, tensors: dict[str, Tensor]) -> Tensor:
        frames = max(tensors[name].shape[-1] for name in self.flow.inputs)
        latent = self.flow.run(tensors, frames, 0, frames)
        return self.decoder.run({**tensors, self.flow.output: latent}, frames, 0, frames).reshape(-1)


def to_pcm(samples: Tensor, gain: float) -> Pcm:
    """Amplified, with what is over `_BEND` of full scale bent so that it stays below it."""
    louder = samples * np.float32(gain)
    level = np.abs(louder)
    room = 1 - _BEND
    bent = np.where(level > _BEND, np.sign(louder) * (_BEND + room * np.tanh((level - _BEND) / room)), louder)
    return (bent * np.iinfo(np.int16).max).astype(np.int16)
