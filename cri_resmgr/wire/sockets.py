"""Unix sockets at paths: replaced without a moment in which nobody listens, and never taken from a living server."""

import errno
import os
import socket
import stat
from pathlib import Path

PROBE_S = 1.0
_NOBODY = frozenset({errno.ENOENT, errno.ECONNREFUSED})


class Taken(Exception):  # noqa: N818
    """Something is at the path that we must not replace; the text says what."""


def refuse_taken(path: Path) -> None:
    """Raise `Taken` if a living server or something that is no socket is at the path, `OSError` if unclear.

    A link to a socket may be replaced, since what it leads to stays: the bypass leaves one, to the runtime's.  So may
    one that leads nowhere: the same, while the runtime is down.
    """
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if stat.S_ISLNK(mode) and (path.is_socket() or not path.exists()):
        return
    if not stat.S_ISSOCK(mode):
        raise Taken(f"{path} is {'a directory' if stat.S_ISDIR(mode) else 'not a socket'}")
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except OSError as error:
            if error.errno in _NOBODY:
                return
            raise
    raise Taken(f"another program listens on {path}")


def bind(path: Path, *, mode: int, backlog: int) -> socket.socket:
    """A listening socket that is bound aside and renamed over the path, with these permissions from the start."""
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(aside))
        aside.chmod(mode)  # before anybody can connect: it does not listen yet
        listening.listen(backlog)
        listening.setblocking(False)
        aside.rename(path)
    except BaseException:
        listening.close()
        aside.unlink(missing_ok=True)
        raise
    return listening
