"""Reads the catalogue from TOML: the shipped providers.toml and, over it, a file of the user's.

It knows the shape of the file and how to say what is wrong with it; what the entries mean is
`pipelines.llm.catalogue`'s.
"""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from pipelines.errors import ConfigError
from pipelines.json_object import JsonObject
from pipelines.llm.catalogue import Catalogue, Model, Provider
from pipelines.pacer import PROVIDER as SIMULATED
from pipelines.toml_file import read_toml, validated

_Positive = Annotated[float, Field(gt=0)]
_Price = Annotated[float, Field(ge=0)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=False)


class _Model(_Strict):
    id: Annotated[str, StringConstraints(min_length=1)]
    context_window_tokens: Annotated[int, Field(gt=0)] | None = None
    usd_per_m_input: _Price | None = None
    usd_per_m_output: _Price | None = None
    published_tokens_per_s: _Positive | None = None
    published_ttft_ms: _Price | None = None
    source: str = ""
    date: str = ""
    extra_body: dict[str, object] | None = None
    retired: bool = False
    note: str = ""


class _Provider(_Strict):
    base_url: Annotated[str, StringConstraints(pattern=r"^https?://")]
    api_key_env: Annotated[str, StringConstraints(pattern=r"^[A-Z_][A-Z0-9_]*$")] | None = None
    models: list[_Model] = []


class _Profile(_Strict):
    ttft_ms: _Price
    tokens_per_s: _Positive
    context_window_tokens: Annotated[int, Field(gt=0)] | None = None
    usd_per_m_input: _Price | None = None
    usd_per_m_output: _Price | None = None
    source: str = ""
    date: str = ""
    note: str = ""


class _File(_Strict):
    providers: dict[str, _Provider] = {}
    sim: dict[str, _Profile] = {}


def load_catalogue(path: Path, user_path: Path | None = None) -> Catalogue:
    """Read `path` and, over it, `user_path`. Raises InputError for an unreadable file, ConfigError for its content.

    The user's file adds providers, models and profiles, or replaces them: a model by its id, a profile by its name.
    For a provider that is known already, `base_url` and `api_key_env` may be left out.
    """
    catalogue = _catalogue(_parse(path, Catalogue({}, {})))
    if user_path is None:
        return catalogue
    return _merge(catalogue, _catalogue(_parse(user_path, catalogue)))


_SECRET = {"api_key_env": "must be the NAME of an environment variable, such as GROQ_API_KEY, not the key itself"}
"""What may hold a key that was written here by mistake, and is not repeated."""


def _parse(path: Path, known: Catalogue) -> _File:
    raw = read_toml(path, "provider catalogue")
    _fill_in(raw, known)
    file = validated(_File, raw, str(path), secret=_SECRET)
    if SIMULATED in file.providers:
        raise ConfigError(f"{path}: providers.{SIMULATED} is the pacer's own name: choose another")
    return file


def _fill_in(raw: JsonObject, known: Catalogue) -> None:
    providers = raw.get("providers")
    if not isinstance(providers, dict):
        return
    for name, entry in providers.items():
        provider = known.providers.get(name)
        if provider is not None and isinstance(entry, dict):
            entry.setdefault("base_url", provider.base_url)
            entry.setdefault("api_key_env", provider.api_key_env)


def _catalogue(file: _File) -> Catalogue:
    providers = {
        name: Provider(name, entry.base_url, entry.api_key_env, tuple(Model(**dict(model)) for model in entry.models))
        for name, entry in file.providers.items()
    }
    return Catalogue(providers, {name: _profile(name, entry) for name, entry in file.sim.items()})


def _profile(name: str, entry: _Profile) -> Model:
    return Model(
        id=name,
        context_window_tokens=entry.context_window_tokens,
        usd_per_m_input=entry.usd_per_m_input,
        usd_per_m_output=entry.usd_per_m_output,
        published_tokens_per_s=entry.tokens_per_s,
        published_ttft_ms=entry.ttft_ms,
        source=entry.source,
        date=entry.date,
        note=entry.note,
    )


def _merge(base: Catalogue, over: Catalogue) -> Catalogue:
    providers = dict(base.providers)
    for name, provider in over.providers.items():
        models = (
            {model.id: model for model in (*providers[name].models, *provider.models)} if name in providers else None
        )
        merged = tuple(models.values()) if models is not None else provider.models
        providers[name] = Provider(name, provider.base_url, provider.api_key_env, merged)
    return Catalogue(providers, {**base.profiles, **over.profiles})
