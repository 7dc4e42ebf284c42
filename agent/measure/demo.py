"""`quickturn demo`: the main job on a fresh machine, with no key and no device.

The shipped questions go through real speech recognition, a real HTTP stream and real synthesis, in the three modes
and at four LLM speeds; only the LLM is simulated, and says so.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from agent.measure.measurement import Measured, Measurement
from agent.measure.recordings import Recording, shipped
from agent.setup.config import Config
from agent.sound.wav import read_wav, write_wav
from pipelines.events import SAMPLE_RATE_HZ, Pcm
from pipelines.modes import Mode

LLMS = ("sim/gpu-cloud-70b", "sim/gpu-cloud-8b", "sim/cerebras-llama3.1-70b", "sim/cerebras-llama3.1-8b")
QUESTIONS = 3
"""How many of the shipped questions are asked: 36 replays in real time, one at a time on two cores, fit into 120 s."""

WHAT_IS_REAL = (
    "Real: speech recognition, HTTP stream, synthesis, timing. Simulated: the LLMs' speed, by the pacer. "
    "36 questions in real time: less than two minutes on two cores."
)


def measurement(config: Config, out: Path, lanes: int | None) -> Measurement:
    """The grid: three modes, four LLM speeds, the first questions in voices that nothing was tuned on. No tools."""
    questions = [recording for recording in shipped("question_short") if recording.held_out][:QUESTIONS]
    config = replace(config, agent=replace(config.agent, tools=False))
    return Measurement(config, questions, LLMS, tuple(Mode), title="Quickturn demo", lanes=lanes, out=out)


def before_and_after(measured: Measured, question: Recording, out: Path) -> Path:
    """One WAV to listen to: a question answered the slow way, a second of silence, and the same answered the fast
    way.
    """
    slow = _conversation(measured, question, LLMS[0], Mode.SEQUENTIAL)
    fast = _conversation(measured, question, LLMS[-1], Mode.SPECULATIVE)
    pause = np.zeros((SAMPLE_RATE_HZ, 2), np.int16)
    return write_wav(out / "before-and-after.wav", np.concatenate([slow, pause, fast]))


def _conversation(measured: Measured, question: Recording, llm: str, mode: Mode) -> Pcm:
    sounds = {(sound.job.recording.name, sound.job.llm, sound.job.mode): sound.path for sound in measured.sounds}
    return read_wav(sounds[question.name, llm, mode])
