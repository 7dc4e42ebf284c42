"""The shipped catalogue of speech models, and what is said of one that is wrong."""

from pathlib import Path

import pytest

from agent.models.catalogue import read_speech_catalogue, speech_catalogue
from pipelines.errors import ConfigError, InputError

GOOD = """
[whisper."tiny.en"]
licence = "MIT"
hub = { repository = "someone/whisper", revision = "0123456789abcdef0123456789abcdef01234567" }
wheel = { requirement = "small-models==1.0", size_bytes = 10, folder = "small_models" }
files = [{ name = "model.bin", size_bytes = 3, sha256 = "%s" }]
""" % ("ab" * 32)


def test_the_shipped_default_set_hears_speaks_and_knows_the_end_of_a_turn() -> None:
    default = [model for model in speech_catalogue().values() if model.default]
    assert [model.name for model in default] == ["whisper:tiny.en", "piper:en_US-joe-medium", "turn:smart-turn-v3.2"]
    assert all(model.wheel and model.licence for model in default)
    assert sum(model.size_bytes for model in default) == pytest.approx(150e6, rel=0.01)


def test_a_model_is_read_whole(tmp_path: Path) -> None:
    (tmp_path / "speech.toml").write_text(GOOD)
    (model,) = read_speech_catalogue(tmp_path / "speech.toml").values()
    assert (model.name, model.size_bytes, model.default, model.hub.folder) == ("whisper:tiny.en", 3, False, "")
    assert model.wheel
    assert (model.wheel.requirement, model.files[0].name) == ("small-models==1.0", "model.bin")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('sha256 = "ab', 'sha256 = "', "whisper.tiny.en.files[0].sha256 is 'abab"),
        (f'sha256 = "{"ab" * 32}"', 'sha256 = "none"', "files[0].sha256 is 'none'; expected 64 hexadecimal digits"),
        ("size_bytes = 3, ", "", "whisper.tiny.en.files[0].size_bytes is missing"),
        ("size_bytes = 3", "size_bytes = 0", "size_bytes is 0: input should be greater than 0"),
        ("size_bytes = 3", "size_bytes = 3, size = 3", "files[0].size is not one of: 'name', 'size_bytes', 'sha256'"),
        ("licence", "license", "whisper.tiny.en.licence is missing"),
        ("[whisper", "[wisper", "wisper is not one of: 'whisper', 'piper', 'turn'"),
        ("==1.0", "", "whisper.tiny.en.wheel.requirement is 'small-models'; expected NAME==VERSION"),
        ("someone/", "", "whisper.tiny.en.hub.repository is 'whisper'; expected OWNER/NAME"),
        ('01234567"', 'main"', "main'; expected a commit, 40 hexadecimal digits"),
        ('"model.bin"', '"../model.bin"', "files[0].name is '../model.bin'; expected a plain file name"),
        ("files = [", "files = [[", "is not valid TOML"),
    ],
)
def test_a_bad_entry_is_named_by_its_path(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = tmp_path / "speech.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        read_speech_catalogue(path)
    assert message in str(caught.value)
    assert str(caught.value).removeprefix("catalogue of speech models ").startswith(str(path))
    assert "\n" not in str(caught.value)


def test_a_catalogue_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"catalogue of speech models .* cannot be read: No such file"):
        read_speech_catalogue(tmp_path / "none.toml")
