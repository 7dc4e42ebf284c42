"""Chromium with a recording for its microphone. Independent of pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from agent.measure.recordings import shipped as shipped_recordings
from agent.system.resources import shipped
from pipelines.events import SAMPLE_RATE_HZ

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright (the package alone)")

LEAD_S = 3.0  # silence before the question, while the page connects
SHOTS = os.environ.get("QUICKTURN_SCREENSHOTS")


@contextmanager
def browser(microphone: Path | None) -> Iterator[Any]:
    """Chromium whose microphone plays this file once; with none it has no microphone."""
    arguments = ["--use-fake-ui-for-media-stream", "--autoplay-policy=no-user-gesture-required"]
    if microphone is not None:
        fed = f"--use-file-for-fake-audio-capture={microphone}%noloop"
        arguments += ["--use-fake-device-for-media-stream", fed]
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=arguments,
            chromium_sandbox=os.geteuid() != 0,  # it refuses its sandbox to root
        )
        try:
            yield chromium
        finally:
            chromium.close()


def spoken(path: Path, *parts: Any) -> Path:
    """A microphone's file: silence while the page connects, then recordings, and seconds of silence between them."""
    sound = [np.zeros(round(LEAD_S * SAMPLE_RATE_HZ), np.int16)]
    sound += [np.zeros(round(part * SAMPLE_RATE_HZ), np.int16) if isinstance(part, float) else part for part in parts]
    soundfile.write(path, np.concatenate(sound), SAMPLE_RATE_HZ, subtype="PCM_16")
    return path


def recorded(name: str) -> Any:
    """A shipped recording."""
    return soundfile.read(shipped("recordings") / f"{name}.flac", dtype="int16")[0]


def turns_of(kind: str, name: str) -> list[Any]:
    """The turns of a shipped recording, each with the silence around it."""
    recording = next(recording for recording in shipped_recordings(kind) if recording.name == name)
    return [recording.pcm[turn.clip_start_samples : turn.clip_end_samples] for turn in recording.turns]


def shot(page: Any, name: str) -> None:
    """A picture to look at, where a folder for it is given."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


def opened(chromium: Any, address: str, complaints: list[str], **context: Any) -> Any:
    page = chromium.new_context(**context).new_page()
    page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    return page
