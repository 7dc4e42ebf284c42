"""What a live picture and its keys read and set of a microphone."""

from dataclasses import dataclass, field

from agent.talk.microphone import Counts


@dataclass
class Mic:
    """One that hears quiet."""

    counts: Counts = field(default_factory=lambda: Counts(0, 0, 0, 0))
    muted: bool = False
    level_dbfs: float = -30.0
