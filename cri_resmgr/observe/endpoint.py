"""Where the daemon may be watched: a unix socket for root alone, or a port that only this machine reaches."""

import contextlib
import ipaddress
import os
import socket
import stat
from dataclasses import dataclass, replace
from pathlib import Path

from cri_resmgr.errors import BadInput

SOCKET_MODE = 0o600
BACKLOG = 16
PROBE_S = 1.0
PORT_MAX = 65535


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A unix socket if `path` is set, else a port of a loopback address; port 0 lets the system choose."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Endpoint:
    """An endpoint from `/path`, `unix:///path`, `localhost:PORT`, `127.0.0.1:PORT` or `[::1]:PORT`."""
    path = text.removeprefix("unix://").removeprefix("unix:")
    if path.startswith("/"):
        return Endpoint(path=path)
    host, _, port = text.rpartition(":")
    host = "127.0.0.1" if host == "localhost" else host.removeprefix("[").removesuffix("]")
    if not (port.isascii() and port.isdecimal() and int(port) <= PORT_MAX and _is_loopback(host)):
        raise BadInput(
            f"{text!r} is no place to be watched at: give the path of a unix socket, or localhost:PORT"
            " (other addresses are refused, since nobody is asked who they are)"
        )
    return Endpoint(host=host, port=int(port))


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


def listen(endpoint: Endpoint) -> Listener:
    """Listen at the endpoint; a socket's file that nobody serves any more is replaced.  Raises `BadInput`."""
    try:
        return _at_path(endpoint) if endpoint.path else _at_port(endpoint)
    except OSError as error:
        raise BadInput(f"{endpoint}: {error.strerror or error}; give another place to be watched at") from error


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _at_port(endpoint: Endpoint) -> Listener:
    family = socket.AF_INET6 if ":" in endpoint.host else socket.AF_INET
    listening = socket.create_server((endpoint.host, endpoint.port), family=family, backlog=BACKLOG)
    return Listener(replace(endpoint, port=listening.getsockname()[1]), listening)


def _at_path(endpoint: Endpoint) -> Listener:
    path = Path(endpoint.path)
    _refuse_taken(path)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listening.bind(str(aside))
        aside.chmod(SOCKET_MODE)  # before anybody can connect: it does not listen yet
        listening.listen(BACKLOG)
        inode = aside.stat().st_ino
        aside.rename(path)
    except BaseException:
        listening.close()
        aside.unlink(missing_ok=True)
        raise
    return Listener(endpoint, listening, inode)


def _refuse_taken(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise BadInput(f"{path} is there and is not a socket: remove it, or give another place to be watched at")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            return  # whoever made it is gone
    raise BadInput(f"another process listens on {path}: stop it, or give another place to be watched at")
