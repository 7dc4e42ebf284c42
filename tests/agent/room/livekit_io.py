"""A microphone and a loudspeaker for a real AgentSession that is in no room."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from livekit import rtc
from livekit.agents import DEFAULT_API_CONNECT_OPTIONS, APIConnectOptions, llm
from livekit.agents.voice.io import AudioInput, AudioOutput, AudioOutputCapabilities

from pipelines.events import SAMPLE_RATE_HZ, Pcm


class Microphone(AudioInput):
    """An open microphone on an absolute clock: silence, and what `say` is given; a frame comes when it is over."""

    def __init__(self, rate_hz: int = SAMPLE_RATE_HZ, frame_ms: int = 10) -> None:
        super().__init__(label="Microphone")
        self.late_s = 0.0
        self._rate_hz = rate_hz
        self._frame = rate_hz * frame_ms // 1_000
        self._frames = 0
        self._began_s: float | None = None
        self._saying = np.zeros(0, np.int16)

    def say(self, pcm: Pcm) -> float:
        """Say this from the next frame on; the loop time of its first sample."""
        self._saying = np.concatenate([self._saying, pcm])
        assert self._began_s is not None, "nobody listens yet"
        return self._began_s + self._frames * self._frame / self._rate_hz

    @property
    def silent(self) -> bool:
        return not len(self._saying)

    async def __anext__(self) -> rtc.AudioFrame:
        now = asyncio.get_running_loop().time
        self._began_s = self._began_s or now()
        due_s = self._began_s + (self._frames + 1) * self._frame / self._rate_hz
        await asyncio.sleep(max(0.0, due_s - now()))
        self.late_s = max(self.late_s, now() - due_s)
        said, self._saying = self._saying[: self._frame], self._saying[self._frame :]
        self._frames += 1
        pcm = np.pad(said, (0, self._frame - len(said)))
        return rtc.AudioFrame(pcm.tobytes(), self._rate_hz, 1, self._frame)


class Loudspeaker(AudioOutput):
    """Plays in real time; `answers` holds when the first sample of each answer came, in loop time."""

    def __init__(self, *, speed: float = 1.0) -> None:
        super().__init__(label="Loudspeaker", capabilities=AudioOutputCapabilities(pause=False), sample_rate=None)
        self.answers: list[float] = []
        self.cut = 0
        self._speed = speed
        self._held_s = 0.0
        self._began_s: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if self._began_s is None:
            self._began_s = asyncio.get_running_loop().time()
            self.answers.append(self._began_s)
            self.on_playback_started(created_at=time.time())
        self._held_s += frame.duration

    def flush(self) -> None:
        super().flush()
        if self._began_s is not None:
            loop = asyncio.get_running_loop()
            left_s = self._held_s / self._speed - (loop.time() - self._began_s)
            self._timer = loop.call_later(max(0.0, left_s), self._finish, False)

    def clear_buffer(self) -> None:
        if self._began_s is not None:
            self.cut += 1
            self._finish(True)

    def _finish(self, interrupted: bool) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        played_s, self._held_s = self._held_s, 0.0
        if interrupted and self._began_s is not None:
            played_s = min(played_s, asyncio.get_running_loop().time() - self._began_s)
        self._began_s = None
        self.on_playback_finished(playback_position=played_s, interrupted=interrupted)


class ScriptedModel(llm.LLM[Any]):
    """Writes each reply in turn, word by word; `asked` holds the user's words of each request, `errors` are raised."""

    def __init__(
        self, *replies: str, ttft_ms: float = 50, word_ms: float = 10, errors: Sequence[Exception | None] = ()
    ) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.replies = replies
        self.ttft_ms = ttft_ms
        self.word_ms = word_ms
        self.errors = errors

    def chat(
        self,
        *,
        chat_ctx: llm.ChatContext,
        tools: list[llm.Tool] | None = None,
        conn_options: APIConnectOptions = DEFAULT_API_CONNECT_OPTIONS,
        **_: Any,
    ) -> llm.LLMStream:
        self.asked.append(chat_ctx.messages()[-1].text_content or "")
        return _Writing(self, len(self.asked) - 1, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class _Writing(llm.LLMStream):
    def __init__(self, model: ScriptedModel, number: int, **given: Any) -> None:
        self._model, self._number = model, number
        super().__init__(model, **given)

    async def _run(self) -> None:
        model = self._model
        await asyncio.sleep(model.ttft_ms / 1_000)
        if self._number < len(model.errors) and (error := model.errors[self._number]):
            raise error
        reply = model.replies[min(self._number, len(model.replies) - 1)]
        for word in reply.split(" "):
            delta = llm.ChoiceDelta(role="assistant", content=word + " ")
            self._event_ch.send_nowait(llm.ChatChunk(id="scripted", delta=delta))
            await asyncio.sleep(model.word_ms / 1_000)
        usage = llm.CompletionUsage(completion_tokens=len(reply.split()), prompt_tokens=20, total_tokens=30)
        self._event_ch.send_nowait(llm.ChatChunk(id="scripted", usage=usage))
