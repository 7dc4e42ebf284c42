"""What a room's people and programs may know and ask of the agent, beside talking to it.

- Text stream `quickturn.turn`: each finished turn's record, as a line of the trace (JSON).
- Participant attributes of the agent: `quickturn.llm`, `quickturn.mode`, and `quickturn.llms`, a JSON list of what may
  be chosen.
- RPC `quickturn.switch`: `{"llm": NAME, "mode": MODE}`, either or both; answers with what is used from the next turn
  on. It fails with code 400 for a wish that cannot be met, and nothing changes.
"""

import json
import logging
from asyncio import Queue
from collections.abc import Sequence

from livekit import rtc
from pydantic import BaseModel, ConfigDict, ValidationError

from agent.live.conversation import Conversation
from pipelines.errors import InputError, QuickturnError
from pipelines.stopwatch.record import TurnRecord

log = logging.getLogger(__name__)

TURN_TOPIC = "quickturn.turn"
SWITCH_METHOD = "quickturn.switch"
ATTRIBUTE_LLM, ATTRIBUTE_MODE, ATTRIBUTE_LLMS = "quickturn.llm", "quickturn.mode", "quickturn.llms"
_REFUSED = 400
_OUTBOX_BOUND = 16  # turns: each takes a second to speak and a moment to send


class SwitchRequest(BaseModel):
    """What `quickturn.switch` takes."""

    model_config = ConfigDict(extra="forbid")

    llm: str | None = None
    mode: str | None = None


class RoomControls:
    """Serves the room of `local`; `conversation` is the one that is held at present."""

    def __init__(self, local: rtc.LocalParticipant, llms: Sequence[str]) -> None:
        self.conversation: Conversation | None = None
        self._local = local
        self._llms = llms
        self._turns: Queue[TurnRecord] = Queue(_OUTBOX_BOUND)
        local.register_rpc_method(SWITCH_METHOD, self._switch)

    def finished(self, turn: TurnRecord) -> None:
        """Tell the room of a turn."""
        if not self._turns.full():
            self._turns.put_nowait(turn)

    async def show(self, conversation: Conversation) -> None:
        """Let the room see, and change, what this conversation uses."""
        self.conversation = conversation
        shown = {ATTRIBUTE_LLM: conversation.llm, ATTRIBUTE_MODE: conversation.mode.value}
        await self._local.set_attributes(shown | {ATTRIBUTE_LLMS: json.dumps(self._llms)})

    async def run(self) -> None:
        """Send what has been told, without an end."""
        while True:
            document = (await self._turns.get()).model_dump(mode="json")
            try:
                await self._local.send_text(json.dumps(document, ensure_ascii=False), topic=TURN_TOPIC)
            except Exception as error:  # a room that is reconnecting; the trace has the turn
                log.warning("a turn could not be sent: %r", error)

    async def _switch(self, call: rtc.RpcInvocationData) -> str:
        try:
            return await self._fulfil(call.payload)
        except QuickturnError as error:
            raise rtc.RpcError(_REFUSED, str(error)) from None

    async def _fulfil(self, payload: str) -> str:
        wish, conversation = _parse(payload), self.conversation
        if conversation is None:
            raise InputError("nobody is being answered yet")
        if wish.llm is not None and wish.llm not in self._llms:  # a room must not spend on any key that is there
            raise InputError(f"llm {wish.llm!r} is not offered here; choose one of: {', '.join(self._llms)}")
        await conversation.switch(llm=wish.llm, mode=wish.mode)
        await self.show(conversation)
        return json.dumps({"llm": conversation.llm, "mode": conversation.mode.value})


def _parse(payload: str) -> SwitchRequest:
    try:
        return SwitchRequest.model_validate_json(payload)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{SWITCH_METHOD}: {where or 'payload'}: {first['msg'].lower()}") from None
