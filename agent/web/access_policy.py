"""Who may come in: requests for the host that is served, from its own page, and with the token where one is asked for.

Other sites may make a browser send requests here (and by rebinding a name to 127.0.0.1 even read the answers), so a
server on loopback answers only to loopback's names, and a socket opens only for our own page. It opens nothing itself.
"""

import hmac
import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from aiohttp import web

from pipelines.errors import InputError

_LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class AccessPolicy:
    """`host` is what is listened on; `token` is None if none is asked for."""

    host: str
    token: str | None

    def check_setting(self) -> None:
        """Raises InputError if others could come in without a token."""
        if not is_loopback(self.host) and not self.token:
            raise InputError(
                f"--host {self.host} lets other machines in: give --token SECRET, which then belongs to the address, "
                "or stay on 127.0.0.1"
            )
        if self.token is not None and not self.token.strip():
            raise InputError("--token is empty: give a secret, such as the output of: openssl rand -hex 16")

    def check_host(self, request: web.Request) -> None:
        """Raises 403 for a name that is not this server's."""
        name = urlsplit(f"//{request.host}").hostname or ""
        if is_loopback(self.host) and name not in (*_LOOPBACK_NAMES, self.host):
            raise web.HTTPForbidden(text=f"this server answers on {self.host} only\n")

    def check_token(self, request: web.Request) -> None:
        """Raises 401 without the right token."""
        given = request.query.get("token", "")
        if self.token is not None and not hmac.compare_digest(given.encode(), self.token.encode()):
            raise web.HTTPUnauthorized(text="the address needs its token: /?token=...\n")

    def check_origin(self, request: web.Request) -> None:
        """Raises 403 for a socket that another site's page opens, or that no page does."""
        origin = urlsplit(request.headers.get("Origin", ""))
        if origin.scheme not in ("http", "https") or origin.netloc != request.host:
            raise web.HTTPForbidden(text="only this server's own page may converse\n")
