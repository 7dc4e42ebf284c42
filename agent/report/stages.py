"""The words and colours of all that is shown, on pages, in pictures and on the terminal: stages with one fixed colour
each, modes, outcomes, how an LLM is called, the glossary.
"""

from dataclasses import dataclass

from pipelines.modes import Mode, Outcome
from pipelines.pacer import is_simulated
from pipelines.stopwatch.timeline import Stage


@dataclass(frozen=True, slots=True)
class StageStyle:
    """A part of a turn: its key in the trace, its name for people, its colour and the text colour legible on it."""

    key: str  # a Stage; any text for a stage that is not known
    name: str
    colour: str
    ink: str
    meaning: str


# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), made to stay apart under colour blindness. Its yellow, too
# pale on paper, gives way to a wine red, its black to a grey that shows on dark pages too, and its purple is a little
# lighter so that it does not meet that grey.
STAGES = (
    StageStyle(Stage.ENDPOINT, "Endpointing", "#e69f00", "#1b1b1f", "Waiting to be sure that the user has finished."),
    StageStyle(Stage.STT, "STT", "#009e73", "#1b1b1f", "Writing the final transcript."),
    StageStyle(
        Stage.LLM_TTFT, "LLM first token", "#0072b2", "#ffffff", "Request sent until the first word of the answer."
    ),
    StageStyle(
        Stage.LLM_SENTENCE, "LLM first sentence", "#56b4e9", "#1b1b1f", "First word until there is a sentence to speak."
    ),
    StageStyle(Stage.TTS, "TTS", "#d58ab3", "#1b1b1f", "Sentence handed over until the first sound samples."),
    StageStyle(Stage.OUTPUT, "Output", "#d55e00", "#1b1b1f", "First sound handed over until the output plays it."),
    StageStyle(
        Stage.LEADING_SILENCE, "Leading silence", "#9c2c68", "#ffffff", "First samples until the first audible one."
    ),
    StageStyle(Stage.OVERHEAD, "Overhead", "#80808a", "#1b1b1f", "The pipeline itself: hand-overs between stages."),
)
BESIDE = (
    StageStyle(Stage.LLM_REST, "LLM rest", "#8fa9bf", "#1b1b1f", "The answer written on after its first sentence."),
    StageStyle(Stage.TOOL, "Tool", "#a68a64", "#1b1b1f", "A tool at work on the model's request."),
)
"""Work that is drawn, but never stands in a completed turn's critical path."""

CONTEXT = (
    StageStyle(Stage.SPEECH, "User speaks", "#b9b9c2", "#1b1b1f", "The user's speech; it ends at 0."),
    StageStyle(Stage.AGENT_SPEECH, "Agent speaks", "#b9b9c2", "#1b1b1f", "The answer as it was played."),
)
ALL_STAGES = STAGES + BESIDE + CONTEXT
_BY_KEY = {stage.key: stage for stage in ALL_STAGES}

MODE_MEANINGS = {
    Mode.SEQUENTIAL: "Every stage waits for the whole of the one before it.",
    Mode.STREAMING: "The answer is spoken sentence by sentence while it is still being written.",
    Mode.SPECULATIVE: "As streaming, and the answer is begun before the user is known to have finished.",
}
OUTCOMES = {
    Outcome.COMPLETED: "completed",
    Outcome.INTERRUPTED: "interrupted",
    Outcome.TOOL: "used a tool",
    Outcome.FAILED: "failed",
    Outcome.NO_SPEECH: "no speech",
}

GLOSSARY = (
    ("Turn", "One utterance of the user and the agent's answer to it."),
    (
        "Turn latency (voice to voice)",
        "From the true end of the user's speech to the first audible sample of the agent at the output.",
    ),
    ("Endpointing delay", "From the true end of speech to the decision that the turn is over."),
    (
        "Partial and final transcript",
        "Revisable text while the user speaks, and the text that the turn is answered with.",
    ),
    ("TTFT", "Request sent until the first piece of answer text; reasoning does not count."),
    (
        "First-sentence time",
        "Request sent until the first speakable unit is handed to TTS. The ear waits for this one, not for TTFT.",
    ),
    ("TTFB of TTS", "Text handed to the synthesizer until its first PCM."),
    ("Leading silence", "First PCM until the first audible sample."),
    ("Critical path", "The chain of work that the first sound really waited for. Its segments tile the turn latency."),
    ("Hidden work", "Work that ran beside the critical path: it took time, but nothing waited for it."),
    ("LLM leg", "The part of the turn latency on whose critical path the LLM stood."),
    ("Speculation", "Work begun on a partial transcript, before the turn is known to be over."),
    (
        "Commit and discard",
        "The turn ended and the speculative work still fits; or it does not, and is thrown away.",
    ),
    ("Barge-in", "The user speaks while the agent speaks."),
    ("Playout", "What has really been handed to the output device."),
    ("Simulated", "An LLM named sim/…: a local server that speaks at a stated speed over a real HTTP stream."),
)


def stage(key: str) -> StageStyle:
    """The style of this stage; an unknown one gets a neutral colour and its key as name."""
    return _BY_KEY.get(key) or StageStyle(key, key.replace("_", " "), "#80808a", "#1b1b1f", "")


def llm_label(llm: str) -> str:
    """An LLM's name for people, which says so if it is simulated."""
    return f"{llm} (simulated)" if is_simulated(llm) else llm
