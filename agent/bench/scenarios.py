"""Scenario files: what is asked of a model and how the answer is checked."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import jsonschema
from pydantic import BaseModel, ConfigDict, Field

from agent.system.resources import shipped
from pipelines.errors import ConfigError, InputError
from pipelines.events import ToolSpec
from pipelines.json_object import JsonObject
from pipelines.toml_file import read_toml, validated

SHIPPED = ("short_qa", "long_summarization", "json_tool_call", "multi_turn", "batch_mix")


@dataclass(frozen=True, slots=True)
class Task:
    """One conversation. `ask` holds the user's turns; `expect` the patterns of which the last answer must match one."""

    name: str
    ask: tuple[str, ...]
    expect: tuple[re.Pattern[str], ...] = ()
    expect_tool: str | None = None
    expect_arguments: JsonObject | None = None


@dataclass(frozen=True, slots=True)
class Scenario:
    """Tasks with their system prompt and tools; `mix` names the scenarios that are run at once instead."""

    name: str
    description: str
    system: str
    max_tokens: int
    tasks: tuple[Task, ...]
    tools: tuple[ToolSpec, ...] = ()
    mix: tuple[str, ...] = ()


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Task(_Strict):
    name: Annotated[str, Field(min_length=1)]
    ask: Annotated[list[str], Field(min_length=1)]
    document: str | None = None
    expect: list[str] = []
    expect_tool: str | None = None
    expect_arguments: JsonObject | None = None


class _Tool(_Strict):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str
    parameters: JsonObject


class _File(_Strict):
    description: str
    system: str = ""
    max_tokens: Annotated[int, Field(gt=0)] = 400
    task: list[_Task] = []
    tool: list[_Tool] = []
    mix: list[str] = []


def load_scenarios(names: list[str]) -> list[Scenario]:
    """Shipped scenarios by name, others by the path of their TOML file. Raises InputError and ConfigError.

    What a mix names is loaded too, shipped or beside its file, and comes before it: it is also measured alone.
    """
    loaded: dict[str, Scenario] = {}
    for name in names:
        path = _path(name)
        scenario = _load(path)
        for part in scenario.mix:
            beside = path.parent / f"{part}.toml"
            parts = _load(beside if beside.exists() else _path(part))
            if parts.mix:
                raise ConfigError(f"{path}: mix names {part!r}, which is itself a mix")
            loaded.setdefault(part, parts)
        loaded[scenario.name] = scenario
    return sorted(loaded.values(), key=lambda scenario: bool(scenario.mix))


def _path(name: str) -> Path:
    if name in SHIPPED:
        return shipped("configs") / "scenarios" / f"{name}.toml"
    if not name.endswith(".toml"):
        raise InputError(f"scenario {name!r} is not one of: {', '.join(SHIPPED)}, nor the path of a .toml file")
    return Path(name)


def _load(path: Path) -> Scenario:
    file = validated(_File, read_toml(path, "scenario"), f"scenario {path}")
    if bool(file.task) == bool(file.mix):
        raise ConfigError(f"scenario {path}: give either [[task]] entries or mix, and not both")
    tools = tuple(_tool(tool, path, number) for number, tool in enumerate(file.tool))
    tasks = tuple(_task(task, path, number, tools) for number, task in enumerate(file.task))
    return Scenario(path.stem, file.description, file.system, file.max_tokens, tasks, tools, tuple(file.mix))


def _tool(tool: _Tool, path: Path, number: int) -> ToolSpec:
    try:
        jsonschema.Draft202012Validator.check_schema(tool.parameters)
    except jsonschema.SchemaError as error:
        where = ".".join(map(str, (f"tool[{number}]", "parameters", *error.absolute_path)))
        raise ConfigError(f"scenario {path}: {where} is not a JSON schema: {error.message}") from None
    return ToolSpec(tool.name, tool.description, tool.parameters)


def _task(task: _Task, path: Path, number: int, tools: tuple[ToolSpec, ...]) -> Task:
    here = f"scenario {path}: task[{number}]"
    if task.expect_tool is not None and task.expect_tool not in [tool.name for tool in tools]:
        known = ", ".join(tool.name for tool in tools) or "none: give it a [[tool]] with its schema"
        raise ConfigError(f"{here}.expect_tool {task.expect_tool!r} is not one of: {known}")
    if task.expect_arguments is not None and task.expect_tool is None:
        raise ConfigError(f"{here}.expect_arguments needs an expect_tool")
    patterns = []
    for text in task.expect:
        try:
            patterns.append(re.compile(text))
        except re.error as error:
            raise ConfigError(f"{here}.expect {text!r} is not a regular expression: {error}") from None
    return Task(task.name, _asked(task, path, here), tuple(patterns), task.expect_tool, task.expect_arguments)


def _asked(task: _Task, path: Path, here: str) -> tuple[str, ...]:
    if task.document is None:
        return tuple(task.ask)
    try:
        text = (path.parent / task.document).read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{here}.document {task.document!r} cannot be read: {error.strerror}") from None
    return (*task.ask[:-1], f"{task.ask[-1]}\n\n{text}")
