"""`mirror`: the same prompts to two LLMs."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.shared import ConfigFile, Json, read_config, run, stderr, stdout

if TYPE_CHECKING:
    from agent.bench.mirror import Difference, MirrorSummary, Pair, Prompt
    from agent.report.terminal import Advance
    from pipelines.llm.catalogue import Endpoint
    from pipelines.llm.chat import ChatSettings


def mirror(
    prompts: Annotated[Path, typer.Argument(help='A trace, or JSON Lines of {"messages": [...]}.')],
    incumbent: Annotated[str, typer.Option(help="The LLM that answers today.")],
    candidate: Annotated[str, typer.Option(help="The LLM that might.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only this many of the prompts.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write mirror.html, the answers side by side, here.")] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """The same prompts to an incumbent and a candidate: how much faster, and how different the answers."""
    from agent.bench import mirror as body
    from agent.report.terminal import progress
    from agent.setup.engines import read_catalogue
    from agent.system.folder import make_folder
    from pipelines.errors import InputError

    settings = read_config(config)
    catalogue = read_catalogue(settings)
    asked = body.read_prompts(prompts, limit)
    if not asked:
        raise InputError(f"prompts {prompts} holds nothing to answer")
    folder = make_folder(out) if out else None
    old, new = catalogue.resolve(incumbent), catalogue.resolve(candidate)
    with progress(stderr(), "mirroring", len(asked)) as advance:
        pairs = run(_mirrored(asked, old, new, settings.llm, advance))
    totals = body.summary(pairs)
    page = _write_page(folder / "mirror.html", incumbent, candidate, pairs, totals) if folder else None
    if json:
        _print_json(incumbent, candidate, pairs, totals)
    else:
        _print(incumbent, candidate, pairs, totals, page)
    raise typer.Exit(1 if any(totals.failed.values()) else 0)


async def _mirrored(
    asked: "list[Prompt]", old: "Endpoint", new: "Endpoint", settings: "ChatSettings", advance: "Advance"
) -> "list[Pair]":
    import asyncio

    from agent.bench import mirror as body

    return await body.mirror(asked, old, new, settings, asyncio.get_running_loop().time, advance)


def _print(incumbent: str, candidate: str, pairs: "list[Pair]", totals: "MirrorSummary", page: Path | None) -> None:
    from rich.table import Table

    from agent.report.stages import llm_label

    shown = Table(title=f"{len(pairs)} prompt{'s' if len(pairs) != 1 else ''}, ms (median)", title_justify="left")
    shown.add_column("")
    for name in (llm_label(incumbent), llm_label(candidate), "difference (95 %)"):
        shown.add_column(name, justify="right")
    times = {"TTFT": totals.ttft_ms, "first sentence": totals.first_sentence_ms, "whole answer": totals.total_ms}
    for name, found in times.items():
        if found is not None:
            shown.add_row(name, f"{found.incumbent_p50:,.0f}", f"{found.candidate_p50:,.0f}", _difference(found))
    plain = stdout()
    plain.print(shown)
    same = totals.same
    plain.print(
        f"answers: {same['exact']} the same, {same['normalised']} but for case and punctuation, "
        f"{same['different']} different"
        + (f"; words in common, median {totals.similarity:.0%}" if totals.similarity is not None else "")
    )
    for error in dict.fromkeys(a.error for pair in pairs for a in (pair.incumbent, pair.candidate) if a.error):
        plain.print(f"failed: {error}", markup=False)
    if page:
        plain.print(f"report  {page}", markup=False)


def _difference(found: "Difference") -> str:
    if found.ci95 is None:
        return f"{found.delta:+,.0f} (too few to tell)"
    low, high = found.ci95
    return "no difference seen" if low <= 0 <= high else f"{found.delta:+,.0f} ({low:+,.0f} to {high:+,.0f})"


def _print_json(incumbent: str, candidate: str, pairs: "list[Pair]", totals: "MirrorSummary") -> None:
    import json

    prompts = [
        {
            "prompt": pair.prompt.name,
            "same": pair.same,
            "similarity": pair.similarity,
            "incumbent": pair.incumbent.document(),
            "candidate": pair.candidate.document(),
        }
        for pair in pairs
    ]
    totalled = totals.model_dump(mode="json")
    whole = {"incumbent": incumbent, "candidate": candidate, "summary": totalled, "prompts": prompts}
    print(json.dumps(whole, ensure_ascii=False))


def _write_page(path: Path, incumbent: str, candidate: str, pairs: "list[Pair]", totals: "MirrorSummary") -> Path:
    from agent.report.stages import llm_label
    from agent.report.template import render_page, write_html

    context = {
        "names": (llm_label(incumbent), llm_label(candidate)),
        "pairs": pairs,
        "totals": totals,
        "difference": _difference,
    }
    write_html(path, render_page("mirror.html.j2", context))
    return path
