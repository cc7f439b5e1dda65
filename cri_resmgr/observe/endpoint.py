"""Listening where a process may be watched: on a unix socket for root alone, or on a port.

A host of "" means every address of the machine, which is for pods, where probes and scrapers come from outside; no
user of the daemon can name it (`config.endpoints`).
"""

import contextlib
import socket
from dataclasses import dataclass, replace
from pathlib import Path

from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.errors import BadInput
from cri_resmgr.wire import sockets

SOCKET_MODE = 0o600
BACKLOG = 16


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening socket; `inode` tells whether the file at the path is still its own."""

    endpoint: Endpoint  # with the port that the system chose
    socket: socket.socket
    inode: int = 0

    def unlink(self) -> None:
        """Remove the socket's file, unless a successor has put its own there."""
        with contextlib.suppress(FileNotFoundError):
            if self.endpoint.path and Path(self.endpoint.path).lstat().st_ino == self.inode:
                Path(self.endpoint.path).unlink()


def listen(endpoint: Endpoint, *, take_over: bool = False) -> Listener:
    """Listen at the endpoint; a socket's file is replaced if nobody serves it any more, or to `take_over`.

    Raises `BadInput`.
    """
    try:
        return _at_path(endpoint, take_over=take_over) if endpoint.path else _at_port(endpoint)
    except sockets.Taken as taken:
        raise BadInput(f"{taken}: stop or remove it yourself, or give another place to be watched at") from taken
    except OSError as error:
        raise BadInput(f"{endpoint}: {error.strerror or error}; give another place to be watched at") from error


def _at_port(endpoint: Endpoint) -> Listener:
    everywhere = not endpoint.host and socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if everywhere or ":" in endpoint.host else socket.AF_INET
    address = (endpoint.host, endpoint.port)
    listening = socket.create_server(address, family=family, backlog=BACKLOG, dualstack_ipv6=everywhere)
    return Listener(replace(endpoint, port=listening.getsockname()[1]), listening)


def _at_path(endpoint: Endpoint, *, take_over: bool) -> Listener:
    path = Path(endpoint.path)
    if not (take_over and path.is_socket()):
        sockets.refuse_taken(path)
    listening = sockets.bind(path, mode=SOCKET_MODE, backlog=BACKLOG)
    return Listener(endpoint, listening, path.lstat().st_ino)
