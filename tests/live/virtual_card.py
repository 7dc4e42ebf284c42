"""A sound card made of PulseAudio's null sinks, in a server process of its own.

One stereo sink is the room: what is played to `feed` is its left channel and what the microphone hears, what the agent
plays is its right one. So one recording of the room holds both sides on one clock, to the sample. The recording also
keeps the null sink at periods of 10 ms; alone, it runs in steps of two seconds.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.models.store import store

RATE_HZ = 48_000
NEEDED = ("pulseaudio", "pactl", "parec", "paplay")
_MODULES = (
    "module-null-sink sink_name=room rate=48000 channels=2 channel_map=front-left,front-right",
    "module-remap-sink sink_name=feed master=room channels=1 channel_map=mono master_channel_map=front-left remix=no",
    "module-remap-sink sink_name=speaker master=room channels=1 channel_map=mono "
    "master_channel_map=front-right remix=no",
    "module-remap-source source_name=mic master=room.monitor channels=1 channel_map=mono "
    "master_channel_map=front-left remix=no",
    "module-remap-source source_name=speaker_heard master=room.monitor channels=1 channel_map=mono "
    "master_channel_map=front-right remix=no",
)


def missing() -> str:
    """What is not installed, with the fix; empty if nothing is missing."""
    lacking = [name for name in NEEDED if shutil.which(name) is None]
    if not lacking:
        return ""
    packages = "pulseaudio pulseaudio-utils libportaudio2 libasound2-plugins"
    return f"{', '.join(lacking)} not on PATH: apt-get install {packages}"


@dataclass(frozen=True, slots=True)
class Room:
    """A running card; `environment` makes PortAudio use it."""

    folder: Path
    environment: dict[str, str]

    def play(self, wav: Path) -> subprocess.Popen[bytes]:
        """Play a file to the microphone."""
        return subprocess.Popen(["paplay", "-d", "feed", str(wav)], env=self.environment)

    def echo(self, volume_db: float) -> None:
        """Let the microphone hear the speaker, so much quieter."""
        self._pactl("load-module", "module-loopback", "source=speaker_heard", "sink=feed", "latency_msec=20")
        time.sleep(0.5)
        number = self._pactl("list", "short", "sink-inputs").split("\n")[-2].split("\t")[0]
        self._pactl("set-sink-input-volume", number, f"{volume_db}dB")

    def heard(self) -> NDArray[np.int16]:
        """The room so far at 48 kHz: column 0 the user, column 1 the agent."""
        raw = (self.folder / "room.raw").read_bytes()
        return np.frombuffer(raw[: len(raw) // 4 * 4], "<i2").reshape(-1, 2)

    def _pactl(self, *arguments: str) -> str:
        return subprocess.run(
            ["pactl", *arguments], env=self.environment, check=True, capture_output=True, text=True, timeout=10
        ).stdout


class Card:
    """The server, which may be taken away and given back."""

    def __init__(self, folder: Path) -> None:
        (folder / "home").mkdir(parents=True)
        self._socket = folder / "native"
        # A home of its own, but not for the speech models.
        home = {"XDG_RUNTIME_DIR": str(folder), "HOME": str(folder / "home"), "QUICKTURN_MODELS": str(store())}
        environment = os.environ | home
        self.room = Room(folder, environment | {"PULSE_SERVER": f"unix:{self._socket}"})
        self._processes: list[subprocess.Popen[bytes]] = []

    def plug_in(self) -> None:
        """Start the server and the recording of the room."""
        command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--log-level=error"]
        for module in (f"module-native-protocol-unix socket={self._socket}", *_MODULES):
            command += ["-L", module]
        server = subprocess.Popen(command, env={**self.room.environment, "PULSE_SERVER": ""})
        self._processes.append(server)
        deadline = time.monotonic() + 10
        while subprocess.run(["pactl", "info"], env=self.room.environment, capture_output=True).returncode:
            assert server.poll() is None, "pulseaudio ended"
            assert time.monotonic() < deadline, "pulseaudio does not answer"
            time.sleep(0.1)
        self.room._pactl("set-default-sink", "speaker")
        self.room._pactl("set-default-source", "mic")
        record = ["parec", "-d", "room.monitor", "--raw", "--format=s16le", f"--rate={RATE_HZ}", "--channels=2"]
        record += ["--channel-map=front-left,front-right", "--latency-msec=10"]
        with (self.room.folder / "room.raw").open("wb") as raw:
            self._processes.append(subprocess.Popen(record, env=self.room.environment, stdout=raw))

    def unplug(self) -> None:
        """End both."""
        for process in reversed(self._processes):
            process.terminate()
            process.wait(10)
        self._processes = []


@contextmanager
def virtual_card(folder: Path) -> Iterator[Card]:
    """A card that is there; it ends with the block."""
    card = Card(folder)
    try:
        card.plug_in()
        yield card
    finally:
        card.unplug()
