"""What a live conversation looks like on a terminal: words as they come, the last turn's waterfall, running figures.

It draws from the conversation's state a few times a second and changes nothing.
"""

from collections.abc import Sequence

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.live.conversation import Conversation
from agent.live.figures import running_figures
from agent.live.view import state, understood
from agent.report.stages import llm_label, stage
from agent.talk.microphone import Microphone
from pipelines.modes import Outcome
from pipelines.stopwatch.record import TurnRecord

_METER_DB = 60.0
_METER_CELLS = 12


class LiveConsole:
    """The picture of one conversation; `llms` are those that the keys 1 to 9 choose among."""

    def __init__(self, conversation: Conversation, microphone: Microphone, llms: Sequence[str]) -> None:
        self.note = ""
        self._conversation = conversation
        self._microphone = microphone
        self._llms = llms

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [self._status(), Text(""), *self._words(), Text("")]
        completed = [turn for turn in self._conversation.turns if turn.turn_latency_ms is not None]
        if completed:
            parts += [waterfall(completed[-1]), Text(""), figures(self._conversation.turns), Text("")]
        parts.append(self._keys())
        if self.note:
            parts.append(Text(self.note, style="yellow"))
        return Group(*parts)

    def _status(self) -> Text:
        microphone, conversation = self._microphone, self._conversation
        level = 0.0 if microphone.muted else max(0.0, min(1.0, 1 + microphone.level_dbfs / _METER_DB))
        lit = round(level * _METER_CELLS)
        return Text.assemble(
            (f" {state(conversation.current):<10}", "bold reverse"),
            "  mic ",
            ("█" * lit, "green"),
            ("░" * (_METER_CELLS - lit), "grey50"),
            ("  muted", "red") if microphone.muted else "",
            f"  {conversation.mode.value}, {llm_label(conversation.llm)}",
        )

    def _words(self) -> list[Text]:
        turn = self._conversation.current
        if turn is None and self._conversation.turns:
            last = self._conversation.turns[-1]
            return [Text(f"you    {last.transcript}"), Text(f"agent  {last.heard}", style="cyan")]
        if turn is None:
            return [Text("say something; the agent hears you", style="dim"), Text("")]
        stable, rest = understood(turn)
        reply = turn.answer.reply.text if turn.answer else ""
        return [Text.assemble("you    ", (stable, "bold"), (rest, "dim italic")), Text(f"agent  {reply}", style="cyan")]

    def _keys(self) -> Text:
        counts = self._microphone.counts
        choices = "  ".join(
            f"[{n}] {name}" if name != self._conversation.llm else f"[{n}] {name} ←"
            for n, name in enumerate(self._llms[:9], 1)
        )
        text = Text(f"{choices}\n" if len(self._llms) > 1 else "", style="dim")
        text.append("[m] mute  [s] mode  [t] save trace  [w] save WAV  [q] quit")
        if any((counts.overruns, counts.dropped, counts.underruns, counts.lost)):
            text.append(
                f"   overruns {counts.overruns}, dropped {counts.dropped}, underruns {counts.underruns}, "
                f"card lost {counts.lost}",
                style="red",
            )
        return text


def waterfall(turn: TurnRecord, width: int = 60) -> RenderableType:
    """The critical path of a turn as one bar, its stages named below it."""
    latency_ms = turn.turn_latency_ms or 0.0
    bar, legend = Text(), Text()
    for segment in turn.critical_path:
        if segment.ms < 0.5:
            continue
        style = stage(segment.stage)
        bar.append(" " * max(1, round(width * segment.ms / max(1.0, latency_ms))), style=f"on {style.colour}")
        legend.append("■ ", style=style.colour)
        legend.append(f"{style.name} {segment.ms:.0f}  ")
    bar.append(f"  {latency_ms:.0f} ms", style="bold")
    if turn.outcome is not Outcome.COMPLETED:
        bar.append(f" ({turn.outcome})")
    return Group(bar, legend)


def figures(turns: Sequence[TurnRecord]) -> Table:
    """Running figures by LLM and mode; completed turns only."""
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("LLM", overflow="ellipsis", no_wrap=True, max_width=28)
    for name in ("turns", "p50", "p95", "endp.", "TTFT", "tok/s", "TTS", "hits"):
        table.add_column(name, justify="right")
    for cell in running_figures(turns):
        shown = cell.latency_ms.p50, cell.latency_ms.p95, cell.endpointing_ms, cell.llm_ttft_ms, cell.tokens_per_s
        table.add_row(
            f"{llm_label(cell.llm)} {cell.mode[:4]}",
            str(cell.latency_ms.n),
            *(_whole(value) for value in (*shown, cell.tts_ttfb_ms)),
            f"{cell.hits}/{cell.requests}",
        )
    return table


def _whole(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"


def terminal() -> Console | None:
    """The terminal to draw on; None if stdout is not one."""
    console = Console(highlight=False)
    return console if console.is_terminal else None
