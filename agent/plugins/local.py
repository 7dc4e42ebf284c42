"""What both plugins say of themselves: the engine runs in this process."""

from pipelines.stt import SpeechToText
from pipelines.tts import TextToSpeech


class LocalEngine:
    """Mixed into livekit-agents' plugin classes, before them."""

    engine: SpeechToText | TextToSpeech

    @property
    def model(self) -> str:
        """The engine's name, such as `whisper:tiny.en`."""
        return self.engine.name

    @property
    def provider(self) -> str:
        """Which service it is: this process."""
        return "quickturn"
