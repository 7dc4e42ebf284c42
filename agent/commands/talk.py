"""`talk`: a conversation through the microphone and the speaker."""

from pathlib import Path
from typing import Annotated

import typer

from agent.commands.shared import (
    ConfigFile,
    Hedge,
    ModeName,
    OfferedLlms,
    Offline,
    Standby,
    Stt,
    Trace,
    Tts,
    have_models,
    offered_llms,
    read_config,
    run,
)


def talk(
    llm: OfferedLlms = None,
    mode: ModeName = None,
    standby: Standby = None,
    hedge: Hedge = None,
    stt: Stt = None,
    tts: Tts = None,
    input: Annotated[str | None, typer.Option(help="Part of the microphone's name; default: the system's.")] = None,
    output: Annotated[str | None, typer.Option(help="Part of the speaker's name; default: the system's.")] = None,
    record: Annotated[
        Path | None, typer.Option(help="Keep the conversation here: two-track WAV, trace, labels for `replay`.")
    ] = None,
    trace: Trace = None,
    seconds: Annotated[float | None, typer.Option(min=1, help="Stop after so long.")] = None,
    metrics_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Serve Prometheus metrics here.")] = None,
    config: ConfigFile = None,
    offline: Offline = False,
) -> None:
    """Talk to it: microphone and speaker; keys switch the LLM while you talk."""
    from agent.talk.talk import TalkOptions
    from agent.talk.talk import talk as converse

    settings = read_config(
        config,
        standby=standby,
        hedge=hedge,
        mode=mode,
        stt=stt,
        tts=tts,
        sound={"input": input, "output": output},
        telemetry={"metrics_port": metrics_port},
    )
    llms = offered_llms(settings, llm)
    have_models(settings, llms)
    run(converse(TalkOptions(settings, llms, record, trace, seconds)))
