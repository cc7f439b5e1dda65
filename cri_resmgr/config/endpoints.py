"""Where metrics and health are served: a unix socket, or a port that only this machine reaches.

Nobody authenticates there, so an address that other machines reach is refused.
"""

import re
from dataclasses import dataclass

from cri_resmgr.errors import BadInput

LOCAL_HOSTS = ("127.0.0.1", "::1", "localhost")
_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_REMEDY = "write unix:///PATH or 127.0.0.1:PORT"
_SUN_PATH_LIMIT_BYTES = 107  # of sockaddr_un, without the final zero


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A unix socket at `path`, or, when that is "", a TCP port on `host`."""

    path: str = ""
    host: str = ""
    port: int = 0

    def __str__(self) -> str:
        if self.path:
            return f"unix://{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse(text: str) -> Endpoint | None:
    """Where to listen, None for "" (nowhere); a bare `:PORT` means this machine only. Raises BadInput."""
    if not text:
        return None
    if text.startswith(("unix:", "/")):
        return Endpoint(path=socket_path(text))
    found = _HOST_PORT.fullmatch(text)
    if found is None:
        raise BadInput(f"'{text}' is no address; {_REMEDY}")
    host, port = found["v6"] or found["host"] or "127.0.0.1", int(found["port"])
    if host not in LOCAL_HOSTS:
        raise BadInput(f"'{text}' would be open to other machines, and nobody authenticates there; {_REMEDY}")
    if not 0 < port < 1 << 16:
        raise BadInput(f"'{text}': a port is from 1 to 65535; {_REMEDY}")
    return Endpoint(host=host, port=port)


def socket_path(text: str) -> str:
    """The absolute path in `unix:///PATH` or `/PATH`. Raises BadInput."""
    path = text.removeprefix("unix://")
    if not path.startswith("/"):
        raise BadInput(f"'{text}' is not absolute; write unix:///PATH or /PATH")
    if len(path.encode()) > _SUN_PATH_LIMIT_BYTES:
        raise BadInput(
            f"'{text}' is longer than the {_SUN_PATH_LIMIT_BYTES} bytes a socket's path can have; shorten it"
        )
    return path
