"""A fault of an engine as LiveKit takes it."""

from livekit.agents import APIError

from pipelines.errors import InputError


def api_error(error: Exception) -> APIError:
    """What AgentSession retries; but a wrong input stays wrong."""
    return APIError(str(error) or repr(error), retryable=not isinstance(error, InputError))
