"""`room`: LiveKit. A worker that is sent into rooms, the agent in one room, tokens for trying it."""

from typing import TYPE_CHECKING, Annotated

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
    stderr,
)

if TYPE_CHECKING:
    from agent.room.access import LiveKit
    from agent.room.worker.process import Engine

room = typer.Typer(
    no_args_is_help=True,
    help="The agent in LiveKit rooms. LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET say where.",
    epilog="Try it: livekit-server --dev, then quickturn room worker, then quickturn room token --room kitchen",
)

Url = Annotated[str | None, typer.Option(envvar="LIVEKIT_URL", help="The server, such as ws://127.0.0.1:7880.")]
ApiKey = Annotated[str | None, typer.Option(envvar="LIVEKIT_API_KEY", help="One of its keys.")]
ApiSecret = Annotated[
    str | None,
    typer.Option(
        envvar="LIVEKIT_API_SECRET",
        help="The key's secret. Better in the environment: other users of the machine see a command line.",
    ),
]
AgentName = Annotated[
    str,
    typer.Option(
        envvar="LIVEKIT_AGENT_NAME",
        help="LiveKit sends a named agent only where it is asked for; without a name, into every new room.",
    ),
]


@room.command()
def worker(
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    agent_name: AgentName = "",
    llm: OfferedLlms = None,
    mode: ModeName = None,
    stt: Stt = None,
    tts: Tts = None,
    sessions: Annotated[int | None, typer.Option(min=1, max=64, help="Rooms that this process serves at most.")] = None,
    engine: Annotated[
        str, typer.Option(help="quickturn, or agent-session: LiveKit's own, with our speech engines as plugins.")
    ] = "quickturn",
    set_up: Annotated[
        str, typer.Option(help="agent-session's turn taking: best (with our endpointing), or LiveKit's defaults.")
    ] = "best",
    health_port: Annotated[
        int,
        typer.Option(min=0, max=65535, help="HTTP: / is 200 while it works, /worker tells the load; 0: any free one."),
    ] = 8081,
    metrics_port: Annotated[int | None, typer.Option(min=1, max=65535, help="Serve Prometheus metrics here.")] = None,
    offline: Offline = False,
    config: ConfigFile = None,
    trace: Trace = None,
) -> None:
    """Serve the rooms that LiveKit sends it into, several at a time, until SIGTERM or Ctrl-C."""
    from agent.room.worker.process import WorkerOptions, work
    from agent.room.worker.worker import Registration

    telemetry, rooms = {"metrics_port": metrics_port}, {"sessions": sessions}
    settings = read_config(config, mode=mode, stt=stt, tts=tts, telemetry=telemetry, room=rooms)
    post = Registration(_livekit(url, api_key, api_secret), agent_name, settings.room, health_port)
    llms = offered_llms(settings, llm)
    wanted = WorkerOptions(settings, llms, post, _engine(engine), trace, set_up)
    have_models(settings, llms)
    if not run(work(wanted)):
        raise typer.Exit(1)


@room.command()
def join(
    room: Annotated[str, typer.Option(help="The room that it enters, and makes if it is not there.")],
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    identity: Annotated[str, typer.Option(help="Who the agent is there.")] = "quickturn",
    token: Annotated[
        str | None,
        typer.Option(envvar="LIVEKIT_TOKEN", help="Enter with this token, made for --room, instead of a key."),
    ] = None,
    llm: OfferedLlms = None,
    mode: ModeName = None,
    stt: Stt = None,
    tts: Tts = None,
    trace: Trace = None,
    config: ConfigFile = None,
    offline: Offline = False,
) -> None:
    """Enter one room from here, and answer whoever comes, until the room ends or Ctrl-C."""
    from agent.room.access import given_seat
    from agent.room.join import JoinOptions
    from agent.room.join import join as stay

    settings = read_config(config, mode=mode, stt=stt, tts=tts)
    llms = offered_llms(settings, llm)
    if token is not None:
        credentials = given_seat(url, token)
        wanted = JoinOptions(settings, llms, lambda: credentials, room, trace)
    else:
        livekit = _livekit(url, api_key, api_secret)
        wanted = JoinOptions(settings, llms, lambda: livekit.credentials(room, identity), room, trace, livekit)
    have_models(settings, llms)
    run(stay(wanted))


@room.command()
def token(
    room: Annotated[str, typer.Option(help="The room that it opens.")],
    url: Url = None,
    api_key: ApiKey = None,
    api_secret: ApiSecret = None,
    identity: Annotated[
        str | None, typer.Option(help="Who one is there; two of the same throw each other out.")
    ] = None,
    name: Annotated[str, typer.Option(help="What the others are shown.")] = "",
    ttl: Annotated[str, typer.Option(help="How long one may enter with it: 30m, 6h, 7d.")] = "6h",
    agent_name: Annotated[
        str | None, typer.Option(help="Have this agent sent into the room, if the token's holder is the first there.")
    ] = None,
) -> None:
    """Print a token that lets a person into a room."""
    import secrets

    from agent.room.access import parse_ttl

    livekit = _livekit(url, api_key, api_secret)
    who = identity or f"user-{secrets.token_hex(3)}"
    print(livekit.user_token(room, who, name, parse_ttl(ttl), agent_name))
    stderr().print(
        f"lets {who!r} into room {room!r} at {livekit.url} for {ttl}: paste both into any LiveKit front end, such as "
        "https://agents-playground.livekit.io (its manual connection)",
        soft_wrap=True,
        markup=False,
    )


def _livekit(url: str | None, api_key: str | None, api_secret: str | None) -> "LiveKit":
    import warnings

    from agent.room.access import LiveKit

    # PyJWT warns of secrets below 32 bytes, such as the one of `livekit-server --dev`; that is the server's choice.
    warnings.filterwarnings("ignore", message="The HMAC key is")
    return LiveKit.given(url, api_key, api_secret)


def _engine(name: str) -> "Engine":
    from agent.room.worker.process import Engine
    from pipelines.errors import InputError

    try:
        return Engine(name)
    except ValueError:
        raise InputError(f"--engine {name!r} is not one of: {', '.join(Engine)}") from None
