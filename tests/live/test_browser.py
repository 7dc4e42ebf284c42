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

from pipelines.audio import level_dbfs
from pipelines.stt.wer import word_error_rate
from tests.bench.barge_in import voiced_onset_samples
from tests.live.chromium import LEAD_S, browser, opened, recorded, shot, spoken, turns_of
from tests.live.page_tap import tap, tapped
from tests.live.transcribed import transcribed

pytestmark = [
    pytest.mark.live,
    pytest.mark.timeout(180),
    pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium on PATH: apt-get install chromium"),
]
RATE_HZ = 16_000
LLM = "sim/cerebras-llama3.1-8b"


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


def downloaded(page: Any, link: str, to: Path) -> Path:
    with page.expect_download() as download:
        page.click(link)
    download.value.save_as(to)
    return to


@pytest.fixture
def complaints() -> list[str]:
    """What the browser's console complained of."""
    return []


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


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as address:
        yield address


def test_a_turn_is_heard_answered_and_drawn(address: str, tmp_path: Path, complaints: list[str]) -> None:
    with browser(spoken(tmp_path / "microphone.wav", recorded("coffee_shop"))) as chromium:
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
        drawn_ms = float(page.get_attribute("details.turn", "data-latency"))
        shown_ms = float(page.inner_text("#latency").replace(",", ""))
        bars = page.locator("details.turn .path .bar").count()
        got = kept(page, tmp_path)
    (turn,) = got.turns
    assert turn["transcript"] == "Where is the nearest coffee shop?"
    assert got.session["type"] == "session"
    assert turn["outcome"] == "completed"
    assert drawn_ms == pytest.approx(turn["turn_latency_ms"], abs=15)
    assert shown_ms == pytest.approx(drawn_ms, abs=1)
    assert bars == sum(segment["ms"] > 0 for segment in turn["critical_path"])
    answer_at = loud(got.agent)[0]
    assert (answer_at - turn["speech_samples"][1]) / 16 == pytest.approx(turn["turn_latency_ms"], abs=15)
    assert level_dbfs(got.agent[answer_at : answer_at + RATE_HZ]) > -35
    assert turn["heard"] == turn["reply"]
    assert word_error_rate(turn["reply"], transcribed(got.agent)) <= 0.4
    assert complaints == []


def undisturbed(_: Any) -> None:
    """As a conversation is."""


def after_its_sound_stood_still(_: Any) -> None:
    suspend_sound(0.3)


def while_it_works_on_its_audio_graph(page: Any) -> None:
    """Hold the graph's lock much of the time, which leaves the clock of the page's worklets behind."""
    page.evaluate("""() => {
        const [from, to] = [0, 0].map(() => new GainNode(context));
        setInterval(() => { for (let i = 0; i < 4_000; i++) { from.connect(to); from.disconnect(to); } }, 6);
    }""")


@pytest.mark.parametrize(
    "disturb", [undisturbed, after_its_sound_stood_still, while_it_works_on_its_audio_graph], ids=lambda f: f.__name__
)
def test_what_the_page_reports_is_what_its_loudspeaker_gets_and_when(
    address: str, tmp_path: Path, disturb: Callable[[Any], None]
) -> None:
    off_ms = [reported_off_ms(address, tmp_path, disturb) for _ in range(3)]
    print("reported off by", *(f"{off:.1f} ms" for off in off_ms))
    assert min(map(abs, off_ms)) <= 10


def reported_off_ms(address: str, folder: Path, disturb: Callable[[Any], None]) -> float:
    """How far what the page reports of its first answer is from when its loudspeaker got it; the sound is the same."""
    with browser(spoken(folder / "microphone.wav", recorded("coffee_shop"))) as chromium:
        page = opened(chromium, address, [], bypass_csp=True)
        tap(page)
        page.reload()
        page.check("#open-mic")
        page.wait_for_selector("#trace[href]")
        page.wait_for_timeout(1_000)
        disturb(page)
        page.wait_for_selector("details.turn", timeout=60_000)
        got = kept(page, folder)
        given = tapped(page)
    question_at, answer_at = loud(given.user)[0], loud(given.agent)[0]
    reported_ms = (loud(got.agent)[0] - loud(got.user)[0]) / 16
    expected_ms = given.page_ms(answer_at) + given.device_ms - given.page_ms(question_at)
    second = slice(loud(got.agent)[0] + 320, loud(got.agent)[0] + 16_320)
    played = given.agent[answer_at + 320 :][:16_000]
    assert np.abs(played.astype(int) - got.agent[second]).max() <= 1
    return float(reported_ms - expected_ms)


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
    with browser(spoken(tmp_path / "microphone.wav", recorded("coffee_shop"))) as chromium:
        page = opened(chromium, address, complaints)
        page.add_init_script(refuse)
        page.reload()
        page.check("#open-mic")
        page.wait_for_selector("details.turn", timeout=60_000)
        kept_db = page.evaluate(_ALIASES)
        (turn,) = kept(page, tmp_path).turns
    assert (turn["outcome"], turn["transcript"]) == ("completed", "Where is the nearest coffee shop?")
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
    with browser(spoken(tmp_path / "microphone.wav", recorded("coffee_shop"))) as chromium:
        *both, third = [opened(chromium, address, complaints) for _ in range(3)]
        for page in both:
            page.check("#open-mic")
            page.wait_for_selector("#trace[href]")
        third.click("#open-mic")
        third.wait_for_selector("#problem:not([hidden])")
        assert "2 conversations are going on" in third.inner_text("#problem")
        assert not third.is_checked("#open-mic")
        shot(third, "refused")
        for page in both:
            page.wait_for_selector("details.turn", timeout=60_000)
        for page in both:
            (turn, *_) = kept(page, tmp_path).turns
            assert turn["transcript"] == "Where is the nearest coffee shop?"
            assert turn["transcript"] in page.inner_text("#log")
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
