"""The words of the report: stages with one fixed colour each, outcomes, the glossary. It knows no numbers."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a turn: its key in the trace, its name for people, its colour and the text colour legible on it."""

    key: str
    name: str
    colour: str
    ink: str
    meaning: str


# Okabe and Ito's palette (https://jfly.uni-koeln.de/color/), made to stay apart under colour blindness. Its yellow, too
# pale on paper, gives way to a wine red, its black to a grey that shows on dark pages too, and its purple is a little
# lighter so that it does not meet that grey.
STAGES = (
    Stage("endpoint", "Endpointing", "#e69f00", "#1b1b1f", "Waiting to be sure that the user has finished."),
    Stage("stt", "STT", "#009e73", "#1b1b1f", "Writing the final transcript."),
    Stage("llm_ttft", "LLM first token", "#0072b2", "#ffffff", "Request sent until the first word of the answer."),
    Stage("llm_sentence", "LLM first sentence", "#56b4e9", "#1b1b1f", "First word until there is a sentence to speak."),
    Stage("tts", "TTS", "#d58ab3", "#1b1b1f", "Sentence handed over until the first sound samples."),
    Stage("output", "Output", "#d55e00", "#1b1b1f", "First sound handed over until the output plays it."),
    Stage("leading_silence", "Leading silence", "#9c2c68", "#ffffff", "First samples until the first audible one."),
    Stage("overhead", "Overhead", "#80808a", "#1b1b1f", "The pipeline itself: hand-overs between stages."),
)
BESIDE = (
    Stage("llm_rest", "LLM rest", "#8fa9bf", "#1b1b1f", "The answer written on after its first sentence."),
    Stage("tool", "Tool", "#a68a64", "#1b1b1f", "A tool at work on the model's request."),
)
"""Work that is drawn, but never stands in a completed turn's critical path."""

CONTEXT = (
    Stage("speech", "User speaks", "#b9b9c2", "#1b1b1f", "The user's speech; it ends at 0."),
    Stage("agent_speech", "Agent speaks", "#b9b9c2", "#1b1b1f", "The answer as it was played."),
)
_BY_KEY = {stage.key: stage for stage in STAGES + BESIDE + CONTEXT}

MODES = ("sequential", "streaming", "speculative")
MODE_MEANINGS = {
    "sequential": "Every stage waits for the whole of the one before it.",
    "streaming": "The answer is spoken sentence by sentence while it is still being written.",
    "speculative": "As streaming, and the answer is begun before the user is known to have finished.",
}

COMPLETED = "completed"
OUTCOMES = {
    COMPLETED: "completed",
    "interrupted": "interrupted",
    "tool": "used a tool",
    "failed": "failed",
    "no_speech": "no speech",
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
    ("Hidden work", "Work that ran beside the critical path: it cost time, but nobody waited for it."),
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


def stage(key: str) -> Stage:
    """The stage of this key; an unknown one gets a neutral colour and its key as name."""
    return _BY_KEY.get(key) or Stage(key, key.replace("_", " "), "#80808a", "#1b1b1f", "")


def is_simulated(llm: str) -> bool:
    """Whether this LLM is one of the pacer's."""
    return llm.startswith("sim/")


def llm_label(llm: str) -> str:
    """An LLM's name for people, which says so where it is simulated."""
    return f"{llm} (simulated)" if is_simulated(llm) else llm
