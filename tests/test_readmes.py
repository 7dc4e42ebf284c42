"""The READMEs: commands that exist, links that lead somewhere, modules and tests that are there, one front page of one
sitting.
"""

import re
import shlex
from itertools import takewhile
from pathlib import Path

import pytest
import typer

from agent.cli import app

ROOT = Path(__file__).parent.parent
FOLDERS = ("agent", "configs", "pipelines", "recordings", "tests")
READMES = [ROOT / "README.md", *(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("README.md")))]
_CODE = re.compile(r"```(?:sh|shell)\n(.*?)```", re.DOTALL)
_INLINE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_PATH = re.compile(r"\b(?:tests|agent|pipelines|configs|recordings)/[\w./@-]+")
_SHELL = {"|", "&&", "||", ";", "<", ">", "#"}


def commands(text: str) -> list[list[str]]:
    """Each `quickturn ...`, `pytest ...` and `python -m ...` of a README, as argv."""
    lines = [line for block in _CODE.findall(text) for line in block.splitlines()]
    lines += [span.replace("\n", " ") for span in _INLINE.findall(re.sub(r"```.*?```", "", text, flags=re.DOTALL))]
    found = []
    for line in lines:
        for part in re.split(r"&&|;", line.split("  #")[0]):
            words = shlex.split(part, comments=True)
            if words and Path(words[0]).name in {"quickturn", "pytest", "python"} and len(words) > 1:
                found.append([Path(words[0]).name, *takewhile(lambda word: word not in _SHELL, words[1:])])
    return found


def problem_of(argv: list[str]) -> str | None:
    """What is wrong with a command, None if nothing is; nothing is run."""
    if argv[0] == "quickturn":
        return _quickturn_problem(argv[1:])
    if argv[:2] == ["python", "-m"]:
        module = ROOT / (argv[2].replace(".", "/") + ".py")
        return None if argv[2] in {"venv", "pip"} or module.is_file() else f"no module {argv[2]}"
    paths = [word for word in argv[1:] if word.startswith("tests/")]
    return next((f"no file {path}" for path in paths if not (ROOT / path.split("::")[0]).exists()), None)


def _quickturn_problem(words: list[str]) -> str | None:
    command = typer.main.get_command(app)
    context = command.make_context("quickturn", [], resilient_parsing=True)
    while hasattr(command, "commands"):
        name = words.pop(0) if words else ""
        if name not in command.commands:
            return f"no command {name!r}"
        command = command.commands[name]
    try:
        parser_context = command.context_class(command, info_name=command.name, parent=context)
        command.make_parser(parser_context).parse_args(args=[word for word in words if word != "..."])
    except Exception as error:
        return str(error)
    return None


def anchors(markdown: str) -> set[str]:
    """The anchors that a forge gives a page's headings."""
    headings = re.findall(r"^#+ (.+)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(readme: Path, text: str) -> list[str]:
    """The relative links of a README that lead nowhere."""
    broken = []
    for target in _LINK.findall(text):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        there = (readme.parent / path).resolve() if path else readme
        if not there.exists() or (anchor and anchor not in anchors(there.read_text())):
            broken.append(target)
    return broken


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_of_a_readme_exists_with_its_options(readme: Path) -> None:
    problems = {shlex.join(argv): problem_of(argv) for argv in commands(readme.read_text())}
    assert {argv: problem for argv, problem in problems.items() if problem} == {}


@pytest.mark.parametrize("readme", READMES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_and_path_of_a_readme_leads_somewhere(readme: Path) -> None:
    text = readme.read_text()
    assert broken_links(readme, text) == []
    named = {path.rstrip("./") for path in _PATH.findall(text)}
    assert [path for path in sorted(named) if not list(ROOT.glob(path)) and not (readme.parent / path).exists()] == []


def test_all_folders_that_the_front_page_sends_to_have_a_readme() -> None:
    folders = {str(path.parent.relative_to(ROOT)) for path in READMES}
    assert folders >= {".", *FOLDERS, "agent/talk", "agent/web", "agent/room", "agent/room/worker"}
    assert sum(len(commands(path.read_text())) for path in READMES) > 50


def test_the_front_page_is_read_in_one_sitting() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("quickturn serve", "no command 'serve'"),
        ("quickturn room leave", "no command 'leave'"),
        ("quickturn replay --speed 2", "No such option: --speed"),
        ("quickturn replay --llm", "requires an argument"),
        ("python -m tests.bench.nowhere", "no module tests.bench.nowhere"),
        ("pytest -m live tests/live/test_nowhere.py", "no file tests/live/test_nowhere.py"),
    ],
)
def test_a_command_that_does_not_exist_is_found(command: str, problem: str) -> None:
    for text in (f"Run `{command}` first.", f"```sh\n{command}   # a comment\n```"):
        (argv,) = commands(text)
        assert problem in (problem_of(argv) or "")


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(
        "# One title\n[a](README.md) [b](README.md#one-title) [c](gone.md) [d](#another) [e](https://x.y)"
    )
    assert broken_links(readme, readme.read_text()) == ["gone.md", "#another"]
