"""What a page gets: itself, traces, recordings."""

import io
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
import pytest
import soundfile

from agent.measure.recordings import load
from agent.sound.wav import read_wav
from agent.web.messages import SessionOverError, parse
from agent.web.serve import slider_speeds
from tests.agent.scripted_engines import LLM
from tests.agent.web.web_page import Page, opened, serving
from tests.agent.web.web_scenes import ask, emptied, quick_engines
from tests.scripted import silence
from tests.virtual_time import run_on_loopback


def test_trace_and_wav_can_be_downloaded_while_the_conversation_lasts() -> None:
    async def main() -> None:
        async with serving(quick_engines()) as (_, address), aiohttp.ClientSession() as client:

            async def download(page: Page) -> None:
                await page.speak(silence(320))  # what is played is ahead of what is captured
                at = f"{address}/sessions/{page.texts[0]['session']}"
                trace = await client.get(f"{at}/trace.jsonl")
                assert "attachment" in trace.headers["Content-Disposition"]
                session, turn = (json.loads(line) for line in (await trace.text()).splitlines())
                assert session["type"] == "session"
                assert (turn["type"], turn["index"], turn["outcome"]) == ("turn", 0, "completed")
                wav = await (await client.get(f"{at}/conversation.wav")).read()
                tracks, rate_hz = soundfile.read(io.BytesIO(wav), dtype="int16")
                assert (rate_hz, tracks.shape[1]) == (16_000, 2)
                loud = [np.flatnonzero(np.abs(tracks[:, side]) > 1_000) for side in (0, 1)]
                assert loud[0][0] == 96 * 16
                answer_ms = (loud[1][0] - turn["speech_samples"][1]) / 16
                assert answer_ms == pytest.approx(turn["turn_latency_ms"], abs=15)
                assert len(loud[1]) == pytest.approx(sum(int((pcm != 0).sum()) for _, pcm in page.sound), rel=0.01)

            name = await ask(address, download)
            assert name["outcome"] == "completed"
            assert (await client.get(f"{address}/sessions/nobody/trace.jsonl")).status == 404

    run_on_loopback(main())


def test_each_conversation_is_kept_in_a_folder_of_its_own(tmp_path: Path) -> None:
    async def main() -> None:
        async with serving(quick_engines(), record=tmp_path) as (server, address):
            for _ in range(2):
                await ask(address)
                await emptied(server)

    run_on_loopback(main())
    folders = sorted(tmp_path.iterdir())
    assert len(folders) == 2
    for folder in folders:
        (recording,) = load([folder / "user.wav"])
        assert [label.text for label in recording.turns] == ["What time is it?"]
        assert len((folder / "trace.jsonl").read_text().splitlines()) == 2
        tracks = read_wav(folder / "conversation.wav")
        assert np.flatnonzero(tracks[:, 0])[0] == 96 * 16
        assert np.abs(tracks[:, 1]).max() > 1_000


def test_a_recording_that_cannot_be_written_ends_that_session_with_a_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> int | None:
        async with serving(quick_engines(), record=tmp_path / "file") as (server, address), opened(address) as page:
            code = await page.closed()
            assert not server.sessions
            return code

    (tmp_path / "file").touch()
    assert run_on_loopback(main()) == 1011
    assert "a conversation is not recorded: --record" in caplog.text


def test_the_setup_offers_models_that_say_when_they_are_simulated() -> None:
    async def main() -> dict[str, Any]:
        async with serving(quick_engines()) as (_, address), aiohttp.ClientSession() as client:
            page = await client.get(f"{address}/")
            assert "default-src 'self'" in page.headers["Content-Security-Policy"]
            answer: dict[str, Any] = await (await client.get(f"{address}/setup")).json()
            return answer

    setup = run_on_loopback(main())
    assert setup["llms"][0] == {"name": LLM, "label": f"{LLM} (simulated)"}
    assert list(setup["modes"]) == ["sequential", "streaming", "speculative"]
    assert setup["stages"]["endpoint"]["colour"] == "#e69f00"


def test_the_slider_goes_from_20_to_2000_tokens_a_second_in_equal_ratios() -> None:
    rates = [float(name.rpartition(":")[2]) for name in slider_speeds()]
    assert (rates[0], rates[-1]) == (20, 2_000)
    steps = [after / before for before, after in pairwise(rates)]
    assert max(steps) < 1.2
    assert min(steps) > 1.05
    assert all(name.startswith("sim/120:") for name in slider_speeds())


def test_messages_are_read_to_the_letter() -> None:
    assert parse('{"type": "switch", "llm": "a/b"}') == parse('{"llm": "a/b", "mode": null, "type": "switch"}')
    with pytest.raises(SessionOverError, match="at_ms"):
        parse('{"type": "pong", "number": 1, "at_ms": "1"}')
