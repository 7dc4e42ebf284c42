"""`doctor`, `fetch`, `stt-eval`, `endpointing-eval` and `llm-sim`: what is on this machine, and the pacer alone."""

from typing import Annotated

import typer

from agent.commands.shared import (
    ConfigFile,
    Json,
    MaxMinutes,
    Offline,
    Wavs,
    chosen_recordings,
    have_models,
    read_config,
    run,
    stderr,
    stdout,
)


def doctor(
    llm: Annotated[list[str] | None, typer.Option(help="Ask this provider what it serves; may be given again.")] = None,
    config: ConfigFile = None,
    json: Json = False,
) -> None:
    """What is installed, reachable, missing, and the exact fix."""
    from agent.setup.doctor import examine, show

    checks = run(examine(read_config(config), llm or []))
    raise typer.Exit(show(checks, as_json=json))


def fetch(
    models: Annotated[
        list[str] | None, typer.Argument(help="whisper:SIZE or piper:VOICE, such as whisper:base.en.")
    ] = None,
    list_them: Annotated[bool, typer.Option("--list", help="Show what can be fetched and what is here.")] = False,
    offline: Offline = False,
) -> None:
    """Download speech models, by default those that every command needs; what is already here is checked and kept."""
    from agent.models import fetch as body

    if list_them:
        body.list_models(stdout())
    else:
        body.fetch_models(models or body.default_set(), stderr())


def stt_eval(
    wavs: Wavs = None,
    stt: Annotated[list[str] | None, typer.Option(help="Engines to evaluate; may be given again.")] = None,
    window: Annotated[list[float] | None, typer.Option(help="Encoder windows in seconds; may be given again.")] = None,
    real_time: Annotated[bool, typer.Option("--real-time", help="Feed the audio as it was spoken.")] = False,
    json: Json = False,
    max_minutes: MaxMinutes = 30.0,
    offline: Offline = False,
) -> None:
    """Word error rate and latency of each speech recogniser on labelled recordings."""
    from agent.measure import stt_eval as body

    body.run(chosen_recordings(wavs, max_minutes), stt, window, real_time=real_time, as_json=json)


def endpointing_eval(
    wavs: Wavs = None,
    config: ConfigFile = None,
    json: Json = False,
    max_minutes: MaxMinutes = 30.0,
    offline: Offline = False,
) -> None:
    """False cut-offs against waiting, for silence, words and sound alone and together, on labelled recordings."""
    from agent.measure import endpointing_eval as body

    settings = read_config(config)
    recordings = chosen_recordings(wavs, max_minutes)
    have_models(settings, [])
    body.run(recordings, settings, as_json=json)


def llm_sim(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0: any free one.")] = 8377,
) -> None:
    """The pacer alone: a simulated Chat Completions server at a chosen speed, for any OpenAI client."""
    from agent.pacer.llm_sim import serve

    run(serve(host, port))
