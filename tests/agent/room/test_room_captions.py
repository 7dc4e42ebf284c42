"""The captions of a room, over a scripted conversation; the room keeps what is sent to it."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from livekit import rtc

from agent.live.conversation import Conversation
from agent.measure.replay import VirtualOutput
from agent.room.captions import Captions, CaptionSpeaker
from pipelines.modes import Mode
from tests.agent.scripted_engines import LLM, scripted_engines
from tests.scripted import ScriptedSTT, microphone, now, silence, voice
from tests.virtual_time import run


@dataclass
class Stream:
    """One text stream."""

    identity: str
    pieces: list[str] = field(default_factory=list)

    async def write(self, text: str) -> None:
        self.pieces.append(text)

    async def aclose(self, *, attributes: Mapping[str, str] | None = None) -> None: ...


@dataclass
class Room:
    """What the local participant is asked to send."""

    streams: list[Stream] = field(default_factory=list)
    states: list[str] = field(default_factory=list)

    async def set_attributes(self, attributes: Mapping[str, str]) -> None:
        self.states += attributes.values()

    async def stream_text(self, *, topic: str, sender_identity: str, attributes: Mapping[str, str]) -> Stream:
        self.streams.append(Stream(sender_identity))
        return self.streams[-1]

    def shown(self, identity: str) -> list[str]:
        return ["".join(stream.pieces) for stream in self.streams if stream.identity == identity]


def test_words_that_a_pause_keeps_back_are_not_shown_as_heard() -> None:
    room = Room()

    async def main() -> Conversation:
        captions = Captions(
            cast(rtc.LocalParticipant, room), CaptionSpeaker("agent", ""), CaptionSpeaker("user", ""), now
        )
        # The interruption takes a second to be understood, in which the agent is silent.
        stt = ScriptedSTT(turns=(("What time is it?",), ("No, tell me a joke.",)), final_ms=1_000)
        output = VirtualOutput(now, now(), lambda: False)
        conversation = Conversation(
            scripted_engines(stt), LLM, Mode.SPECULATIVE, output, lambda event, _: captions.on_event(event)
        )
        showing = asyncio.create_task(captions.run(conversation), name="captions")
        question = silence(320), voice(1_600), silence(1_900)
        await conversation.run(microphone(*question, voice(700), silence(4_000)))
        showing.cancel()
        await asyncio.wait([showing])
        return conversation

    conversation = run(main())
    cut = conversation.turns[0]
    assert cut.outcome == "interrupted"
    assert cut.heard.startswith("It is")
    assert room.shown("agent")[0] == cut.heard
    assert room.states[:4] == ["listening", "thinking", "speaking", "listening"]
