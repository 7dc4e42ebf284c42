"""Open connections to models, by catalogue name: those of a run from the start, others when they are first asked for.

They close with the stack that they are given. Independent of engines and turns.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from agent.pacer.pacer_process import pacer_process
from agent.setup.config import Config
from pipelines.events import Clock
from pipelines.llm import ChatModel
from pipelines.llm.catalogue import Catalogue, Endpoint
from pipelines.llm.chat import ChatCompletions
from pipelines.llm.failover import Failover


@dataclass(frozen=True, slots=True)
class ConnectedModel:
    """A model that is connected and warm."""

    endpoint: Endpoint
    chat: ChatModel


class Connections:
    """Models, each with the configured standby behind it if there is one."""

    def __init__(self, config: Config, catalogue: Catalogue, clock: Clock, stack: AsyncExitStack) -> None:
        self.models: dict[str, ConnectedModel] = {}
        self.standby: ConnectedModel | None = None
        self._config = config
        self._catalogue = catalogue
        self._clock = clock
        self._stack = stack
        self._pacer_url: str | None = None
        self._opening = asyncio.Lock()

    def check(self, llms: Sequence[str]) -> None:
        """Raises InputError for a name that is unknown or whose key is missing, before anything is opened."""
        standby = self._config.failover.standby
        for name in [*llms, *([standby] if standby else [])]:
            self._catalogue.resolve(name).api_key()

    async def open(self, llms: Sequence[str]) -> None:
        """Connect to these, which stay warm as long as the stack is open. Raises ServiceError."""
        standby = self._config.failover.standby
        if standby:
            self.standby = ConnectedModel(
                endpoint := await self._endpoint(standby), ChatCompletions(endpoint, self._config.llm)
            )
            self._stack.push_async_callback(self.standby.chat.aclose)
        for name in dict.fromkeys(llms):
            model = await self._connected(name)
            if isinstance(model.chat, Failover):
                await self._stack.enter_async_context(model.chat.kept_warm())
            else:
                await model.chat.warm_up()

    async def model(self, name: str) -> ConnectedModel:
        """The model of that name, connected now if it has not been. Raises InputError and ServiceError."""
        async with self._opening:
            if name not in self.models:
                self._catalogue.resolve(name).api_key()
                model = await self._connected(name)
                await model.chat.warm_up()
            return self.models[name]

    async def _connected(self, name: str) -> ConnectedModel:
        endpoint = await self._endpoint(name)
        settings, failover = self._config.llm, self._config.failover
        if self.standby is not None:  # somebody else can finish the answer, so a stall need not be waited out
            settings = replace(settings, stall_timeout_s=min(settings.stall_timeout_s, failover.stall_s))
        chat: ChatModel = ChatCompletions(endpoint, settings)
        self._stack.push_async_callback(chat.aclose)
        if self.standby is not None:
            chat = Failover(chat, self.standby.chat, failover, self._clock)
        self.models[name] = ConnectedModel(endpoint, chat)
        return self.models[name]

    async def _endpoint(self, name: str) -> Endpoint:
        """Where the model is; a simulated one at the pacer, which is started for the first of them."""
        endpoint = self._catalogue.resolve(name)
        if not endpoint.simulated:
            return endpoint
        if self._pacer_url is None:
            self._pacer_url = await self._stack.enter_async_context(pacer_process())
        return endpoint.at(self._pacer_url)
