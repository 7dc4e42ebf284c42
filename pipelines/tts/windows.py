"""A sentence decoded window by window: a short one at once, longer ones as what has been handed out gives time.

Independent of text and devices; frames are the voice's own (256 samples for most), tensors are float32 with time last.
"""

from collections.abc import Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Tensor: TypeAlias = NDArray[np.float32]

FIRST_FRAMES = 34
"""Of the first window: 390 ms at 22.05 kHz, the least from which a synthesizer of real-time factor 0.5 keeps ahead."""

LONGEST_FRAMES = 128
"""So a text that nobody wants any more is left after 1.5 s of speech at most, a tenth of that on two cores."""

# The arithmetic behind `windows`. Of the time that an undivided sentence takes, joe-medium's decoder takes 70 % and
# its flow 16 %; the text, the rest, is done before the first window.
_SLOWEST = 0.5  # the real-time factor, of the undivided voice, at which playout must not starve
_DECODER, _FLOW = 0.70, 0.16
_SILENT_FRAMES = 5  # at the beginning of a sentence, which playout may cut off


def windows(frames: int, flow_margin: int, decoder_margin: int) -> Iterator[tuple[int, int]]:
    """Where to divide a sentence: first and last frame + 1 of each window. None is much shorter than the first.

    Each window is as long as a machine of real-time factor 0.5 can make before what has been handed out before it has
    been heard: `ahead` is how much of that there will be, in frames' time, and a window of w frames takes
    0.5 (0.70 (w + 2 decoder_margin) + 0.16 (w + 2 flow_margin)). From 34 frames they grow to 36, 52, 89 and 128
    in joe-medium; a longer first one would only be heard later, a shorter one would be heard out too soon.
    """
    margins = _SLOWEST * 2 * (_DECODER * decoder_margin + _FLOW * flow_margin)
    per_frame = _SLOWEST * (_DECODER + _FLOW)
    start, length, ahead = 0, FIRST_FRAMES, -float(_SILENT_FRAMES)
    while (left := frames - start) > 0:
        if left < length * 1.5:
            # A short rest would cost its margins for nothing and give the next sentence no time: it is shared out.
            length = left if left <= length or not start else (left + 1) // 2
        yield start, start + length
        if start:
            ahead -= per_frame * length + margins
        ahead += length
        start += length
        length = min(LONGEST_FRAMES, max(FIRST_FRAMES, int((ahead - margins) / per_frame)))


class FrameStage:
    """A part of a voice that works on frames, with the margin on both sides that decides on them."""

    def __init__(self, session: Any, margin_frames: int) -> None:
        self.margin_frames = margin_frames
        self.inputs = [source.name for source in session.get_inputs()]
        self.output: str = session.get_outputs()[0].name
        self._session = session

    def run(self, tensors: Mapping[str, Tensor], frames: int, start: int, end: int) -> Tensor:
        """The output for the frames from `start` to `end` of a sentence of `frames`. Raises what onnxruntime raises.

        Inputs that do not have `frames` values in time, a speaker's vector, go in as they are.
        """
        first, last = max(0, start - self.margin_frames), min(frames, end + self.margin_frames)
        feed = {
            name: tensors[name][..., first:last] if tensors[name].shape[-1] == frames else tensors[name]
            for name in self.inputs
        }
        made: Tensor = self._session.run(None, feed)[0]
        values = made.shape[-1] // (last - first)
        return made[..., (start - first) * values : (end - first) * values]


def decode(tensors: Mapping[str, Tensor], flow: FrameStage, decoder: FrameStage) -> Iterator[Tensor]:
    """The speech of one sentence, window by window, in floats of full scale 1, from what the text's part gave."""
    frames = max(tensors[name].shape[-1] for name in flow.inputs)
    latent: Tensor | None = None
    flowed = 0
    for start, end in windows(frames, flow.margin_frames, decoder.margin_frames):
        if (until := min(frames, end + decoder.margin_frames)) > flowed:
            made = flow.run(tensors, frames, flowed, until)
            if latent is None:
                latent = np.zeros((*made.shape[:-1], frames), np.float32)
            latent[..., flowed:until] = made
            flowed = until
        assert latent is not None  # the first window has frames
        yield decoder.run({**tensors, flow.output: latent}, frames, start, end).reshape(-1)
