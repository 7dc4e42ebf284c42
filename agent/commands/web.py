"""`web`: a conversation through a page in the browser."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.shared import (
    ConfigFile,
    ModeName,
    OfferedLlms,
    Offline,
    Stt,
    Trace,
    Tts,
    have_models,
    offered_llms,
    read_config,
    run,
    stdout,
)


def web(
    llm: OfferedLlms = None,
    mode: ModeName = None,
    stt: Stt = None,
    tts: Tts = None,
    host: Annotated[str, typer.Option(help="Listen here; other than loopback needs --token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any free one.")] = 8765,
    token: Annotated[
        str | None, typer.Option(envvar="QUICKTURN_WEB_TOKEN", help="A secret that the page's address must hold.")
    ] = None,
    sessions: Annotated[int, typer.Option(min=1, max=64, help="Conversations at a time.")] = 2,
    record: Annotated[
        Path | None, typer.Option(help="Keep each conversation in a folder in here: two-track WAV, trace, labels.")
    ] = None,
    trace: Trace = None,
    config: ConfigFile = None,
    offline: Offline = False,
) -> None:
    """Talk to it in the browser: a page with the transcript, the waterfall of every turn and an LLM-speed slider."""
    from agent.web.access_policy import AccessPolicy
    from agent.web.serve import WebOptions, serve

    settings = read_config(config, mode=mode, stt=stt, tts=tts)
    access = AccessPolicy(host, token)
    llms = offered_llms(settings, llm)
    have_models(settings, llms)
    run(serve(WebOptions(settings, llms, access, port, sessions, trace, record), stdout()))
