"""A live conversation in plain lines, for output that is not a terminal: talk in a pipe, a room, a log."""

from agent.report.stages import stage
from pipelines.session_events import AgentPaused, AgentResumed, SessionEvent, TurnFinished
from pipelines.stopwatch.record import TurnRecord


def plain_lines(event: SessionEvent, turn: TurnRecord | None) -> list[str]:
    """What to print about an event; `turn` is the record of a finished turn."""
    match event:
        case AgentPaused():
            return ["       (listening)"]
        case AgentResumed():
            return ["       (going on)"]
        case TurnFinished() if turn is not None and (turn.transcript or turn.error):
            lines = [f"you    {turn.transcript}", f"agent  {turn.heard}"]
            if turn.error:
                lines.append(f"       failed: {turn.error}")
            if turn.turn_latency_ms is not None:
                shares = ", ".join(f"{stage(s.stage).name} {s.ms:.0f}" for s in turn.critical_path if s.ms >= 0.5)
                lines.append(f"       {turn.turn_latency_ms:.0f} ms ({turn.outcome}): {shares}")
            return lines
        case _:
            return []
