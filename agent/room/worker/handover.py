"""What one worker tells the next about a room, in the metadata of LiveKit's dispatch.

    {"quickturn": {"takeover": true, "history": [["user", "..."], ["assistant", "..."]]}}

Pure: independent of LiveKit and workers.
"""

import json
from collections.abc import Sequence

from pipelines.events import ChatMessage

_LARGEST_BYTES = 8_192  # of text: some twenty turns; LiveKit's own limit for metadata is 64 KiB
_SAID_BY = ("user", "assistant")


def handover(history: Sequence[ChatMessage]) -> str:
    """The metadata that hands this conversation over: the newest of what was said, as much as there is room for.

    Tool calls stay behind: what came of them was said.
    """
    kept: list[list[str]] = []
    room = _LARGEST_BYTES
    for message in reversed(history):
        if message.role not in _SAID_BY or not message.text:
            continue
        room -= len(message.text.encode())
        if room < 0:
            break
        kept.append([message.role, message.text])
    return json.dumps({"quickturn": {"takeover": True, "history": kept[::-1]}}, ensure_ascii=False)


def handed_over(metadata: str) -> tuple[ChatMessage, ...] | None:
    """What was said before, from a dispatch's metadata; None if it hands nothing over."""
    try:
        match json.loads(metadata) if metadata else None:
            case {"quickturn": {"takeover": True, "history": list(said)}}:
                return tuple(
                    ChatMessage(one[0], one[1])
                    for one in said
                    if isinstance(one, list) and len(one) == 2 and one[0] in _SAID_BY and isinstance(one[1], str)
                )
    except ValueError:  # somebody else's metadata
        pass
    return None
