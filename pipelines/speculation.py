"""Which transcripts are worth answering before the turn is over."""

from pipelines.endpointing import Completeness, completeness
from pipelines.events import Transcript
from pipelines.text import normalise


def worth_speculating(transcript: Transcript) -> bool:
    """A pause, or a sentence complete and stable to its last word; but nobody ends a turn on "and the"."""
    judged = completeness(transcript.text)
    if judged is Completeness.DANGLING or not normalise(transcript.text):
        return False
    whole_text_stable = normalise(transcript.stable_text) == normalise(transcript.text)
    return transcript.is_final or (judged is Completeness.COMPLETE and whole_text_stable)
