"""Models by name: what may be asked for, and for those that are not in the catalogue, what the hub says of them.

It downloads nothing.
"""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from agent.models.catalogue import HubSource, ModelFile, SpeechModel, speech_catalogue
from agent.models.sources import Hub, NotThereError
from pipelines.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub.hf_api import ModelInfo

_VOICES = "rhasspy/piper-voices"
_VOICE = re.compile(r"(?P<language>[a-z]{2,3})_(?P<country>[A-Z]{2})-(?P<who>\w+)-(?P<quality>x_low|low|medium|high)")
REPOSITORY = re.compile(r"\w[\w.-]*/\w[\w.-]*")
_WHISPER_FILES = re.compile(r"(config|preprocessor_config|tokenizer)\.json|vocabulary\.\w+|model\.bin")


def check_name(spec: str) -> None:
    """Raise InputError for what cannot be fetched, without asking anyone."""
    kind, _, name = spec.partition(":")
    if spec in speech_catalogue():
        return
    if kind not in ("whisper", "piper") or not name:
        turns = "".join(f", '{known}'" for known in speech_catalogue() if known.startswith("turn:"))
        raise InputError(f"model '{spec}' is not one of: 'whisper:SIZE', 'piper:VOICE'{turns}")
    if kind == "piper" and not _VOICE.fullmatch(name):
        raise InputError(f"'{spec}' is not a Piper voice; expected a name like en_US-joe-medium, or a local .onnx file")
    if kind == "whisper" and not REPOSITORY.fullmatch(name) and name not in whisper_sizes():
        english = f"{name}.en"
        if english in whisper_sizes():
            raise InputError(f"'{spec}' is multilingual, and this agent speaks English; expected 'whisper:{english}'")
        raise InputError(f"'{spec}' is neither a folder nor one of: {', '.join(whisper_sizes())}")


def whisper_sizes() -> dict[str, str]:
    """The English models of faster-whisper and their repositories, which it does not publish otherwise."""
    from faster_whisper.utils import _MODELS

    return {name: repository for name, repository in _MODELS.items() if name.endswith(".en")}


def described(spec: str, hub: Hub) -> SpeechModel:
    """A model that is not in the catalogue, as the hub describes it. Raises InputError, and SourceError for the hub."""
    kind, _, name = spec.partition(":")
    if kind == "whisper":
        repository, wanted, essential = whisper_sizes().get(name, name), _WHISPER_FILES, "model.bin"
    else:
        repository, wanted, essential = _VOICES, re.compile(_voice_file(name) + r"(\.json)?"), _voice_file(name)
    try:
        info = hub.info(repository)
    except NotThereError as error:
        raise InputError(f"'{spec}': {error} on the model hub; `quickturn fetch --list` names some") from error
    siblings = sorted((s for s in info.siblings or [] if wanted.fullmatch(s.rfilename)), key=lambda s: s.size or 0)
    if essential not in [sibling.rfilename for sibling in siblings]:
        raise InputError(f"'{spec}': {repository} holds no {essential}{_family(name, info) if kind == 'piper' else ''}")
    files = tuple(
        ModelFile(Path(one.rfilename).name, one.size or 0, one.lfs.sha256 if one.lfs else "") for one in siblings
    )
    folder = str(Path(essential).parent.as_posix()).removeprefix(".")
    return SpeechModel(spec, _licence(info), files, HubSource(repository, info.sha or "main", folder))


def _voice_file(name: str) -> str:
    match = _VOICE.fullmatch(name)
    assert match is not None
    language, country, who, quality = match.groups()
    return f"{language}/{language}_{country}/{who}/{quality}/{name}.onnx"


def _family(name: str, info: "ModelInfo") -> str:
    voices = sorted(Path(s.rfilename).stem for s in info.siblings or [] if s.rfilename.endswith(".onnx"))
    alike = [voice for voice in voices if voice.startswith(name[:5])] or voices
    return f"; some of its voices: {', '.join(alike[:8])}"


def _licence(info: "ModelInfo") -> str:
    stated = [tag.removeprefix("license:") for tag in info.tags or [] if tag.startswith("license:")]
    return stated[0] if stated else "see its model card"
