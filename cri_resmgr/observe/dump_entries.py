"""One line or one message of a dump, and how it reads.

An entry is made where the call is and costs next to nothing; it is rendered by the writer, which may be far behind.

    web-0:app CreateContainer => (intercepted) REQUEST    config:
    web-0:app CreateContainer => (intercepted) REQUEST      image:
    web-0:app CreateContainer <= (intercepted) REPLY container_id: 1f00…
"""

import time
from dataclasses import dataclass
from enum import Enum

from google.protobuf.message import DecodeError, Message

from cri_resmgr.observe import dump_yaml, redaction

LIMIT_BYTES = 1 << 20  # longer messages are counted, not shown


class Kind(Enum):
    """What the relay does with the call."""

    INTERCEPTED = "intercepted"
    PASSTHROUGH = "passthrough"
    RELAYED = "relayed"  # an intercepted request as it went on, when it is not as it came


@dataclass(frozen=True, slots=True)
class Entry:
    """`header` and, unless `size_bytes` is None, a message of that size.

    `raw` is None when the message is not to be shown, `shape` when nobody knows how.
    Exactly one of `wall_s` (requests) and `latency_s` (everything later) is set.
    """

    header: str
    wall_s: float | None = None
    latency_s: float | None = None
    size_bytes: int | None = None
    raw: bytes | None = None
    shape: type[Message] | None = None
    warning: bool = False

    def lines(self) -> list[str]:
        """The lines of the log; none has a character that is not printable."""
        body = self._body()
        if len(body) == 1:
            return [dump_yaml.escaped(f"{self.header} {body[0]}")]
        prefix = dump_yaml.escaped(self.header)
        return [f"{prefix}    {line}" for line in body] or [prefix]

    def stamp(self) -> str:
        """24 columns for the file: when the request came, or how long after it this was."""
        if self.wall_s is None:
            return f"+{self.latency_s or 0:.6f}".rjust(24)
        milliseconds = int(self.wall_s * 1000) % 1000
        return time.strftime("%Y-%b-%d %H:%M:%S", time.localtime(self.wall_s)) + f".{milliseconds:03}"

    def _body(self) -> list[str]:
        if self.size_bytes is None:
            return []
        if self.shape is None:
            return [f"# {self.size_bytes} bytes of a method that we do not know"]
        if self.raw is None:
            return [f"# {self.size_bytes} bytes, more than are shown"]
        try:
            return dump_yaml.lines(redaction.plain(self.shape.FromString(self.raw)))
        except DecodeError:
            return [f"# {self.size_bytes} bytes that are no {self.shape.DESCRIPTOR.name}"]
