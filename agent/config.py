"""Configuration: TOML, read once, into validated objects; the shipped `configs/default.toml` first, then the user's
file over it.

The settings' own dataclasses, which live beside the code that they steer, are the schema; an unknown key is refused
by its full path. It knows no command line.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from agent.resources import shipped
from pipelines.endpointing import EndpointingSettings
from pipelines.errors import ConfigError
from pipelines.llm.chat import ChatSettings
from pipelines.reply import ReplySettings
from pipelines.turn import Mode
from pipelines.vad import VadSettings


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What converses: engines and model by name, the turn mode, the system prompt, and whether tools are offered."""

    llm: str
    stt: str
    tts: str
    mode: Mode
    system_prompt: str
    tools: bool


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set, by section of the TOML file."""

    agent: AgentSettings
    vad: VadSettings
    endpointing: EndpointingSettings
    reply: ReplySettings
    llm: ChatSettings


_ADAPTER = TypeAdapter(Config)


def load_config(path: Path | None = None, overrides: Mapping[str, Mapping[str, object]] | None = None) -> Config:
    """The shipped defaults, overlaid by the file at `path` and then by `overrides` (section -> key -> value; a None
    is not set).

    Raises ConfigError with the key's full path, the value, and what would be right.
    """
    merged = _read(shipped("configs") / "default.toml")
    layers: list[tuple[str, Mapping[str, Any]]] = [(str(path), _read(path))] if path else []
    given = {name: {k: v for k, v in keys.items() if v is not None} for name, keys in (overrides or {}).items()}
    for source, layer in [*layers, ("the command line", given)]:
        _refuse_unknown(source, layer)
        for section, keys in layer.items():
            merged.setdefault(section, {}).update(keys)
    try:
        return _ADAPTER.validate_python(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{key} {first['input']!r} cannot be used: {first['msg'].lower()}") from None


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"configuration {path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"configuration {path} is not valid TOML: {error}") from None


def _refuse_unknown(source: str, layer: Mapping[str, Any]) -> None:
    sections = get_type_hints(Config)
    for section, keys in layer.items():
        if section not in sections:
            raise ConfigError(f"{source}: {section} is not one of: {_closest_first(section, sections)}")
        if not isinstance(keys, Mapping):
            raise ConfigError(f"{source}: {section} is {keys!r}, but must be a table: [{section}]")
        assert is_dataclass(sections[section])
        known = [f.name for f in fields(sections[section])]
        for key in keys:
            if key not in known:
                raise ConfigError(f"{source}: {section}.{key} is not one of: {_closest_first(key, known)}")


def _closest_first(wanted: str, known: Any) -> str:
    names = list(known)
    close = difflib.get_close_matches(wanted, names, len(names), 0.5)
    return ", ".join([*close, *(n for n in names if n not in close)])
