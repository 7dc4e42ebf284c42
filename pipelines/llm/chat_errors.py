"""Says in one line what went wrong with a Chat Completions request, without ever repeating a key.

It translates the openai SDK's exceptions into `LLMError`; it opens no connection.
"""

import email.utils
import time
from urllib.parse import urlsplit

import openai

from pipelines.errors import LLMError, LLMFault
from pipelines.llm.catalogue import Endpoint

_LONGEST_DETAIL = 160


def explain(error: Exception, endpoint: Endpoint, api_key: str | None) -> LLMError:
    """The `LLMError` for what the SDK raised; `api_key` is taken out of anything that the provider said."""
    match error:
        case openai.APIStatusError():
            return _refused(error, endpoint, api_key)
        case openai.APITimeoutError():
            return _unreachable(endpoint)
        case openai.APIConnectionError():
            # The SDK wraps its HTTP library's error, of which only the connect family means that nobody answered.
            return _unreachable(endpoint) if type(error.__cause__).__name__.startswith("Connect") else cut(endpoint)
        case openai.APIError():
            return _error_in_stream(error, endpoint, api_key)
        case _:
            return malformed(endpoint, f"a chunk that cannot be read ({type(error).__name__})")


def stalled(endpoint: Endpoint, waited_s: float, answering: bool) -> LLMError:
    """Nothing came for `waited_s`; `answering` is whether part of the answer had come before."""
    where = "in the middle of its answer" if answering else "before its first token"
    return LLMError(
        f"{endpoint.name} stalled: nothing for {waited_s:g} s {where}; try again or choose another LLM",
        LLMFault.STALLED,
    )


def cut(endpoint: Endpoint) -> LLMError:
    """The connection closed before the answer was complete."""
    return LLMError(
        f"{endpoint.name} closed the connection before its answer was complete; try again or choose another LLM",
        LLMFault.CUT,
    )


def malformed(endpoint: Endpoint, what: str) -> LLMError:
    """The provider answered with `what` where Chat Completions were due."""
    return LLMError(
        f"{endpoint.name} sent {what} instead of Chat Completions; "
        f"check that {_address(endpoint)} is an OpenAI-compatible base URL",
        LLMFault.MALFORMED,
    )


def _refused(error: openai.APIStatusError, endpoint: Endpoint, api_key: str | None) -> LLMError:
    status, name, model = error.status_code, endpoint.name, endpoint.model.id
    variable = endpoint.api_key_env
    match status:
        # What a provider says about a key may quote the key, so it is not repeated.
        case 401 | 403 if variable is not None:
            return LLMError(
                f"{name} refused the API key (HTTP {status}): check the environment variable {variable}, "
                f"and that its key may use {model!r}",
                LLMFault.UNAUTHORIZED,
            )
        case 401 | 403:
            return LLMError(
                f"{name} asks for an API key (HTTP {status}): give its provider an api_key_env in the catalogue",
                LLMFault.UNAUTHORIZED,
            )
        case 404:
            return LLMError(
                f"{name} was not found (HTTP 404): {_address(endpoint)} serves no model {model!r}; "
                f"`quickturn doctor --llm {name}` lists what it serves",
                LLMFault.NOT_FOUND,
            )
        case 429:
            wait_s = _retry_after_s(error)
            wish = "" if wait_s is None else f", retry after {wait_s:g} s"
            return LLMError(
                f"{name} is over its rate limit (HTTP 429{wish}); wait or choose another LLM",
                LLMFault.RATE_LIMITED,
                wait_s,
            )
        case _ if status >= 500 or status == 408:
            return LLMError(
                f"{name} failed (HTTP {status}{_detail(error, api_key)}); try again or choose another LLM",
                LLMFault.SERVER_ERROR,
                _retry_after_s(error),
            )
        case _:
            return LLMError(
                f"{name} rejected the request (HTTP {status}{_detail(error, api_key)}); "
                "check the model's extra_body and the conversation's length",
                LLMFault.REJECTED,
            )


def _unreachable(endpoint: Endpoint) -> LLMError:
    return LLMError(
        f"{endpoint.name} cannot be reached at {_address(endpoint)}; check that the server runs and the network is up",
        LLMFault.UNREACHABLE,
    )


def _error_in_stream(error: openai.APIError, endpoint: Endpoint, api_key: str | None) -> LLMError:
    fault = LLMFault.RATE_LIMITED if error.code in ("429", "rate_limit_exceeded") else LLMFault.SERVER_ERROR
    return LLMError(
        f"{endpoint.name} broke off its answer with an error{_detail(error, api_key)}; try again or choose another LLM",
        fault,
    )


def _detail(error: openai.APIError, api_key: str | None) -> str:
    """What the provider said, as `: …` on one line; nothing for a web page."""
    said = error.body
    if isinstance(said, dict):
        said = said.get("message")
    if not isinstance(said, str) or said.lstrip().startswith("<"):
        return ""
    if api_key:
        said = said.replace(api_key, "[key]")
    line = " ".join(said.split())
    short = line if len(line) <= _LONGEST_DETAIL else line[: _LONGEST_DETAIL - 1] + "…"
    return f": {short}" if short else ""


def _retry_after_s(error: openai.APIStatusError) -> float | None:
    """The Retry-After header as seconds from now (RFC 9110, 10.2.3: a number of seconds or a date)."""
    stated = error.response.headers.get("retry-after")
    if stated is None:
        return None
    try:
        return max(0.0, float(stated))
    except ValueError:
        pass
    try:
        return max(0.0, email.utils.parsedate_to_datetime(stated).timestamp() - time.time())
    except ValueError:
        return None


def _address(endpoint: Endpoint) -> str:
    """Scheme, host and port alone: a base URL may hold a password."""
    parts = urlsplit(endpoint.base_url or "")
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname}{port}{parts.path}"
