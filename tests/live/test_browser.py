"""The page in a real browser: Chromium hears a recording through its microphone, and the answer is heard and drawn.

The server is a process of its own with the shipped engines. The words and the sound are judged by what the page
downloads, so all of it has passed through the browser both ways.
"""

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import soundfile

from agent.measure.recordings import shipped as shipped_recordings
from agent.resources import shipped
from pipelines.audio import level_dbfs
from pipelines.stt.wer import word_error_rate
from tests.bench.barge_in import voiced_onset_samples
from tests.live.page_tap import tap, tapped
from tests.live.transcribed import transcribed
from tests.timing import once_undisturbed

playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright (the package alone)")

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on PATH: apt-get install chromium"),
]
RATE_HZ = 16_000
LEAD_S = 3.0  # silence before the question, while the page connects
LLM = "sim/cerebras-llama3.1-8b"
SHOTS = os.environ.get("QUICKTURN_SCREENSHOTS")


@contextmanager
def serving(*options: str) -> Iterator[str]:
    """The address of a `quickturn web` until it is no longer needed."""
    command = [sys.executable, "-c", "from agent.cli import main; main()", "web", "--port", "0"]
    with subprocess.Popen([*command, "--llm", LLM, *options], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield _address(process)
        finally:
            process.terminate()
            assert process.wait(10) == 0


def _address(process: "subprocess.Popen[bytes]") -> str:
    assert process.stdout is not None
    told, deadline = b"", time.monotonic() + 60
    while (found := re.search(rb"http://\S+", told)) is None or not told.endswith(b"\n"):
        assert process.poll() is None, told
        assert time.monotonic() < deadline, told
        if select.select([process.stdout], [], [], 1)[0]:
            told += os.read(process.stdout.fileno(), 4_096)
    return found[0].decode()


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
    sound = [np.zeros(round(LEAD_S * RATE_HZ), np.int16)]
    sound += [np.zeros(round(part * RATE_HZ), np.int16) if isinstance(part, float) else part for part in parts]
    soundfile.write(path, np.concatenate(sound), RATE_HZ, subtype="PCM_16")
    return path


def recorded(name: str) -> Any:
    """A shipped recording."""
    return soundfile.read(shipped("recordings") / f"{name}.flac", dtype="int16")[0]


def turns_of(kind: str, name: str) -> list[Any]:
    """The turns of a shipped recording, each with the silence around it."""
    recording = next(recording for recording in shipped_recordings(kind) if recording.name == name)
    return [recording.pcm[turn.clip_start_samples : turn.clip_end_samples] for turn in recording.turns]


def downloaded(page: Any, link: str, to: Path) -> Path:
    with page.expect_download() as download:
        page.click(link)
    download.value.save_as(to)
    return to


def shot(page: Any, name: str) -> None:
    """A picture to look at, where a folder for it is given."""
    if SHOTS:
        page.screenshot(path=Path(SHOTS) / f"{name}.png", full_page=True)


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console complained of."""
    return []


def opened(chromium: Any, address: str, complaints: list[str], **context: Any) -> Any:
    page = chromium.new_context(**context).new_page()
    page.on("console", lambda told: complaints.append(told.text) if told.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(address)
    return page


@dataclass(frozen=True)
class Kept:
    """What a page's downloads hold: the session, its turns, and both sides."""

    session: dict[str, Any]
    turns: list[dict[str, Any]]
    user: Any
    agent: Any


def kept(page: Any, folder: Path) -> Kept:
    session, *turns = downloaded(page, "#trace", folder / "trace.jsonl").read_text().splitlines()
    sound = soundfile.read(downloaded(page, "#wav", folder / "both.wav"), dtype="int16")[0]
    return Kept(json.loads(session), [json.loads(turn) for turn in turns], sound[:, 0], sound[:, 1])


def loud(track: Any) -> Any:
    """The samples that are not silence."""
    return np.flatnonzero(np.abs(track) > 300)


def understood(words: str, attempt: Callable[[], list[Kept]]) -> list[Kept]:
    """What the first attempt kept in which each page understood its first turn as these words.

    On a busy machine a browser loses parts of what its microphone gives. So a turn may be misunderstood, but not if
    another attempt heard the same: that has come whole, since no two losses are alike.
    """
    misheard: list[tuple[Any, str]] = []
    for _ in range(4):
        pages = attempt()
        turns = [(page.user[loud(page.user)[0] : loud(page.user)[-1]], page.turns[0]["transcript"]) for page in pages]
        for sound, _ in turns:
            whole = [transcript for other, transcript in misheard if alike(sound, other)]
            assert not whole, f"{words!r} came whole and was understood as {whole[0]!r}"
        if all(transcript == words for _, transcript in turns):
            return pages
        misheard += [turn for turn in turns if turn[1] != words]
    raise AssertionError(f"{words!r} was understood as {[transcript for _, transcript in misheard]}")


def alike(one: Any, other: Any) -> bool:
    """Whether these are the same sound: whole ones correlate by 0.998 and more (a resampler begins anywhere between two
    samples), the least loss that was misunderstood left 0.977.
    """
    size = len(one) + len(other)
    first, second = (np.fft.rfft(sound.astype(float), size) for sound in (one, other))
    energy = np.linalg.norm(one.astype(float)) * np.linalg.norm(other.astype(float))
    return float(np.fft.irfft(first * np.conj(second), size).max()) > 0.99 * energy


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as address:
        yield address


def test_a_turn_is_heard_answered_and_drawn(address: str, tmp_path: Path, complaints: list[str]) -> None:
    microphone = spoken(tmp_path / "microphone.wav", recorded("coffee_shop"))
    drawn: dict[str, float] = {}

    def attempt() -> list[Kept]:
        with browser(microphone) as chromium:
            page = opened(chromium, address, complaints, viewport={"width": 1280, "height": 900})
            shot(page, "before")
            page.check("#open-mic")
            page.wait_for_selector("details.turn", timeout=60_000)
            shot(page, "light")
            page.emulate_media(color_scheme="dark")
            shot(page, "dark")
            page.set_viewport_size({"width": 390, "height": 844})
            assert page.evaluate("document.documentElement.scrollWidth") <= 390
            shot(page, "phone-dark")
            page.emulate_media(color_scheme="light")
            shot(page, "phone")
            drawn["ms"] = float(page.get_attribute("details.turn", "data-latency"))
            drawn["shown_ms"] = float(page.inner_text("#latency"))
            drawn["bars"] = page.locator("details.turn .path .bar").count()
            return [kept(page, tmp_path)]

    (got,) = understood("Where is the nearest coffee shop?", attempt)
    (turn,) = got.turns
    assert got.session["type"] == "session"
    assert turn["outcome"] == "completed"
    assert drawn["ms"] == pytest.approx(turn["turn_latency_ms"], abs=15)
    assert drawn["shown_ms"] == pytest.approx(drawn["ms"], abs=1)
    assert drawn["bars"] == sum(segment["ms"] > 0 for segment in turn["critical_path"])
    answer_at = loud(got.agent)[0]
    assert (answer_at - turn["speech_samples"][1]) / 16 == pytest.approx(turn["turn_latency_ms"], abs=15)
    assert level_dbfs(got.agent[answer_at : answer_at + RATE_HZ]) > -35
    assert turn["heard"] == turn["reply"]
    assert word_error_rate(turn["reply"], transcribed(got.agent)) <= 0.4
    assert complaints == []


@pytest.mark.parametrize("still_s", [0.0, 0.3], ids=["", "after_its_sound_stood_still"])
@once_undisturbed  # sound that stops for a moment in mid-answer is not what is compared
def test_what_the_page_reports_is_what_its_loudspeaker_gets_and_when(
    address: str, tmp_path: Path, still_s: float
) -> None:
    with browser(spoken(tmp_path / "microphone.wav", recorded("coffee_shop"))) as chromium:
        page = opened(chromium, address, [], bypass_csp=True)
        tap(page)
        page.reload()
        page.check("#open-mic")
        page.wait_for_selector("#trace[href]")
        page.wait_for_timeout(1_000)
        suspend_sound(still_s)
        page.wait_for_selector("details.turn", timeout=60_000)
        got = kept(page, tmp_path)
        given = tapped(page)
    question_at, answer_at = loud(given.user)[0], loud(given.agent)[0]
    reported_ms = (loud(got.agent)[0] - loud(got.user)[0]) / 16
    expected_ms = given.page_ms(answer_at) + given.device_ms - given.page_ms(question_at)
    print(f"reported {reported_ms:.1f} ms, and {expected_ms:.1f} ms, {given.device_ms:.1f} of them in the device")
    assert reported_ms == pytest.approx(expected_ms, abs=10)
    second = slice(loud(got.agent)[0] + 320, loud(got.agent)[0] + 16_320)
    played = given.agent[answer_at + 320 :][:16_000]
    assert np.abs(played.astype(int) - got.agent[second]).max() <= 1


def suspend_sound(seconds: float) -> None:
    """Keep the browser's audio service from running for so long, as a busy computer does."""
    services = [
        process
        for process in psutil.Process().children(recursive=True)
        if "--utility-sub-type=audio.mojom.AudioService" in process.cmdline()
    ]
    assert services
    for call, pause_s in ((psutil.Process.suspend, seconds), (psutil.Process.resume, 0.0)):
        for service in services:
            call(service)
        time.sleep(pause_s)


def test_speaking_over_the_agent_silences_the_page(address: str, tmp_path: Path, complaints: list[str]) -> None:
    question, interruption = turns_of("barge_in", "barge_in_question")
    with browser(spoken(tmp_path / "microphone.wav", question, 2.2, interruption)) as chromium:
        page = opened(chromium, address, complaints)
        page.check("#open-mic")
        page.wait_for_selector("details.turn >> nth=1", timeout=60_000)
        shot(page, "barge-in")
        got = kept(page, tmp_path)
    first, second = got.turns
    assert (first["outcome"], second["outcome"]) == ("interrupted", "completed")
    assert first["reply"].startswith(first["heard"])
    assert 0 < len(first["heard"]) < len(first["reply"])
    answered = first["speech_samples"][1] + RATE_HZ
    voiced_at = answered + voiced_onset_samples(got.user[answered : second["speech_samples"][1]])
    silent_at = loud(got.agent[: second["speech_samples"][1]])[-1]
    print(f"silent {(silent_at - voiced_at) / 16:.0f} ms after the voiced onset")
    assert 0 < silent_at - voiced_at < 0.3 * RATE_HZ
    assert complaints == []


def test_a_browser_that_cannot_open_16_khz_is_resampled(address: str, tmp_path: Path, complaints: list[str]) -> None:
    refuse = """
        const At = AudioContext;
        window.AudioContext = class extends At {
          constructor(options = {}) { super({ ...options, sampleRate: options.sampleRate ?? 44100 }); }
          createMediaStreamSource(stream) {
            if (this.sampleRate === 16000) throw new DOMException("another rate", "NotSupportedError");
            return super.createMediaStreamSource(stream);
          }
        };"""
    kept_db: dict[str, float] = {}

    def attempt() -> list[Kept]:
        with browser(spoken(tmp_path / "microphone.wav", recorded("coffee_shop"))) as chromium:
            page = opened(chromium, address, complaints)
            page.add_init_script(refuse)
            page.reload()
            page.check("#open-mic")
            page.wait_for_selector("details.turn", timeout=60_000)
            kept_db.update(page.evaluate(_ALIASES))
            return [kept(page, tmp_path)]

    (got,) = understood("Where is the nearest coffee shop?", attempt)
    assert got.turns[0]["outcome"] == "completed"
    assert kept_db["tone"] == pytest.approx(-3.01, abs=0.1)
    assert kept_db["alias"] < -50
    assert complaints == []


_ALIASES = """async () => {
  const { Resampler } = await import("/page/resampler.js");
  const through = (hz) => {
    const resampler = new Resampler(48000, 16000), out = [];
    for (let block = 0; block < 200; block++) {
      const sine = (i) => Math.sin((2 * Math.PI * hz * (block * 128 + i)) / 48000);
      out.push(...resampler.push(Float32Array.from({ length: 128 }, (_, i) => sine(i))));
    }
    const settled = out.slice(100);
    return 10 * Math.log10(settled.reduce((sum, x) => sum + x * x, 0) / settled.length + 1e-12);
  };
  return { tone: through(1000), alias: through(11000) };
}"""


def test_two_browsers_converse_and_a_third_is_told_why_not(address: str, tmp_path: Path, complaints: list[str]) -> None:
    microphone = spoken(tmp_path / "microphone.wav", recorded("coffee_shop"))

    def attempt() -> list[Kept]:
        with browser(microphone) as chromium:
            pages = [opened(chromium, address, complaints) for _ in range(3)]
            for page in pages[:2]:
                page.check("#open-mic")
                page.wait_for_selector("#trace[href]")
            pages[2].click("#open-mic")
            pages[2].wait_for_selector("#problem:not([hidden])")
            assert "2 conversations are going on" in pages[2].inner_text("#problem")
            assert not pages[2].is_checked("#open-mic")
            shot(pages[2], "refused")
            for page in pages[:2]:
                page.wait_for_selector("details.turn", timeout=60_000)
            both = [kept(page, tmp_path) for page in pages[:2]]
            for page, got in zip(pages[:2], both, strict=True):
                assert got.turns[0]["transcript"] in page.inner_text("#log")
            return both

    understood("Where is the nearest coffee shop?", attempt)
    assert complaints == []


def test_without_a_microphone_the_page_says_what_to_do(address: str) -> None:
    with browser(None) as chromium:
        page = opened(chromium, address, [])
        page.click("#talk")
        page.wait_for_selector("#problem:not([hidden])")
        told = page.inner_text("#problem")
        shot(page, "no-microphone")
    assert "No microphone was found. Plug one in" in told


def test_keys_alone_hold_to_talk_and_change_the_speed(address: str, tmp_path: Path, complaints: list[str]) -> None:
    microphone = spoken(tmp_path / "microphone.wav", recorded("coffee_shop"), 1.0)
    with browser(microphone) as chromium:
        page = opened(chromium, address, complaints)
        page.focus("#speed")
        for _ in range(20):
            page.keyboard.press("ArrowLeft")
        assert page.get_attribute("#speed", "aria-valuetext") == "200 tokens/s, simulated"
        page.focus("#talk")
        page.keyboard.down("Space")
        page.wait_for_selector("#trace[href]")
        assert page.get_attribute("#talk", "aria-pressed") == "true"
        page.wait_for_timeout((LEAD_S + 3) * 1_000)
        page.keyboard.up("Space")
        assert page.get_attribute("#talk", "aria-pressed") == "false"
        page.wait_for_selector("details.turn", timeout=60_000)
        assert page.input_value("#llm") == "sim/120:200"
        shot(page, "slider")
        (turn,) = kept(page, tmp_path).turns
    assert (turn["llm"], turn["outcome"]) == ("sim/120:200", "completed")
    assert turn["stages"]["llm_tokens_per_s"] == pytest.approx(200, rel=0.1)
    assert complaints == []


def test_a_server_that_stops_is_told_in_words(tmp_path: Path) -> None:
    with browser(spoken(tmp_path / "microphone.wav")) as chromium:
        with serving() as address:
            page = opened(chromium, address, [])
            page.check("#open-mic")
            page.wait_for_selector("#trace[href]")
        page.wait_for_selector("#problem:not([hidden])")
        assert "the server was stopped" in page.inner_text("#problem")
