"""`whatif`: another LLM, mode or endpointing delay, computed from a recorded trace."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.commands.shared import (
    ConfigFile,
    Json,
    Lanes,
    Offline,
    Repeat,
    have_models,
    read_config,
    recordings_named,
    run,
    stderr,
    stdout,
    turn_mode,
)
from pipelines.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.setup.config import Config
    from agent.whatif.points import Base, Point, Prediction
    from agent.whatif.record import PointRecord
    from agent.whatif.verify import Verified
    from pipelines.llm.catalogue import Catalogue


def whatif(
    trace: Annotated[Path, typer.Argument(help="A trace of replay, compare or demo; speculative turns reveal most.")],
    llm: Annotated[list[str] | None, typer.Option(help="At its published speed; may be given again.")] = None,
    ttft_ms: Annotated[float | None, typer.Option(min=0, help="Any TTFT, as the client sees it.")] = None,
    tokens_per_s: Annotated[float | None, typer.Option(min=0.1, help="Any token rate.")] = None,
    llm_from: Annotated[
        Path | None, typer.Option(help="As an LLM behaved in this other trace (--llm says which).")
    ] = None,
    mode: Annotated[
        list[str] | None, typer.Option(help="May be given again; default: streaming and speculative.")
    ] = None,
    endpointing_ms: Annotated[
        float | None, typer.Option(min=0, help="Decide the end of the turn this long after the true end of speech.")
    ] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Replay each point for real through the pacer.")] = False,
    recordings: Annotated[
        list[Path] | None, typer.Option(help="Where the trace's recordings are, if not the shipped ones.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Write the chart into this folder, as SVG and PNG.")] = None,
    config: ConfigFile = None,
    json: Json = False,
    lanes: Lanes = None,
    repeat: Repeat = 1,
    offline: Offline = False,
) -> None:
    """What another LLM would have made of a recorded run. Default: the demo's four; --verify replays for real."""
    from agent.setup.engines import read_catalogue
    from agent.system.folder import make_folder
    from agent.whatif import picture, points, show

    settings = read_config(config)
    catalogue = read_catalogue(settings)
    base = points.read_base(trace, catalogue)
    folder = make_folder(out) if out else None
    asked = _points(base, catalogue, llm, ttft_ms, tokens_per_s, llm_from, mode, endpointing_ms)
    predictions = [points.predict_point(base, point) for point in asked]
    for note in base.trace.notes:
        stderr().print(note, markup=False)
    verified = _verify(predictions, base, recordings, settings, lanes, repeat) if verify else []
    pictures = [
        path
        for chosen in dict.fromkeys(point.mode for point in asked)
        for path in (picture.write_picture(folder, base, chosen, catalogue) if folder else [])
    ]
    if json:
        _print_json([points.point_record(base, prediction) for prediction in predictions], verified)
        return
    plain = stdout()
    plain.print(show.table(predictions, verified))
    plain.print(show.shares_table(predictions))
    plain.print(show.ASSUMPTION)
    _say_how_right(verified)
    if base.left_out:
        plain.print(f"{base.left_out} turns of the trace are left out: not completed, or in the sequential mode")
    for path in pictures:
        plain.print(f"picture  {path}", markup=False)


def _points(
    base: "Base",
    catalogue: "Catalogue",
    llms: list[str] | None,
    ttft_ms: float | None,
    tokens_per_s: float | None,
    llm_from: Path | None,
    modes: list[str] | None,
    endpointing_ms: float | None,
) -> "list[Point]":
    from agent.measure.demo import LLMS
    from agent.whatif.points import Point, recorded_speeds, speed_of
    from pipelines.stopwatch.whatif import Speed

    if llm_from is not None:
        name, speeds = recorded_speeds(llm_from, llms[0] if llms else None)
        asked = [(f"{name} as recorded", speeds)]
    elif ttft_ms is not None or tokens_per_s is not None:
        if ttft_ms is None or tokens_per_s is None or llms:
            raise InputError("--ttft-ms and --tokens-per-s belong together and replace --llm")
        served_ms = max(0.0, ttft_ms - base.client_overhead_ms)
        asked = [(f"sim/{served_ms:g}:{tokens_per_s:g}", (Speed(ttft_ms, tokens_per_s),))]
    else:
        asked = [(name, (speed_of(name, catalogue, base),)) for name in llms or LLMS]
    chosen = [turn_mode(name) for name in modes or ["streaming", "speculative"]]
    return [Point(name, mode, speeds, endpointing_ms, base.wordless_ms) for mode in chosen for name, speeds in asked]


def _verify(
    predictions: "list[Prediction]",
    base: "Base",
    paths: list[Path] | None,
    settings: "Config",
    lanes: int | None,
    repeat: int,
) -> "list[Verified]":
    from agent.whatif.verify import verify

    found = recordings_named(base.recordings, paths, "give it by --recordings")
    have_models(settings, [])
    return run(verify(predictions, found, settings, lanes=lanes, repeat=repeat, console=stderr()))


def _print_json(records: "Sequence[PointRecord]", verified: "list[Verified]") -> None:
    import json

    from agent.whatif.verify import error_of_all

    if verified:
        records = [outcome.record(record) for outcome, record in zip(verified, records, strict=True)]
    written = [record.model_dump(mode="json") for record in records]
    whole: dict[str, object] = written[0] if len(written) == 1 else {"points": written}
    if len(written) > 1 and verified:
        whole["error_ms"] = error_of_all(verified).model_dump(mode="json")
    print(json.dumps(whole, ensure_ascii=False))


def _say_how_right(verified: "list[Verified]") -> None:
    from agent.whatif.verify import error_of_all

    if not verified:
        stdout().print("Predicted, not measured: --verify replays each point for real and prints the error.")
        return
    error = error_of_all(verified)
    stdout().print(
        f"Verified by replaying: |predicted - measured| p50 {error.p50:.1f} ms, p95 {error.p95:.1f} ms over "
        f"{error.n} turns."
    )
