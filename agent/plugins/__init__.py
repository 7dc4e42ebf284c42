"""Quickturn's speech stages as plugins of livekit-agents, for any `AgentSession`; nothing else of Quickturn is needed.

    from agent import plugins

    stt, tts = plugins.STT("whisper:base.en"), plugins.TTS("piper:en_US-amy-medium")  # loads both: takes a second
    turns = {"turn_detection": "stt", "endpointing": {"min_delay": 0.0}}  # the plugin tells when the user has finished
    session = AgentSession(stt=stt, tts=tts, llm=..., turn_handling=turns, tts_text_transforms=None)
    await session.start(Agent(instructions="Be brief."), room=ctx.room)

The plugins know no room, no LLM and no turn of the agent's.
"""

from agent.plugins.stt import STT, HeardUtterance
from agent.plugins.tts import TTS

__all__ = ["STT", "TTS", "HeardUtterance"]
