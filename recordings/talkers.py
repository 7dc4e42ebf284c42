"""Whoever talks in the background: a sentence in each of eight voices. Independent of who is in front."""

from collections.abc import Mapping, Sequence

from kokoro import Kokoro, Signal
from utterance import utter

TALKERS = (
    "The committee will meet again in the autumn to decide about the money for the new bridge.",
    "She went to the market early in the morning and came back with a basket full of plums.",
    "Most of the students had already left when the lights went out in the whole building.",
    "We used to walk along the river every evening, even when it was raining.",
    "It was not the first time that he had forgotten to bring the tickets with him.",
    "They painted the kitchen yellow and put a large wooden table in the middle of it.",
    "Nobody knows exactly when the old mill was built or who lived there.",
    "The doctor told him to drink more water and to take the stairs more often.",
)


def talkers(kokoro: Kokoro, voices: Sequence[str]) -> dict[str, Signal]:
    """A sentence in each of eight of the voices, by voice."""
    chosen = voices[:: max(1, len(voices) // len(TALKERS))]
    return {voice: utter(kokoro, voice, text).signal for voice, text in zip(chosen, TALKERS, strict=False)}


def others(talking: Mapping[str, Signal], voice: str) -> list[Signal]:
    """The talkers without the one who is in front."""
    return [signal for one, signal in talking.items() if one != voice]
