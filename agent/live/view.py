"""What can be shown of a turn under way: what the agent does, what it has understood, what it has said.

Every face that shows a conversation asks here: the terminal, the page, the room. It changes nothing.
"""

from pipelines.playout import heard_text
from pipelines.turn import Turn


def state(turn: Turn | None) -> str:
    """What the agent is doing."""
    if turn is None:
        return "listening"
    if turn.committed_s is None:
        return "hearing"
    reply = turn.answer.reply if turn.answer else None
    if reply is not None and reply.is_paused:
        return "paused"
    return "speaking" if reply is not None and reply.playout.started_s is not None else "thinking"


def understood(turn: Turn) -> tuple[str, str]:
    """The stable part of what was understood, and the rest that may still change."""
    if not turn.transcripts:
        return "", "…"
    newest = turn.transcripts[-1]
    if newest.is_final:
        return newest.text, ""
    stable = newest.stable_text if newest.text.startswith(newest.stable_text) else ""
    return stable, newest.text[len(stable) :]


def answer(turn: Turn, now_s: float) -> tuple[str, str]:
    """What has been heard of the answer, and what of it is still to be heard."""
    if turn.answer is None:
        return "", ""
    reply = turn.answer.reply
    said = " ".join(heard_text(reply.playout.played, now_s).split())
    text = " ".join(reply.text.split())
    return (said, text[len(said) :]) if text.startswith(said) else (said, "")
