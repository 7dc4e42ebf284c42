from collections.abc import Callable
from pathlib import Path

import pytest

from agent.setup.config import load_config
from pipelines.endpointing import EndpointingSettings
from pipelines.errors import ConfigError
from pipelines.modes import Mode
from pipelines.reply_stages import ReplySettings
from pipelines.vad import VadSettings

Write = Callable[[str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def to_file(toml: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(toml, encoding="utf-8")
        return path

    return to_file


def refused(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_the_shipped_defaults_load() -> None:
    config = load_config()
    assert config.agent.mode is Mode.SPECULATIVE
    assert config.agent.llm.startswith("sim/")
    assert config.agent.system_prompt.strip()


def test_the_shipped_defaults_are_those_of_the_code() -> None:
    config = load_config()
    assert (config.vad, config.endpointing, config.reply) == (VadSettings(), EndpointingSettings(), ReplySettings())


def test_a_file_changes_what_it_names_and_leaves_the_rest(write: Write) -> None:
    config = load_config(write("[endpointing]\nlikely_ms = 250\n"))
    assert config.endpointing == EndpointingSettings(likely_ms=250)
    assert config.vad == VadSettings()


def test_an_empty_file_changes_nothing(write: Write) -> None:
    assert load_config(write("")) == load_config()


def test_overrides_win_over_the_file(write: Write) -> None:
    path = write('[agent]\nmode = "streaming"\nllm = "sim/100:50"\n')
    config = load_config(path, {"agent": {"mode": "sequential"}})
    assert (config.agent.mode, config.agent.llm) == (Mode.SEQUENTIAL, "sim/100:50")


def test_an_override_of_none_is_not_set() -> None:
    assert load_config(overrides={"agent": {"mode": None, "llm": None}}) == load_config()


def test_an_unknown_section_is_refused_with_the_closest_first(write: Write) -> None:
    message = refused(write("[endpoint]\nlikely_ms = 1\n"))
    assert "mine.toml: endpoint is not one of: endpointing, agent, " in message


def test_an_unknown_key_is_refused_by_its_full_path_with_the_closest_first(write: Write) -> None:
    message = refused(write("[endpointing]\nlikly_ms = 1\n"))
    assert "mine.toml: endpointing.likly_ms is not one of: likely_ms, " in message
    assert "dangling_ms" in message


def test_an_unknown_override_says_that_it_came_from_the_command_line() -> None:
    with pytest.raises(ConfigError, match=r"the command line: agent\.voice is not one of: "):
        load_config(overrides={"agent": {"voice": "amy"}})


def test_a_value_where_a_section_belongs_is_refused(write: Write) -> None:
    assert refused(write("vad = 3\n")).endswith("mine.toml: vad is 3, but must be a table: [vad]")


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ('[agent]\nmode = "fast"', ("agent.mode", "'fast'", "'sequential', 'streaming' or 'speculative'")),
        ('[reply]\nfirst_unit = "word"', ("reply.first_unit", "'word'", "'sentence' or 'clause'")),
        ('[endpointing]\nlikely_ms = "soon"', ("endpointing.likely_ms", "'soon'", "number")),
        ("[vad]\nstart_windows = 2.5", ("vad.start_windows", "2.5", "integer")),
        ("[agent]\nllm = 3", ("agent.llm", "3", "string")),
        ("[agent]\ntools = 7", ("agent.tools", "7", "boolean")),
        ("[llm]\nmax_tokens = [1]", ("llm.max_tokens", "[1]", "integer")),
    ],
)
def test_a_wrong_value_is_refused_with_its_key_and_what_would_be_right(
    write: Write, toml: str, expected: tuple[str, ...]
) -> None:
    message = refused(write(toml))
    assert all(part in message for part in expected), message


@pytest.mark.parametrize(
    "toml",
    [
        "[endpointing]\nlikely_ms = -1",
        "[endpointing]\nlikely_ms = nan",
        "[endpointing]\ndangling_ms = inf",
        "[vad]\nstart_windows = 0",
        "[vad]\nstop_windows = -2",
        "[vad]\nstart_probability = 1.5",
        "[vad]\nstop_probability = 0.0",
        "[endpointing]\nsure_sound = 1.5",
        "[endpointing]\nsure_question = 0.0",
        "[endpointing]\ntranscript_timeout_ms = 0",
        "[reply]\ntts_timeout_s = -1",
        "[llm]\nmax_tokens = 0",
        "[llm]\nstall_timeout_s = 0",
    ],
)
def test_a_number_that_makes_no_sense_is_refused(write: Write, toml: str) -> None:
    key = toml.partition("]")[0][1:] + "." + toml.partition("\n")[2].partition(" ")[0]
    assert key in refused(write(toml))


def test_broken_toml_is_refused_with_its_place(write: Write) -> None:
    message = refused(write("[agent\nllm = 3"))
    assert "mine.toml is not valid TOML: " in message
    assert "line 1" in message


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xff\xfe\x00")
    assert "is not valid TOML" in refused(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.toml").endswith("none.toml cannot be read: No such file or directory")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refused(tmp_path)
