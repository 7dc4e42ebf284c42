"""`bench`: the scenarios against providers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.shared import ConfigFile, Json, read_config, run, stderr, stdout

if TYPE_CHECKING:
    from agent.bench.rows import BenchRow
    from agent.bench.schedule import Plan, PlanOutcome
    from pipelines.llm.catalogue import Catalogue
    from pipelines.llm.chat import ChatSettings


def bench(
    llm: Annotated[
        list[str] | None,
        typer.Option(help="May be given again; the first is the baseline. 'all' is every provider whose key is set."),
    ] = None,
    scenario: Annotated[
        list[str] | None,
        typer.Option(help="A shipped scenario or a TOML file of yours; may be given again; default: all."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=1000, help="How often each task is asked.")] = 5,
    concurrency: Annotated[int, typer.Option(min=1, max=64, help="Requests at once in the batch mix.")] = 8,
    budget_usd: Annotated[float | None, typer.Option(min=0, help="Stop before the run would cost more.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write bench.html and bench.jsonl (every request) here.")] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """Five scenarios against LLMs: TTFT, tokens/s, structured-output errors, cost per successful task, load."""
    from agent.bench import show
    from agent.bench.rows import bench_rows
    from agent.bench.scenarios import SHIPPED, load_scenarios
    from agent.bench.schedule import Plan
    from agent.setup.engines import read_catalogue
    from agent.system.folder import make_folder

    settings = read_config(config)
    catalogue = read_catalogue(settings)
    llms = _llms(llm or [settings.agent.llm], catalogue)
    folder = make_folder(out) if out else None
    raw = folder / "bench.jsonl" if folder else None
    scenarios = tuple(load_scenarios(scenario or list(SHIPPED)))
    plan = Plan(tuple(llms), scenarios, rounds, concurrency, budget_usd, raw)
    outcome = _run_plan(plan, catalogue, settings.llm)
    rows = bench_rows(plan, outcome, {name: catalogue.resolve(name).simulated for name in llms})
    page = show.write_page(folder / "bench.html", rows, plan, outcome) if folder else None
    _print(rows, outcome, page, as_json=json)
    failed = outcome.stopped == "interrupted" or not outcome.attempts or any(row.error_rate for row in rows)
    raise typer.Exit(1 if failed else 0)


def _llms(names: list[str], catalogue: "Catalogue") -> list[str]:
    """The models by name; 'all' is the first model of every provider whose key is in the environment."""
    import os

    from pipelines.errors import InputError

    chosen: list[str] = []
    for name in names:
        if name != "all":
            chosen.append(name)
            continue
        for provider in catalogue.providers.values():
            current = [model.id for model in provider.models if not model.retired]
            if provider.api_key_env and os.environ.get(provider.api_key_env, "").strip() and current:
                chosen.append(f"{provider.name}/{current[0]}")
    if not chosen:
        variables = ", ".join(p.api_key_env for p in catalogue.providers.values() if p.api_key_env)
        raise InputError(f"--llm all finds no key in the environment; set one of: {variables}")
    return list(dict.fromkeys(chosen))


def _run_plan(plan: "Plan", catalogue: "Catalogue", settings: "ChatSettings") -> "PlanOutcome":
    from agent.bench.schedule import run_plan
    from agent.report.terminal import progress

    with progress(stderr(), "benching", plan.steps()) as advance:
        return run(run_plan(plan, catalogue, settings, advance))


def _print(rows: "list[BenchRow]", outcome: "PlanOutcome", page: Path | None, *, as_json: bool) -> None:
    import json

    from agent.bench import show

    for error in dict.fromkeys(outcome.warm_up_errors):
        stderr().print(error, markup=False)
    if outcome.stopped:
        stderr().print(f"stopped early: {outcome.stopped}; what was measured is shown", markup=False)
    if as_json:
        print(
            json.dumps(
                {"rows": [row.model_dump(mode="json") for row in rows], "stopped": outcome.stopped}, ensure_ascii=False
            )
        )
        return
    plain = stdout()
    plain.print(show.speed_table(rows))
    plain.print(show.outcome_table(rows))
    for line in show.notes(rows):
        plain.print(line)
    plain.print(f"known cost ${outcome.spent_usd:.6f}")
    if page:
        plain.print(f"report  {page}", markup=False)
