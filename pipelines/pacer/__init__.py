"""The simulated LLM provider: a real HTTP server with a real SSE stream, at a stated speed, with faults on request."""

PROVIDER = "sim"
"""The pacer as a provider: its models are named `sim/...`."""


def is_simulated(llm: str) -> bool:
    """Whether an LLM of this name is one of the pacer's."""
    return llm.startswith(f"{PROVIDER}/")
