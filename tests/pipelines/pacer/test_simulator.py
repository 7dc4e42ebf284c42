"""The pacer against the raw socket, in driven time; `test_pace` has the real clock."""

import asyncio
import itertools
import json
from typing import Any

import pytest

from pipelines.errors import InputError
from pipelines.pacer.simulator import Pacer
from tests.pipelines.pacer.wire import PROFILES, Wire, ask, exchange, post
from tests.scripted import now
from tests.virtual_time import run_on_loopback, spend

# ---------------------------------------------------------------- pace


@pytest.mark.parametrize("rate", [1800, 450, 90])
def test_each_token_is_sent_when_it_is_due(rate: int) -> None:
    (answer,) = exchange(ask(f"120:{rate}", "Count from 1 to 400.", max_tokens=200))
    due_s = [0.120 + number / rate for number in range(200)]
    assert answer.token_times_s() == pytest.approx(due_s, abs=0.001)


def test_lateness_does_not_add_up() -> None:
    async def run() -> Wire:
        async with Pacer({}) as pacer:
            answering = asyncio.create_task(post(pacer, ask("20:1000", "Count from 1 to 100.", max_tokens=200)))
            for stall_at in (10, 55, 100, 145):
                while sum(one.tokens_sent for one in pacer.requests) < stall_at:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0.000_2)
                spend(0.015)  # a busy machine: nothing runs meanwhile
            return await answering

    times_s = run_on_loopback(run()).token_times_s()
    assert times_s[10] > 0.020 + 10 / 1000 + 0.010
    assert times_s[-1] == pytest.approx(0.020 + 199 / 1000, abs=0.001)


def test_reasoning_comes_first_and_delays_the_answer_by_its_tokens() -> None:
    plain, thinking = exchange(ask("20:500"), ask("20:500?reasoning=40"))
    assert len(thinking.tokens("reasoning")) == 40
    assert thinking.token_times_s()[0] - plain.token_times_s()[0] == pytest.approx(40 / 500, abs=0.001)


# ---------------------------------------------------------------- the wire format


def test_a_stream_says_simulated_in_every_chunk_and_ends_with_usage_and_done() -> None:
    (answer,) = exchange(ask("1:20000", stream_options={"include_usage": True}))
    assert answer.headers["content-type"] == "text/event-stream"
    assert all("simulated" in e["model"] and e["system_fingerprint"] == "simulated" for e in answer.events)
    assert answer.events[-2]["choices"][0]["finish_reason"] == "stop"
    usage = answer.events[-1]["usage"]
    assert usage["completion_tokens"] == len(answer.tokens())
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert usage["prompt_tokens_details"] == {"cached_tokens": 0}
    assert b"data: [DONE]" in answer.body


def test_usage_is_sent_only_when_asked_for() -> None:
    (answer,) = exchange(ask("1:20000"))
    assert not any("usage" in event for event in answer.events)


def test_an_answer_is_cut_at_max_tokens() -> None:
    (answer,) = exchange(ask("1:20000", max_tokens=5))
    assert len(answer.tokens()) == 5
    assert answer.events[-1]["choices"][0]["finish_reason"] == "length"


def test_without_streaming_the_whole_answer_comes_when_its_last_token_is_due() -> None:
    async def run() -> tuple[Wire, float]:
        async with Pacer({}) as pacer:
            sent_s = now()
            wire = await post(pacer, ask("30:1000", stream=False, max_tokens=20))
            return wire, now() - sent_s

    wire, took_s = run_on_loopback(run())
    body = json.loads(wire.body)
    assert body["object"] == "chat.completion"
    assert body["usage"]["completion_tokens"] == 20
    assert len(body["choices"][0]["message"]["content"]) > 20
    assert took_s == pytest.approx(0.030 + 19 / 1000, abs=0.001)


def test_the_model_list_names_the_profiles_as_simulated() -> None:
    async def run() -> tuple[Wire, Wire, Wire]:
        async with Pacer(PROFILES) as pacer:
            return (
                await post(pacer, b"", "/v1/models"),
                await post(pacer, b"", "/v1/models/120:1800%3Ffault=cut"),
                await post(pacer, b"", "/v1/models/slow"),
            )

    listed, any_pace, unknown = run_on_loopback(run())
    assert b"fast" in listed.body
    assert b"simulated" in listed.body
    assert (any_pace.status, unknown.status) == (200, 404)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"{", 400, b"not JSON"),
        ({"model": "fast"}, 400, b"messages"),
        (ask("slow"), 404, b"is not one of: 'fast'"),
        (ask("fast?fault=fire"), 404, b"'fire' is not one of"),
        (ask("fast?speed=3"), 404, b"'speed' is not one of"),
        (ask("fast?rate=2"), 404, b"number from 0 to 1"),
        (ask("120:0"), 404, b"above 0"),
    ],
)
def test_a_bad_request_is_refused_with_its_reason(body: bytes | dict[str, Any], status: int, said: bytes) -> None:
    (answer,) = exchange(body)
    assert answer.status == status
    assert said in answer.body


def test_a_taken_port_is_named_with_the_fix() -> None:
    async def run() -> None:
        async with Pacer({}) as first:
            port = int(first.base_url.rpartition(":")[2].removesuffix("/v1"))
            with pytest.raises(InputError, match=rf"port {port} of 127\.0\.0\.1 is in use.*--port"):
                await Pacer({}, port=port).__aenter__()

    run_on_loopback(run())


# ---------------------------------------------------------------- faults


@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500, 503])
def test_a_status_is_answered_on_request(status: int) -> None:
    (answer,) = exchange(ask(f"fast?fault={status}&seconds=2"))
    assert answer.status == status
    assert answer.headers.get("retry-after") == ("2" if status == 429 else None)


def test_a_web_page_is_answered_on_request() -> None:
    (answer,) = exchange(ask("fast?fault=html"))
    assert (answer.status, answer.headers["content-type"].partition(";")[0]) == (200, "text/html")


@pytest.mark.parametrize("fault", ["cut", "half-chunk", "malformed", "error-chunk"])
def test_a_stream_breaks_after_the_stated_tokens(fault: str) -> None:
    (answer,) = exchange(ask(f"1:20000?fault={fault}&after=4"))
    assert len(answer.tokens()) == 4
    assert b"[DONE]" not in answer.body
    # The last HTTP chunk of an orderly end is empty.
    assert answer.body.endswith(b"0\r\n\r\n") == (fault in ("malformed", "error-chunk"))


@pytest.mark.parametrize(("fault", "at"), [("stall", 0), ("stall-mid", 4)])
def test_a_stall_lasts_its_seconds(fault: str, at: int) -> None:
    (answer,) = exchange(ask(f"10:20000?fault={fault}&after=4&seconds=0.1", max_tokens=8))
    times_s = [0.0, *answer.token_times_s()]
    gaps_s = [after - before for before, after in itertools.pairwise(times_s)]
    assert gaps_s.index(max(gaps_s)) == at
    assert max(gaps_s) == pytest.approx(0.1, abs=0.011)


def test_a_dribble_sends_one_token_at_a_time() -> None:
    (answer,) = exchange(ask("1:20000?fault=dribble&after=4&seconds=0.02", max_tokens=9))
    times_s = answer.token_times_s()
    assert times_s[3] < 0.002
    assert times_s[8] - times_s[4] == pytest.approx(0.08, abs=0.001)


def test_a_share_of_the_requests_is_struck_and_the_same_ones_every_time() -> None:
    async def struck() -> list[int]:
        async with Pacer({}) as pacer:
            answers = [await post(pacer, ask("1:20000?fault=500&rate=0.25&seed=3", max_tokens=1)) for _ in range(60)]
            return [number for number, answer in enumerate(answers) if answer.status == 500]

    first = run_on_loopback(struck())
    assert 6 <= len(first) <= 24
    assert run_on_loopback(struck()) == first


def test_requests_are_reported_with_what_became_of_them() -> None:
    async def run() -> list[dict[str, Any]]:
        async with Pacer(PROFILES) as pacer:
            await post(pacer, ask("1:20000", max_tokens=5))
            await post(pacer, ask("fast?fault=429"))
            wire = await post(pacer, b"", "/requests")
            reports: list[dict[str, Any]] = json.loads(wire.body)
            return reports

    whole, refused = run_on_loopback(run())
    assert (whole["model"], whole["tokens_sent"], whole["finished"], whole["cancelled"]) == ("1:20000", 5, True, False)
    assert (refused["status"], refused["fault"], refused["finished"]) == (429, "429", False)
