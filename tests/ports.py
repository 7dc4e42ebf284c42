"""Ports for servers that are told theirs beforehand."""

import socket


def free_port() -> int:
    """A TCP port of this machine on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port
