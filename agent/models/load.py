"""The one place where speech engines are chosen, loaded and warmed up. Independent of turns.

`whisper:SIZE_OR_PATH` hears, `piper:VOICE_OR_PATH` speaks and `turn:NAME_OR_PATH` hears the end of a turn. Models that
are named but not here are downloaded.
"""

from typing import TYPE_CHECKING

from agent.models import fetch
from agent.models.check import check_voice, check_whisper
from agent.models.store import store
from pipelines.errors import InputError, StageError
from pipelines.events import Clock
from pipelines.smart_turn import SmartTurn
from pipelines.stt.segments import StreamingSettings

if TYPE_CHECKING:
    from pipelines.stt.streaming import StreamingWhisper
    from pipelines.tts.piper import Piper

_ENGINES = {
    "stt": ("whisper", "'whisper:SIZE_OR_PATH', such as 'whisper:tiny.en'"),
    "tts": ("piper", "'piper:VOICE_OR_PATH', such as 'piper:en_US-joe-medium'"),
    "turn detector": ("turn", "'turn:NAME_OR_PATH', such as 'turn:smart-turn-v3.2'; ''"),
}


def model_name(role: str, spec: str) -> str:
    """What stands behind the kind in the specification of an "stt", "tts" or "turn detector". Raises InputError."""
    wanted, expected = _ENGINES[role]
    kind, _, name = spec.partition(":")
    if kind != wanted or not name:
        raise InputError(f"{role} '{spec}' is not one of: {expected}")
    return name


def load_stt(
    spec: str,
    *,
    clock: Clock | None = None,
    window_s: float | None = None,
    settings: StreamingSettings | None = None,
) -> "StreamingWhisper":
    """The speech recogniser named `spec`, warm. Blocking.

    `window_s` is Whisper's encoder window, from 0, which fits the audio, to 30. Raises InputError, DownloadError.
    """
    if window_s is not None and not 0 <= window_s <= 30:
        raise InputError(f"encoder window {window_s:g} s is not between 0 (fits the audio) and 30")
    path = fetch.whisper_path(model_name("stt", spec))
    check_whisper(spec, path)

    from pipelines.stt.streaming import StreamingWhisper
    from pipelines.stt.whisper import WhisperModel

    try:
        model = (
            WhisperModel(path, tells_end=True)
            if window_s is None
            else WhisperModel(path, window_s=window_s, tells_end=True)
        )
    except StageError as error:
        raise InputError(f"stt '{spec}': {error}") from error
    model.warm_up()
    return StreamingWhisper(spec, model, workers=model.workers, settings=settings, clock=clock)


def load_tts(spec: str) -> "Piper":
    """The voice named `spec`, warm. Blocking. Raises InputError, DownloadError."""
    path = fetch.voice_path(model_name("tts", spec))
    check_voice(spec, path)

    from pipelines.tts.piper import Piper

    try:
        voice = Piper(path, name=spec, cache=store())
    except StageError as error:
        raise InputError(f"tts '{spec}': {error}") from error
    voice.warm_up()
    return voice


def load_turn_detector(spec: str) -> SmartTurn | None:
    """The turn detector named `spec`, warm; None for "". Blocking. Raises InputError, DownloadError."""
    if not spec:
        return None
    path = fetch.turn_detector_path(model_name("turn detector", spec))
    try:
        detector = SmartTurn(path, name=spec)
        detector.warm_up()
    except StageError as error:
        raise InputError(str(error)) from error
    return detector
