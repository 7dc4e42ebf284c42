"""The pacer against the raw socket: what a client's library adds or hides is not measured here."""

import asyncio
import itertools
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from pipelines.errors import InputError
from pipelines.pacer.pace import Pace
from pipelines.pacer.simulator import Pacer

PROFILES = {"fast": Pace(120, 1800)}


@dataclass(frozen=True, slots=True)
class Wire:
    """What came over the socket: status, headers, events in order with their times since the request was sent."""

    status: int
    headers: dict[str, str]
    body: bytes
    events: list[dict[str, Any]]
    times_s: list[float]

    def tokens(self, key: str = "content") -> list[str]:
        deltas = [event["choices"][0]["delta"] for event in self.events if event.get("choices")]
        return [delta[key] for delta in deltas if delta.get(key)]

    def token_times_s(self) -> list[float]:
        pairs = zip(self.events, self.times_s, strict=True)
        return [at for event, at in pairs if event.get("choices") and event["choices"][0]["delta"].get("content")]


async def post(pacer: Pacer, body: bytes | dict[str, Any], path: str = "/v1/chat/completions") -> Wire:
    """One request over a socket of its own, its events timed as they arrive."""
    port = int(pacer.base_url.rpartition(":")[2].removesuffix("/v1"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    method = "POST" if payload else "GET"
    head = f"{method} {path} HTTP/1.1\r\nHost: pacer\r\nConnection: close\r\nContent-Length: {len(payload)}\r\n\r\n"
    writer.write(head.encode() + payload)
    sent = time.perf_counter()
    raw, arrivals = b"", []
    while piece := await reader.read(65536):
        at = time.perf_counter() - sent
        arrivals += [at] * piece.count(b"\n\n")
        raw += piece
    writer.close()
    await writer.wait_closed()
    return _parse(raw, arrivals)


def _parse(raw: bytes, arrivals: list[float]) -> Wire:
    head, _, body = raw.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    lines = [line for line in body.decode().split("\n") if line.startswith('data: {"')]
    events = [json.loads(line[6:]) for line in lines if line.endswith("}")]
    return Wire(int(head.split()[1]), headers, body, events, arrivals[: len(events)])


def ask(model: str, text: str = "Tell me a joke.", **more: Any) -> dict[str, Any]:
    return {"model": model, "stream": True, "messages": [{"role": "user", "content": text}], **more}


def exchange(*bodies: bytes | dict[str, Any]) -> list[Wire]:
    async def run() -> list[Wire]:
        async with Pacer(PROFILES) as pacer:
            return [await post(pacer, body) for body in bodies]

    return asyncio.run(run())


TRIES = 4
"""How often a time is measured: other programs can only make it later, so the soonest is the pacer's own."""


def soonest_s(answers: Sequence[Wire]) -> list[float]:
    """When each token came in the answer in which it came soonest."""
    return [min(times) for times in zip(*(answer.token_times_s() for answer in answers), strict=True)]


def rate_per_s(times_s: Sequence[float], stated: float) -> float:
    """Tokens per second between the most punctual token of the first quarter and that of the last."""
    late_s = [at_s - index / stated for index, at_s in enumerate(times_s)]
    quarter = len(late_s) // 4
    drift_s = min(late_s[-quarter:]) - min(late_s[:quarter])
    return 1 / (1 / stated + drift_s / (len(late_s) - quarter))


# ---------------------------------------------------------------- pace


@pytest.mark.parametrize(("rate", "tokens", "at_once"), [(1800, 600, 1), (450, 300, 2), (90, 200, 4)])
def test_the_pace_on_the_wire_is_the_stated_one(rate: int, tokens: int, at_once: int) -> None:
    """Slow answers run beside each other; fast ones would compete for the CPU."""

    async def run() -> list[Wire]:
        answers: list[Wire] = []
        async with Pacer({}) as pacer:
            request = ask(f"120:{rate}", "Count from 1 to 400.", max_tokens=tokens)
            while len(answers) < TRIES:
                answers += await asyncio.gather(*(post(pacer, request) for _ in range(at_once)))
        return answers

    answers = asyncio.run(run())
    assert all(len(answer.tokens()) == tokens for answer in answers)
    assert rate_per_s(soonest_s(answers), rate) == pytest.approx(rate, rel=0.01)
    (ttft_s,) = soonest_s(exchange(*[ask(f"40:{rate}", max_tokens=1)] * 2 * TRIES))
    assert ttft_s * 1000 == pytest.approx(40, abs=3)


def test_lateness_does_not_add_up() -> None:
    async def run() -> Wire:
        async with Pacer({}) as pacer:
            answering = asyncio.create_task(post(pacer, ask("20:1000", "Count from 1 to 100.", max_tokens=200)))
            for stall_at in (10, 55, 100, 145):
                while sum(one.tokens_sent for one in pacer.requests) < stall_at:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(0)
                # A busy machine: nothing runs for 15 ms.
                time.sleep(0.015)  # noqa: ASYNC251
            return await answering

    last_s = soonest_s([asyncio.run(run()) for _ in range(TRIES)])[-1]
    assert last_s == pytest.approx(0.020 + 199 / 1000, abs=0.010)


def test_tokens_that_are_due_together_go_out_together() -> None:
    answers = exchange(*[ask("5:200000", "Count from 1 to 100.", max_tokens=200)] * TRIES)
    assert min(len(set(answer.token_times_s())) for answer in answers) < 40


def test_reasoning_comes_first_and_delays_the_answer_by_its_tokens() -> None:
    answers = exchange(*[ask("20:500"), ask("20:500?reasoning=40")] * TRIES)
    plain, thinking = answers[::2], answers[1::2]
    assert all(len(answer.tokens("reasoning")) == 40 for answer in thinking)
    assert soonest_s(thinking)[0] - soonest_s(plain)[0] == pytest.approx(40 / 500, abs=0.015)


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
    took_s: list[float] = []

    async def run() -> list[Any]:
        bodies = []
        async with Pacer({}) as pacer:
            for _ in range(TRIES):
                started = time.perf_counter()
                wire = await post(pacer, ask("30:1000", stream=False, max_tokens=20))
                took_s.append(time.perf_counter() - started)
                bodies.append(json.loads(wire.body))
        return bodies

    for body in asyncio.run(run()):
        assert body["object"] == "chat.completion"
        assert body["usage"]["completion_tokens"] == 20
        assert len(body["choices"][0]["message"]["content"]) > 20
    assert min(took_s) == pytest.approx(0.030 + 19 / 1000, abs=0.02)


def test_the_model_list_names_the_profiles_as_simulated() -> None:
    async def run() -> tuple[Wire, Wire, Wire]:
        async with Pacer(PROFILES) as pacer:
            return (
                await post(pacer, b"", "/v1/models"),
                await post(pacer, b"", "/v1/models/120:1800%3Ffault=cut"),
                await post(pacer, b"", "/v1/models/slow"),
            )

    listed, any_pace, unknown = asyncio.run(run())
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

    asyncio.run(run())


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
    answers = exchange(*[ask(f"10:20000?fault={fault}&after=4&seconds=0.1", max_tokens=8)] * TRIES)
    times_s = [0.0, *soonest_s(answers)]
    gaps_s = [after - before for before, after in itertools.pairwise(times_s)]
    assert gaps_s.index(max(gaps_s)) == at
    assert max(gaps_s) == pytest.approx(0.1, abs=0.02)


def test_a_dribble_sends_one_token_at_a_time() -> None:
    times_s = soonest_s(exchange(*[ask("1:20000?fault=dribble&after=4&seconds=0.02", max_tokens=9)] * TRIES))
    assert times_s[3] < 0.015
    assert times_s[8] - times_s[4] == pytest.approx(0.08, abs=0.015)


def test_a_share_of_the_requests_is_struck_and_the_same_ones_every_time() -> None:
    async def struck() -> list[int]:
        async with Pacer({}) as pacer:
            answers = [await post(pacer, ask("1:20000?fault=500&rate=0.25&seed=3", max_tokens=1)) for _ in range(60)]
            return [number for number, answer in enumerate(answers) if answer.status == 500]

    first = asyncio.run(struck())
    assert 6 <= len(first) <= 24
    assert asyncio.run(struck()) == first


def test_requests_are_reported_with_what_became_of_them() -> None:
    async def run() -> list[dict[str, Any]]:
        async with Pacer(PROFILES) as pacer:
            await post(pacer, ask("1:20000", max_tokens=5))
            await post(pacer, ask("fast?fault=429"))
            wire = await post(pacer, b"", "/requests")
            reports: list[dict[str, Any]] = json.loads(wire.body)
            return reports

    whole, refused = asyncio.run(run())
    assert (whole["model"], whole["tokens_sent"], whole["finished"], whole["cancelled"]) == ("1:20000", 5, True, False)
    assert (refused["status"], refused["fault"], refused["finished"]) == (429, "429", False)
