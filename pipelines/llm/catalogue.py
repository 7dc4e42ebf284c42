"""Providers as data: where they are, which variable holds their key, what their models cost and how fast they claim to
be.

It reads TOML and resolves names such as `groq/llama-3.3-70b-versatile`; it opens no connection, holds no key, and
reads the environment only when a key is asked for.
"""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pipelines.errors import InputError
from pipelines.events import Usage
from pipelines.pacer import PROVIDER as SIMULATED
from pipelines.pacer.faults import parse_misbehaviour
from pipelines.pacer.pace import Pace, parse_pace
from pipelines.toml_file import closest_first


@dataclass(frozen=True, slots=True)
class Model:
    """A model and what its provider says of it; None if no figure with a source is known.

    `source` names the origin of each figure and `date` when it was stated (ISO, perhaps without the day). `extra_body`
    goes into every request as it is, such as `reasoning_effort`. A `retired` id is no longer served and kept for its
    figures.
    """

    id: str
    context_window_tokens: int | None = None
    usd_per_m_input: float | None = None
    usd_per_m_output: float | None = None
    published_tokens_per_s: float | None = None
    published_ttft_ms: float | None = None
    source: str = ""
    date: str = ""
    extra_body: Mapping[str, object] | None = None
    retired: bool = False
    note: str = ""

    def cost_usd(self, usage: Usage) -> float | None:
        """What `usage` costs at these prices; None if a price or a count is unknown."""
        if self.usd_per_m_input is None or self.usd_per_m_output is None:
            return None
        if usage.prompt_tokens is None or usage.completion_tokens is None:
            return None
        return (usage.prompt_tokens * self.usd_per_m_input + usage.completion_tokens * self.usd_per_m_output) / 1e6


@dataclass(frozen=True, slots=True)
class Provider:
    """An OpenAI-compatible service; `api_key_env` is None if it needs no key."""

    name: str
    base_url: str
    api_key_env: str | None
    models: tuple[Model, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A model at a provider, ready to connect to; `name` is what the user wrote.

    `base_url` is None for a simulated endpoint until `at` says where its pacer listens.
    """

    name: str
    provider: str
    base_url: str | None
    api_key_env: str | None
    model: Model

    @property
    def simulated(self) -> bool:
        """Whether the pacer answers; every table and report must say so."""
        return self.provider == SIMULATED

    def at(self, base_url: str) -> "Endpoint":
        """The same endpoint at another address, such as a running pacer's."""
        return replace(self, base_url=base_url)

    def api_key(self) -> str | None:
        """Read the key from the environment now; None if none is needed. Raises InputError naming the variable."""
        if self.api_key_env is None:
            return None
        key = os.environ.get(self.api_key_env, "").strip()
        if not key:
            raise InputError(
                f"{self.name} needs an API key: set the environment variable {self.api_key_env}, "
                "or use a simulated LLM such as sim/cerebras-llama3.1-8b"
            )
        return key


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The known providers, and the pacer's profiles as models whose published speed is the one they are paced at."""

    providers: Mapping[str, Provider]
    profiles: Mapping[str, Model]

    def resolve(self, name: str) -> Endpoint:
        """Find `PROVIDER/MODEL`, `sim/PROFILE` or `sim/TTFT_MS:TOK_PER_S`. Raises InputError.

        Any model id of a known provider is taken, with its prices unknown if it is not listed. A simulated name may
        carry a fault behind a question mark, as `pipelines.pacer.faults` describes.
        """
        provider_name, slash, model_id = name.partition("/")
        if provider_name == SIMULATED and slash:
            return Endpoint(name, SIMULATED, None, None, self._simulated(model_id))
        provider = self.providers.get(provider_name)
        if provider is None:
            known = [SIMULATED, *self.providers]
            raise InputError(f"llm provider {provider_name!r} is not one of: {_names(provider_name, known)}")
        if not model_id:
            known = [model.id for model in provider.models if not model.retired]
            known_text = _names("", known) if known else "any model that the server has loaded"
            raise InputError(f"llm {name!r} names no model: write {provider_name}/MODEL with one of: {known_text}")
        model = next((model for model in provider.models if model.id == model_id), Model(id=model_id))
        return Endpoint(name, provider.name, provider.base_url, provider.api_key_env, model)

    def paces(self) -> dict[str, Pace]:
        """The profiles by name, as the pacer takes them."""
        return {name: _pace_of(profile) for name, profile in self.profiles.items()}

    def _simulated(self, model_id: str) -> Model:
        stem, _, fault = model_id.partition("?")
        parse_misbehaviour(fault)
        if stem in self.profiles:
            return replace(self.profiles[stem], id=model_id)
        pace = parse_pace(stem)
        if pace is None:
            raise InputError(
                f"simulated LLM {stem!r} is not one of: {_names(stem, self.profiles)}, "
                "nor TTFT_MS:TOK_PER_S such as 120:1800"
            )
        return Model(
            id=model_id,
            published_tokens_per_s=pace.tokens_per_s,
            published_ttft_ms=pace.ttft_ms,
            source="stated by the user",
        )


def _pace_of(profile: Model) -> Pace:
    # The reader of the file refuses a profile without these two.
    assert profile.published_ttft_ms is not None
    assert profile.published_tokens_per_s is not None
    return Pace(profile.published_ttft_ms, profile.published_tokens_per_s)


def _names(wrong: str, known: Iterable[str]) -> str:
    return ", ".join(map(repr, closest_first(wrong, known)))
