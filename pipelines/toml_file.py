"""TOML files that users write: read, validated by a pydantic model, and every fault in one line: where it is, which
value, and what is expected.
"""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import NoneType
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from pipelines.errors import ConfigError
from pipelines.json_object import JsonObject

M = TypeVar("M", bound=BaseModel)


def read_toml(path: Path, what: str) -> JsonObject:
    """The content of `path`; `what` names it in messages, such as "configuration".

    Raises ConfigError if it cannot be read, or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"{what} {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{what} {path} is not valid TOML: it is not UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{what} {path} is not valid TOML: {error}") from None


def validated(
    model: type[M],
    raw: object,
    where: str,
    *,
    expected: Mapping[str, str] | None = None,
    secret: Mapping[str, str] | None = None,
) -> M:
    """`raw` as a `model`, whose tables forbid unknown keys. `where` begins the message.

    `expected` says by key what a text of that key looks like; `secret` what is wrong with keys whose value must not be
    repeated. Raises ConfigError.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_first_problem(error, model, expected or {}, secret or {})}") from None


def _first_problem(
    error: ValidationError, model: type[BaseModel], expected: Mapping[str, str], secret: Mapping[str, str]
) -> str:
    problem = error.errors(include_url=False)[0]
    loc = problem["loc"]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
    key = str(loc[-1]) if loc else ""
    match problem["type"]:
        case "extra_forbidden":
            return f"{path} is not one of: {', '.join(map(repr, _model_at(model, loc[:-1]).model_fields))}"
        case "missing":
            return f"{path} is missing"
        case _ if key in secret:
            return f"{path} {secret[key]}"
        case "string_pattern_mismatch" if key in expected:
            return f"{path} is {problem['input']!r}; expected {expected[key]}"
    return f"{path} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def closest_first(wanted: str, known: Iterable[str]) -> list[str]:
    """The known names, those that are most like `wanted` first."""
    names = list(known)
    close = difflib.get_close_matches(wanted, names, max(1, len(names)), 0.5)
    return [*close, *(name for name in names if name not in close)]


def _model_at(model: type[BaseModel], loc: tuple[int | str, ...]) -> type[BaseModel]:
    """The model of the table at this place of the file."""
    kind: Any = model
    for part in loc:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            kind = kind.model_fields[str(part)].annotation
        else:  # a list's item, or a table's value
            kind = get_args(kind)[-1]
        kind = next((one for one in get_args(kind) if NoneType in get_args(kind) and one is not NoneType), kind)
    assert isinstance(kind, type)
    assert issubclass(kind, BaseModel)
    return kind
