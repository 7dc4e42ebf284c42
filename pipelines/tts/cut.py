"""A Piper voice's graph cut in three: text to frames, the flow that turns these into a latent, and the decoder.

Piper is VITS: a text encoder that has to see the whole sentence, then a normalizing flow and a HiFi-GAN decoder that
are convolutions over time. What they make of some frames depends on few frames around these, so they need not wait
for each other. The seams are found by the graph's structure, not by names:

- walking back from the output, as long as every operation is one that convolutional parts are made of, the decoder
  begins at the earliest tensor that alone everything after it depends on;
- the flow begins at the earliest pair, its input and the mask of frames. A voice of several speakers has a third
  tensor at either seam, the speaker's vector.

Independent of text, of sounds or of where a cut is kept.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

# Those of WaveNet's and HiFi-GAN's layers. `Slice`, `Split` and `Concat` divide channels there, `Shape` and
# `ConstantOfShape` make zeros of the same shape; that none of them touches time is for the user of a cut to verify.
_LOCAL = frozenset(
    "Add Concat ConstantOfShape Conv ConvTranspose Div Exp Identity LeakyRelu Mul Neg Relu Shape Sigmoid Slice Split"
    " Sub Tanh Unsqueeze".split()
)


class UncuttableError(Exception):
    """The graph has no such seams; the message says why, in words that follow "whole: "."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part that works on frames: its graph, and how many frames around those that it is asked for decide on them."""

    onnx: bytes
    margin_frames: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The voice in three graphs; each one's inputs are outputs, by name, of those before it."""

    text: bytes
    flow: Part
    decoder: Part


def cut(path: Path) -> Cut:
    """Cut the .onnx file of a Piper voice. Half a second of work. Raises UncuttableError, or what onnx raises."""
    import onnx.shape_inference  # 50 to 100 ms that only a cut pays, and a voice is cut once
    from onnx.utils import Extractor

    # The extractor wants to know the type of a seam, which a file need not say.
    model = onnx.shape_inference.infer_shapes(onnx.load(path))
    speakers = sum(source.name == "sid" for source in model.graph.input)
    seams = list(_seams(model.graph))
    decoder_seam = _earliest(seams, 1 + speakers)
    flow_seam = _earliest(seams, 2 + speakers)
    extractor = Extractor(model)
    inputs = [source.name for source in model.graph.input]
    latent = sorted(decoder_seam - flow_seam)
    if len(latent) != 1:
        raise UncuttableError(f"expected one tensor from the flow to the decoder, found {len(latent)}")
    return Cut(
        extractor.extract_model(inputs, sorted(flow_seam)).SerializeToString(),
        _part(extractor.extract_model(sorted(flow_seam), latent)),
        _part(extractor.extract_model(sorted(decoder_seam), [model.graph.output[0].name])),
    )


def _seams(graph: "GraphProto") -> Iterator[set[str]]:
    """The sets of tensors that all later operations depend on, from the output backwards through local operations."""
    fixed = _derived(graph, set())
    of_the_speaker = _derived(graph, {"sid"})
    crossing = {graph.output[0].name}
    for node in reversed(graph.node):  # sorted so that what is used has been made before
        if crossing.isdisjoint(node.output) or node.output[0] in of_the_speaker:
            continue
        if node.op_type not in _LOCAL:
            return
        crossing = (crossing - set(node.output)) | {name for name in node.input if name and name not in fixed}
        yield crossing


def _derived(graph: "GraphProto", inputs: set[str]) -> set[str]:
    """What depends on none but these inputs."""
    known = inputs | {weights.name for weights in graph.initializer}
    for node in graph.node:
        sources = [name for name in node.input if name]
        if node.op_type == "Constant" or (sources and known.issuperset(sources)):
            known.update(node.output)
    return known


def _earliest(seams: list[set[str]], size: int) -> set[str]:
    found = [seam for seam in seams if len(seam) == size]
    if not found:
        raise UncuttableError(f"nowhere do {size} tensors decide on all that follows")
    return found[-1]


def _part(model: "ModelProto") -> Part:
    if not any(node.op_type in ("Conv", "ConvTranspose") for node in model.graph.node):
        raise UncuttableError("a part has no convolution")
    return Part(model.SerializeToString(), _margin(model.graph))


def _margin(graph: "GraphProto") -> int:
    """The receptive field: so many frames on both sides make a window equal the whole, but for rounding.

    Walks back from the values that one frame becomes, frame 0, to the frames that decide on them.
    """
    layers = {node.output[0]: _Layer.of(node, graph) for node in graph.node if node.op_type in _CONVOLUTIONS}
    values = math.prod(layer.stride for layer in layers.values())
    looked_at = {graph.output[0].name: (0, values - 1)}
    for node in reversed(graph.node):
        spans = [looked_at[name] for name in node.output if name in looked_at]
        if not spans:
            continue
        span = min(first for first, _ in spans), max(last for _, last in spans)
        if layer := layers.get(node.output[0]):
            span = layer.looks_at(*span)
        for name in node.input:
            first, last = looked_at.get(name, span)
            looked_at[name] = min(first, span[0]), max(last, span[1])
    spans = [looked_at[source.name] for source in graph.input]
    return max(0, *(-first for first, _ in spans), *(last for _, last in spans))


_CONVOLUTIONS = ("Conv", "ConvTranspose")


@dataclass(frozen=True, slots=True)
class _Layer:
    """A convolution over time: `reach` is its kernel's length less one, dilated. Upsampling has a stride over 1."""

    reach: int
    padding: int
    stride: int
    upsamples: bool

    @classmethod
    def of(cls, node: "NodeProto", graph: "GraphProto") -> "_Layer":
        from onnx.helper import get_attribute_value

        settings = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
        kernel = settings.get("kernel_shape") or [
            weights.dims[2] for weights in graph.initializer if weights.name == node.input[1]
        ]
        stride, upsamples = settings.get("strides", [1])[0], node.op_type == "ConvTranspose"
        if stride > 1 and not upsamples:
            raise UncuttableError(f"'{node.name}' makes fewer values than it gets")
        reach = (kernel[0] - 1) * settings.get("dilations", [1])[0]
        return cls(reach, settings.get("pads", [0])[0], stride, upsamples)

    def looks_at(self, first: int, last: int) -> tuple[int, int]:
        """The first and last value that decide on those from `first` to `last`."""
        if self.upsamples:
            return -((self.reach - self.padding - first) // self.stride), (last + self.padding) // self.stride
        return first - self.padding, last + self.reach - self.padding
