"""Which microphones and speakers there are, and which one a name means. It opens none of them."""

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipelines.errors import InputError

if TYPE_CHECKING:
    import sounddevice

RATES_HZ = {"input": (16_000, 48_000), "output": (48_000, 16_000)}
"""What the audio processing takes and cards offer, the better first: recognisers want 16 kHz, ears want more."""

_NO_PORTAUDIO = {
    "linux": "Debian: apt-get install libportaudio2",
    "darwin": "brew install portaudio, or: pip install --force-reinstall sounddevice",
    "win32": "pip install --force-reinstall sounddevice",
}
_NO_DEVICE = {
    "linux": "plug one in (`arecord -l`, `aplay -l`); with PulseAudio or PipeWire: apt-get install libasound2-plugins",
    "darwin": "plug one in, and allow the terminal in System Settings > Privacy & Security > Microphone",
    "win32": "plug one in, and allow desktop apps in Settings > Privacy > Microphone",
}


@dataclass(frozen=True, slots=True)
class Device:
    """A sound device by PortAudio's number; `rate_hz` is its own favourite."""

    number: int
    name: str
    inputs: int
    outputs: int
    rate_hz: int
    is_default_input: bool
    is_default_output: bool


def portaudio() -> "sounddevice":
    """The library. Raises InputError with the fix if it is not installed."""
    try:
        import sounddevice
    except OSError:
        raise InputError(f"PortAudio is not installed; to install it: {_fix(_NO_PORTAUDIO)}") from None
    return sounddevice


def devices() -> list[Device]:
    """All devices. Raises InputError if PortAudio is missing."""
    sd: Any = portaudio()
    default_in, default_out = sd.default.device
    return [
        Device(
            number,
            found["name"],
            found["max_input_channels"],
            found["max_output_channels"],
            round(found["default_samplerate"]),
            number == default_in,
            number == default_out,
        )
        for number, found in enumerate(sd.query_devices())
    ]


def find(kind: str, name: str) -> Device:
    """The microphone (`kind` "input") or speaker ("output") whose name holds `name`; the default one for "".

    Raises InputError if there is none, or several.
    """
    usable = [d for d in devices() if (d.inputs if kind == "input" else d.outputs)]
    if not usable:
        what = "microphone" if kind == "input" else "speaker"
        raise InputError(f"no {what} was found: {_fix(_NO_DEVICE)}")
    if not name:
        default = [d for d in usable if (d.is_default_input if kind == "input" else d.is_default_output)]
        return (default or usable)[0]
    exact = [d for d in usable if name.lower() == d.name.lower() or name == str(d.number)]
    found = exact or [d for d in usable if name.lower() in d.name.lower()]
    if len(found) != 1:
        known = ", ".join(repr(d.name) for d in found or usable)
        raise InputError(f"{kind} device {name!r} is {'one of several' if found else 'not one of'}: {known}")
    return found[0]


def rate_of(kind: str, device: Device) -> int:
    """The best rate that it offers. Raises InputError if it offers none of ours."""
    sd: Any = portaudio()
    check = sd.check_input_settings if kind == "input" else sd.check_output_settings
    for rate_hz in RATES_HZ[kind]:
        try:
            check(device=device.number, channels=1, dtype="int16", samplerate=rate_hz)
        except (sd.PortAudioError, ValueError):
            continue
        return rate_hz
    rates = " nor ".join(f"{rate:,}" for rate in RATES_HZ[kind])
    raise InputError(f"{kind} device {device.name!r} takes neither {rates} Hz mono; choose another with --{kind}")


def _fix(fixes: dict[str, str]) -> str:
    return fixes.get(sys.platform, fixes["linux"])
