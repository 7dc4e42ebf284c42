"""Tools from the user's own Python file."""

import asyncio
from pathlib import Path

import pytest

from agent.setup.config import load_config
from agent.setup.engines import open_engines
from agent.setup.tools import load_tools
from pipelines.errors import InputError
from tests.virtual_time import run

OWN = '''
from pipelines.tools import tool

def opening_hours(day: str) -> str:
    """When the shop is open."""
    return f"nine to five on {day}"

async def order(item: str, count: int = 1) -> dict:
    """Order something."""
    return {"ordered": item, "count": count}

TOOLS = [tool(opening_hours, read_only=True), order]
'''


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.py"
    path.write_text(text)
    return path


def test_functions_and_tools_of_the_file_are_offered(tmp_path: Path) -> None:
    hours, order = load_tools(written(tmp_path, OWN))
    assert (hours.spec.name, hours.read_only) == ("opening_hours", True)
    assert asyncio.run(hours.call(day="Monday")) == "nine to five on Monday"
    assert (order.spec.name, order.read_only) == ("order", False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1", "TOOLS is None; expected a list of functions"),
        ("TOOLS = [3]", r"TOOLS is \[3\]; expected a list of functions"),
        ("import nowhere_to_be_found", "cannot be run: ModuleNotFoundError"),
        ("def f(x: int): return x\nTOOLS = [f]", "tool f has no docstring"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(InputError, match=says):
        load_tools(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named() -> None:
    with pytest.raises(InputError, match=r"agent.tools_file 'nowhere.py' does not exist"):
        load_tools(Path("nowhere.py"))


def test_two_tools_of_one_name_are_refused_before_anything_is_loaded(tmp_path: Path) -> None:
    mine = written(tmp_path, OWN.replace("opening_hours", "get_weather"))
    config = load_config(None, {"agent": {"tools_file": str(mine)}})

    async def opened() -> None:
        async with open_engines(config, ["sim/100:100"]):
            raise AssertionError

    with pytest.raises(InputError, match="two are called 'get_weather'"):
        run(opened())
