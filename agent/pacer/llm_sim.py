"""`quickturn llm-sim`: the pacer alone, for any OpenAI client.

It knows what to print and when to stop; the server is `pipelines.pacer.simulator`.
"""

from rich.console import Console
from rich.table import Table

from agent.system.resources import shipped
from agent.system.signals import until_told_to_stop
from pipelines.llm.catalogue import Catalogue
from pipelines.llm.catalogue_file import load_catalogue
from pipelines.pacer.simulator import DEFAULT_PORT, Pacer


async def serve(host: str = "127.0.0.1", port: int = DEFAULT_PORT, console: Console | None = None) -> None:
    """Run the pacer until Ctrl-C or SIGTERM and print how to use it. Raises InputError if the port is taken."""
    catalogue = load_catalogue(shipped("configs") / "providers.toml")
    console = console or Console()
    async with Pacer(catalogue.paces(), host, port) as pacer:
        _introduce(console, catalogue, pacer.base_url)
        await until_told_to_stop()
        console.print(f"{len(pacer.requests)} requests served, {sum(r.cancelled for r in pacer.requests)} cancelled.")


def _introduce(console: Console, catalogue: Catalogue, base_url: str) -> None:
    table = Table("model (simulated)", "TTFT ms", "tokens/s", "as of", title="Profiles")
    for name, profile in catalogue.profiles.items():
        table.add_row(name, f"{profile.published_ttft_ms:g}", f"{profile.published_tokens_per_s:g}", profile.date)
    table.add_row("TTFT_MS:TOK_PER_S", "any", "any", "")

    def say(text: str) -> None:
        # Unwrapped: a terminal's width must not break a line that is meant to be copied.
        console.print(text, soft_wrap=True, highlight=False, markup=False)

    say(f"Simulated Chat Completions at {base_url}")
    console.print(table)
    say(f"Any OpenAI client: base_url={base_url}, any API key, or export OPENAI_BASE_URL={base_url}")
    say("Faults on request: 120:1800?fault=429&rate=0.05, stall, cut, malformed, html, 500, dribble; ?reasoning=40")
    say("Try it:")
    say(f"  curl -N {base_url}/chat/completions -H 'Content-Type: application/json' \\")
    say(
        '    -d \'{"model": "120:1800", "stream": true, "messages": [{"role": "user", "content": "Tell me a joke."}]}\''
    )
    say(f"What it was asked: curl {base_url.removesuffix('/v1')}/requests")
    say("Ctrl-C stops it.")
