"""Small graphs with the structure of a Piper voice: frames from text, a flow under a mask, a decoder that upsamples."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

CHANNELS = 4
FLOW_MARGIN = 2  # one convolution of five
DECODER_MARGIN = 2 + 1  # of a convolution of five, and of an upsampling by 4 that overlaps with one of three behind it


def write_voice(path: Path, *, speakers: int = 1, blend_of_all: bool = False) -> Path:
    """Write such a graph. `blend_of_all` makes the decoder look at the mean over the whole sentence."""
    rng = np.random.default_rng(3)
    weights: dict[str, NDArray[Any]] = {
        "table": rng.normal(size=(30, CHANNELS)),
        "flow_w": rng.normal(size=(CHANNELS, CHANNELS, 5)),
        "pre_w": rng.normal(size=(CHANNELS, CHANNELS, 5)),
        "up_w": rng.normal(size=(CHANNELS, CHANNELS, 8)) / 4,
        "post_w": rng.normal(size=(1, CHANNELS, 3)) / 8,
        "voices": rng.normal(size=(max(speakers, 1), CHANNELS)),
    }
    several = speakers > 1
    nodes = [
        helper.make_node("Gather", ["table", "input"], ["embedded"]),
        helper.make_node("Transpose", ["embedded"], ["z"], perm=[0, 2, 1]),
        helper.make_node("ReduceMax", ["z"], ["top"], axes=[1], keepdims=1),
        helper.make_node("Cast", ["some"], ["mask"], to=TensorProto.FLOAT),
        *([helper.make_node("Gather", ["voices", "sid"], ["one"])] if several else []),
        *([helper.make_node("Unsqueeze", ["one", "last"], ["speaker"])] if several else []),
        helper.make_node("Conv", ["z", "flow_w"], ["flowed"], pads=[2, 2]),
        *([helper.make_node("Add", ["flowed", "speaker"], ["said"])] if several else []),
        helper.make_node("Tanh", ["said" if several else "flowed"], ["shaped"]),
        helper.make_node("Mul", ["shaped", "mask"], ["latent"]),
        helper.make_node("Conv", ["latent", "pre_w"], ["pre"], pads=[2, 2]),
        *([helper.make_node("Add", ["pre", "speaker"], ["voiced"])] if several else []),
        helper.make_node("LeakyRelu", ["voiced" if several else "pre"], ["relu"]),
        helper.make_node("ConvTranspose", ["relu", "up_w"], ["up"], strides=[4], pads=[2, 2]),
        *([helper.make_node("ReduceMean", ["up"], ["mean"], axes=[2], keepdims=1)] if blend_of_all else []),
        *([helper.make_node("Sub", ["up", "mean"], ["even"])] if blend_of_all else []),
        helper.make_node("Conv", ["even" if blend_of_all else "up", "post_w"], ["post"], pads=[1, 1]),
        helper.make_node("Tanh", ["post"], ["speech"]),
        helper.make_node("Unsqueeze", ["speech", "first"], ["output"]),
    ]
    nodes.insert(3, helper.make_node("GreaterOrEqual", ["top", "top"], ["some"]))
    tensors = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
    tensors += [numpy_helper.from_array(np.array([axis]), name) for name, axis in (("last", 2), ("first", 1))]
    inputs = [helper.make_tensor_value_info("input", TensorProto.INT64, [1, "phonemes"])]
    if several:
        inputs.append(helper.make_tensor_value_info("sid", TensorProto.INT64, [1]))
    outputs = [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, 1, 1, "time"])]
    graph = helper.make_graph(nodes, "voice", inputs, outputs, tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 15)], ir_version=8)
    onnx.save(model, path)
    return path
