"""What can go wrong, as one small tree.

    QuickturnError
    ├── InputError            the user's fault: a file, an option, a configuration key; exit code 2
    │   └── ConfigError       a key or value of a TOML file, named by its full path
    ├── ServiceError          a service's fault: it names the service and what it did
    │   ├── LLMError          the Chat Completions provider, with the kind of fault
    │   └── DownloadError     the model hub and the package index
    └── StageError            our fault: a speech stage failed on input it should have taken

Every message is one line: what was wrong, which value, what is expected. Exit codes are
`agent.cli`'s.
"""

from enum import StrEnum


class QuickturnError(Exception):
    """Anything this project raises on purpose."""


class InputError(QuickturnError):
    """The user's input cannot be used."""


class ConfigError(InputError):
    """A configuration file cannot be used; the message holds the key's full path."""


class ServiceError(QuickturnError):
    """A service outside this process failed."""


class LLMFault(StrEnum):
    """The kinds of fault a Chat Completions provider shows; the trace and failover speak in these words."""

    UNREACHABLE = "unreachable"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    RATE_LIMITED = "rate_limited"
    REJECTED = "rejected"
    SERVER_ERROR = "server_error"
    MALFORMED = "malformed"
    CUT = "cut"
    STALLED = "stalled"


class LLMError(ServiceError):
    """A Chat Completions request failed.

    `fault` says how; `retry_after_s` is the provider's own wish, None if it stated none.
    """

    def __init__(self, message: str, fault: LLMFault, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.fault = fault
        self.retry_after_s = retry_after_s


class DownloadError(ServiceError):
    """A model could not be downloaded from any of its sources."""


class StageError(QuickturnError):
    """A speech stage failed on input that it should have taken."""
