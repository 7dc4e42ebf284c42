"""The pacer's side of the wire: an answer as paced deltas, and their JSON. Independent of HTTP and clocks."""

import json
from dataclasses import dataclass

from pipelines.json_object import JsonObject
from pipelines.pacer.answers import answer
from pipelines.pacer.chat_request import ChatRequest
from pipelines.pacer.faults import Misbehaviour, SimulatedFault
from pipelines.pacer.pace import Pace
from pipelines.pacer.tokens import split_tokens

SIMULATED = "simulated"

_THOUGHT = "The user asked something simple, so I will keep the answer short and speak in plain sentences. "


@dataclass(frozen=True, slots=True)
class Script:
    """All that the answer to one request consists of: one delta per token, the reasoning tokens first."""

    deltas: tuple[JsonObject, ...]
    reasoning_tokens: int
    finish_reason: str
    prompt_tokens: int

    def usage(self) -> JsonObject:
        """The usage object of Chat Completions."""
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": len(self.deltas),
            "total_tokens": self.prompt_tokens + len(self.deltas),
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
        }


def write_script(request: ChatRequest, reasoning_tokens: int) -> Script:
    """Decide what to answer; reasoning counts against the request's `max_tokens`, as it does with real providers."""
    thoughts = _thoughts(reasoning_tokens)
    said = answer(request.messages, request.tools)
    if said.tool_call is not None:
        call = said.tool_call
        opening = _tool_delta({"name": call.name, "arguments": ""}, call.call_id)
        rest = [_tool_delta({"arguments": token}) for token in split_tokens(call.arguments_json)]
        deltas, finish_reason = [*thoughts, opening, *rest], "tool_calls"
    else:
        deltas, finish_reason = [*thoughts, *({"content": token} for token in split_tokens(said.text))], "stop"
    if request.max_tokens is not None and len(deltas) > request.max_tokens:
        deltas, finish_reason = deltas[: request.max_tokens], "length"
    prompt = sum(len(split_tokens(message.text)) + 4 for message in request.messages)
    return Script(tuple(deltas), min(len(thoughts), len(deltas)), finish_reason, prompt)


def due_times_s(count: int, pace: Pace, misbehaviour: Misbehaviour, fault: SimulatedFault | None) -> list[float]:
    """When each of `count` tokens is due, in seconds after the request's arrival."""
    due = [pace.due_s(index) for index in range(count)]
    seconds, after = misbehaviour.seconds, misbehaviour.after
    match fault:
        case SimulatedFault.STALL:
            return [at + seconds for at in due]
        case SimulatedFault.STALL_MID:
            return [at + seconds if index >= after else at for index, at in enumerate(due)]
        case SimulatedFault.DRIBBLE:
            return [at + max(0, index - after + 1) * seconds for index, at in enumerate(due)]
        case _:
            return due


class ChunkWriter:
    """Writes the JSON of one answer's chunks as server-sent events."""

    def __init__(self, number: int, model: str, created_s: int) -> None:
        self._head = {
            "id": f"{SIMULATED}-{number}",
            "created": created_s,
            "model": f"{model} ({SIMULATED})",
            "system_fingerprint": SIMULATED,
        }

    def delta(self, delta: JsonObject, finish_reason: str | None = None) -> bytes:
        """One streamed delta."""
        return self.event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]})

    def event(self, fields: JsonObject) -> bytes:
        """One server-sent event with the head that all chunks share."""
        return b"data: " + json.dumps({**self._head, "object": "chat.completion.chunk", **fields}).encode() + b"\n\n"

    def whole(self, script: Script) -> JsonObject:
        """The answer to a request that did not ask for a stream."""
        message: JsonObject = {"role": "assistant", "content": _joined(script, "content") or None}
        if reasoning := _joined(script, "reasoning"):
            message["reasoning"] = reasoning
        parts = [delta["tool_calls"][0] for delta in script.deltas if "tool_calls" in delta]
        if parts:
            arguments = "".join(part["function"]["arguments"] for part in parts)
            message["tool_calls"] = [
                {**parts[0], "function": {"name": parts[0]["function"]["name"], "arguments": arguments}}
            ]
        choice = {"index": 0, "message": message, "finish_reason": script.finish_reason}
        return {**self._head, "object": "chat.completion", "choices": [choice], "usage": script.usage()}


def _thoughts(count: int) -> list[JsonObject]:
    tokens = split_tokens(_THOUGHT)
    return [{"reasoning": tokens[index % len(tokens)]} for index in range(count)]


def _tool_delta(function: dict[str, str], call_id: str | None = None) -> JsonObject:
    named = {} if call_id is None else {"id": call_id, "type": "function"}
    return {"tool_calls": [{"index": 0, **named, "function": function}]}


def _joined(script: Script, key: str) -> str:
    return "".join(delta[key] for delta in script.deltas if key in delta)
