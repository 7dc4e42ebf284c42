"""The one place where speech engines are chosen, loaded and warmed up; it says what it picked and why. It knows no
turn.

Engine names: `embedded`, `whisper:SIZE_OR_PATH` and `pocketsphinx` hear; `embedded`, `embedded:VOICE` and
`piper:VOICE_OR_PATH` speak; `auto` picks. Models that are named but not here are downloaded.
"""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from agent import fetch
from pipelines.errors import InputError
from pipelines.events import Clock
from pipelines.models import PIPER_VOICES, WHISPER_MICRO_EN
from pipelines.stt import SpeechToText
from pipelines.stt.guards import Guards
from pipelines.stt.segments import StreamingSettings
from pipelines.tts import TextToSpeech

_STT_NAMES = "'auto', 'embedded', 'whisper:SIZE_OR_PATH', 'pocketsphinx'"
_TTS_NAMES = "'auto', 'embedded', 'piper:VOICE_OR_PATH'"
_EMBEDDED_VOICE = "micro"
_LIMITS = "knows the demo's domain and synthetic voices, not human speech; for that: quickturn fetch whisper:base.en"

# Short words reach a no-speech probability of 0.4, but are sure of themselves: mean log probability over -0.35, all
# but one in 144. What the model makes of tones lies over 0.1 and under -0.5.
EMBEDDED_GUARDS = Guards(max_no_speech=0.08, min_logprob=-0.45)
_EMBEDDED_LONGEST_S = 8.0  # it has hardly been trained on longer utterances


def load_stt(
    spec: str,
    *,
    live: bool,
    clock: Clock | None = None,
    window_s: float | None = None,
    settings: StreamingSettings | None = None,
) -> tuple[SpeechToText, str]:
    """The speech recogniser named `spec`, warm, and one line that says what was picked and why. Blocking.

    `live` is whether people speak rather than recordings, which matters to `auto`. `window_s` is Whisper's encoder
    window: 12 for downloaded models and 0, which fits the audio, for the embedded one unless given. Raises
    InputError, DownloadError or StageError.
    """
    if window_s is not None and not 0 <= window_s <= 30:
        raise InputError(f"encoder window {window_s:g} s is not between 0 (fits the audio) and 30")
    kind, _, model = spec.partition(":")
    match kind, model:
        case "auto", "":
            picked, why = _automatic_stt(live)
            engine, note = load_stt(picked, live=live, clock=clock, window_s=window_s, settings=settings)
            return engine, f"{note} ({why})"
        case "embedded", "":
            return _embedded_stt(clock, 0.0 if window_s is None else window_s, settings), f"embedded model: {_LIMITS}"
        case "whisper", name if name:
            window_s = 12.0 if window_s is None else window_s
            engine = _whisper(spec, fetch.whisper_path(name), clock, window_s, settings)
            return engine, f"faster-whisper {name}"
        case "pocketsphinx", "":
            from pipelines.stt.pocketsphinx import PocketSphinx

            return PocketSphinx(clock=clock), "PocketSphinx: open vocabulary, no punctuation"
        case _:
            raise InputError(f"stt '{spec}' is not one of: {_STT_NAMES}")


def load_tts(spec: str) -> tuple[TextToSpeech, str]:
    """The voice named `spec`, warm, and one line that says what was picked and why. Blocking.

    Raises InputError, DownloadError or StageError.
    """
    kind, _, voice = spec.partition(":")
    match kind, voice:
        case "auto", "":
            fetched = fetch.fetched_voices()
            picked = f"piper:{fetched[0]}" if fetched else "embedded"
            engine, note = load_tts(picked)
            return engine, f"{note} ({'the first fetched voice' if fetched else 'no voice has been fetched'})"
        case "embedded", name if (name or _EMBEDDED_VOICE) in PIPER_VOICES:
            name = name or _EMBEDDED_VOICE
            engine = _piper(PIPER_VOICES[name], f"embedded:{name}")
            return engine, f"embedded voice {name}: a test voice, not a product one"
        case "piper", name if name:
            return _piper(fetch.voice_path(name), spec), f"Piper {name}"
        case _:
            voices = ", ".join(f"'embedded:{name}'" for name in PIPER_VOICES)
            raise InputError(f"tts '{spec}' is not one of: {_TTS_NAMES}, {voices}")


def _automatic_stt(live: bool) -> tuple[str, str]:
    fetched = fetch.fetched_whispers()
    if fetched:
        return f"whisper:{fetched[-1]}", "the largest model that has been fetched"
    if not live:
        return "embedded", "no larger model has been fetched"
    if find_spec("pocketsphinx"):
        return "pocketsphinx", "live speech, and no whisper model has been fetched"
    return "embedded", "neither a whisper model nor PocketSphinx is here"


def _embedded_stt(clock: Clock | None, window_s: float, settings: StreamingSettings | None) -> SpeechToText:
    settings = replace(settings or StreamingSettings(), longest_s=_EMBEDDED_LONGEST_S)
    # Its end marks were measured against hesitations; those of other models were not, so they are believed as they
    # stand.
    return _whisper("embedded", WHISPER_MICRO_EN, clock, window_s, settings, EMBEDDED_GUARDS, tells_end=True)


def _whisper(
    name: str,
    path: Path,
    clock: Clock | None,
    window_s: float,
    settings: StreamingSettings | None,
    guards: Guards | None = None,
    *,
    tells_end: bool = False,
) -> SpeechToText:
    from pipelines.stt.streaming import StreamingWhisper
    from pipelines.stt.whisper import WhisperModel

    model = WhisperModel(path, window_s=window_s, guards=guards, tells_end=tells_end)
    model.warm_up()
    return StreamingWhisper(name, model, workers=model.workers, settings=settings, clock=clock)


def _piper(path: Path, name: str) -> TextToSpeech:
    from pipelines.tts.piper import Piper

    voice = Piper(path, name=name)
    voice.warm_up()
    return voice
