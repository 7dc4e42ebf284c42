"""Configuration: TOML, read once, into validated objects; the shipped `configs/default.toml` first, then the user's
file over it.

The settings' own dataclasses, which live beside the code that they steer, are the schema; an unknown key is refused
by its full path. Independent of the command line.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

from pydantic import TypeAdapter, ValidationError

from agent.exports.telemetry import TelemetrySettings
from agent.setup.room_settings import RoomSettings
from agent.sound.echo import SoundSettings
from agent.system.resources import shipped
from pipelines.barge_in import BargeInSettings
from pipelines.endpointing import EndpointingSettings
from pipelines.errors import ConfigError
from pipelines.json_object import JsonObject
from pipelines.llm.chat import ChatSettings
from pipelines.llm.health import FailoverSettings
from pipelines.modes import Mode
from pipelines.reply_stages import ReplySettings
from pipelines.toml_file import closest_first, read_toml
from pipelines.vad import VadSettings


@dataclass(frozen=True, slots=True)
class AgentSettings:
    """What converses: engines and model by name, the turn mode, the system prompt, and whether tools are offered.

    `turn_detector` hears whether the user has finished, "" for the words alone. `providers` is a TOML file over the
    shipped `configs/providers.toml`, `tools_file` a Python file whose `TOOLS` are offered beside the shipped ones; each
    is empty for none.
    """

    llm: str
    providers: str
    stt: str
    tts: str
    turn_detector: str
    mode: Mode
    system_prompt: str
    tools: bool
    tools_file: str


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that can be set, by section of the TOML file."""

    agent: AgentSettings
    vad: VadSettings
    endpointing: EndpointingSettings
    barge_in: BargeInSettings
    reply: ReplySettings
    llm: ChatSettings
    failover: FailoverSettings
    sound: SoundSettings
    telemetry: TelemetrySettings
    room: RoomSettings


_ADAPTER = TypeAdapter(Config)
_BELOW = {
    "_probability": 1.0,
    "_sound": 1.0,
    "_question": 1.0,
    "_mark": 1.0,
    "_windows": math.inf,
    "_ms": math.inf,
    "_s": math.inf,
    "_tokens": math.inf,
    "_failures": math.inf,
    "_words": math.inf,
    "_share": math.inf,
    "_cores": math.inf,
    "sessions": math.inf,
}
"""Every number is above 0 and below this, by the unit that its name ends on."""


def load_config(path: Path | None = None, overrides: Mapping[str, Mapping[str, object]] | None = None) -> Config:
    """The shipped defaults, overlaid by the file at `path` and then by `overrides` (section -> key -> value; a None
    is not set).

    Raises ConfigError with the key's full path, the value, and what is expected.
    """
    merged = read_toml(shipped("configs") / "default.toml", "configuration")
    layers: list[tuple[str, JsonObject]] = [(str(path), read_toml(path, "configuration"))] if path else []
    given = {name: {k: v for k, v in keys.items() if v is not None} for name, keys in (overrides or {}).items()}
    for source, layer in [*layers, ("the command line", given)]:
        _refuse_unknown(source, layer)
        for section, keys in layer.items():
            merged.setdefault(section, {}).update(keys)
    try:
        config = _ADAPTER.validate_python(merged)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        allowed = first.get("ctx", {}).get("expected")
        if allowed is not None and first["type"] in ("enum", "literal_error"):
            raise ConfigError(f"{key} {first['input']!r} is not one of: {allowed}") from None
        raise ConfigError(f"{key} {first['input']!r} cannot be used: {first['msg'].lower()}") from None
    _refuse_out_of_range(config)
    return config


def _refuse_unknown(source: str, layer: JsonObject) -> None:
    sections = get_type_hints(Config)
    for section, keys in layer.items():
        if section not in sections:
            raise ConfigError(f"{source}: {section} is not one of: {', '.join(closest_first(section, sections))}")
        if not isinstance(keys, Mapping):
            raise ConfigError(f"{source}: {section} is {keys!r}, but must be a table: [{section}]")
        assert is_dataclass(sections[section])
        known = [f.name for f in fields(sections[section])]
        for key in keys:
            if key not in known:
                raise ConfigError(f"{source}: {section}.{key} is not one of: {', '.join(closest_first(key, known))}")


def _refuse_out_of_range(config: Config) -> None:
    for section in fields(config):
        for key, value in asdict(getattr(config, section.name)).items():
            below = next((limit for unit, limit in _BELOW.items() if key.endswith(unit)), None)
            if below is not None and value is not None and not 0 < value < below:
                right = "above 0" if math.isinf(below) else f"between 0 and {below:g}"
                raise ConfigError(f"{section.name}.{key} {value!r} cannot be used: expected a number {right}")
