"""What the page is shown of a conversation, as JSON values: the turn under way, finished turns, running figures.

It changes nothing and knows no socket.
"""

from collections.abc import Sequence
from dataclasses import asdict

from agent.live.figures import running_figures
from agent.live.view import answer, state, understood
from agent.report.stages import llm_label
from agent.report.waterfall import waterfall
from pipelines.stopwatch.record import TurnRecord
from pipelines.turn import Turn

_SHOWN = {"transcript", "heard", "outcome", "error", "mode", "llm", "simulated", "turn_latency_ms", "critical_path"}


def current(turn: Turn | None, now_s: float) -> dict[str, object]:
    """The turn under way: what the agent does, what it has understood, and what it has said of its answer."""
    if turn is None:
        return {"state": state(None)}
    stable, rest = understood(turn)
    said, unsaid = answer(turn, now_s)
    return {
        "state": state(turn),
        "stable": stable,
        "rest": rest,
        "said": said,
        "unsaid": unsaid,
        "turn_latency_ms": _latency_ms(turn, now_s),
    }


def finished(turn: TurnRecord, turns: Sequence[TurnRecord]) -> dict[str, object]:
    """A finished turn with its waterfall, and the figures with it."""
    return turn.model_dump(mode="json", include=_SHOWN) | {
        "label": llm_label(turn.llm),
        "waterfall": asdict(waterfall(turn)),
        "figures": figures(turns),
    }


def figures(turns: Sequence[TurnRecord]) -> list[dict[str, object]]:
    """By LLM and mode, in the order in which they were first used; completed turns only."""
    return [
        {
            "label": llm_label(cell.llm),
            "mode": cell.mode,
            "n": cell.latency_ms.n,
            "p50": cell.latency_ms.p50,
            "p95": cell.latency_ms.p95,
            "llm_ttft": cell.llm_ttft_ms,
            "tokens_per_s": cell.tokens_per_s,
        }
        for cell in running_figures(turns)
    ]


def _latency_ms(turn: Turn, now_s: float) -> float | None:
    """Known from the moment at which the answer is heard, which is long before the turn is over."""
    audible_s = turn.answer.reply.playout.audible_s if turn.answer else None
    if audible_s is None or turn.ended is None or audible_s > now_s:
        return None
    return round((audible_s - turn.ended.speech_end_s) * 1_000, 1)
