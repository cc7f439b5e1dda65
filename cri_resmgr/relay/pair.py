"""A link and its two sockets, from the accepted connection to the last byte.

No state survives it: when the runtime cannot be reached or goes away the client's connection is closed, and the client
redials, as it would with the runtime itself.
"""

import asyncio
import socket
from collections.abc import Callable

import structlog

from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.link import Link
from cri_resmgr.relay.peer import Peer
from cri_resmgr.wire.frames import ProtocolError, goaway

log = structlog.get_logger("relay")

CONNECT_DEADLINE_S = 5.0
CONNECT_RETRY_S = 0.02  # when the runtime's backlog is full
INTERNAL_ERROR = 2


class Pair:
    """Owns both peers; `left` is called once when it is closed."""

    def __init__(
        self, link: Link, client: socket.socket, *, counters: Counters, view: memoryview, left: Callable[["Pair"], None]
    ) -> None:
        self.link, self._counters, self._view, self._left = link, counters, view, left
        link.flush = self.flush
        self._client = Peer(self, client, feed=link.from_client, out=link.client.out, view=view)
        self._runtime: Peer | None = None
        self._closed = False

    def connect(self, path: str, *, until_s: float | None = None) -> None:
        """Reach the runtime and begin to relay, or close the client's connection."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + CONNECT_DEADLINE_S if until_s is None else until_s
        runtime = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            runtime.connect(path)
        except BlockingIOError as error:
            runtime.close()
            if loop.time() < until_s:
                loop.call_later(CONNECT_RETRY_S, self._again, path, until_s)
            else:
                self._refused(path, error)
        except OSError as error:
            runtime.close()
            self._refused(path, error)
        else:
            self._runtime = Peer(self, runtime, feed=self.link.from_runtime, out=self.link.runtime.out, view=self._view)
            self._runtime.read(on=True)
            self._client.read(on=True)
            log.debug("link.opened", runtime=path)

    def flush(self) -> None:
        """Send what the link has for both sides."""
        if self._runtime is not None:
            self._runtime.write()
        self._client.write()

    def failed(self, error: Exception) -> None:
        """Malformed input, or a defect of ours: both connections end, and no other link notices."""
        if isinstance(error, ProtocolError):
            code = error.code
            self._counters.links_broken += 1
            log.warning("link.broken", error=str(error), code=code)
        else:
            code = INTERNAL_ERROR
            log.error("link.failed", exc_info=error)
        self.link.runtime.out.append(goaway(0, code))
        self.say_goaway(self.link.requests.last_stream, code)
        self.close()

    def congested(self, peer: Peer, *, on: bool) -> None:
        """What one peer does not take, the other one must not send."""
        other = self._runtime if peer is self._client else self._client
        if other is not None:
            other.read(on=not on)

    def say_goaway(self, last_stream: int, code: int) -> None:
        """Tell the client that this connection ends."""
        self.link.client.out.append(goaway(last_stream, code))
        self.flush()

    def close(self) -> None:
        """End both connections, once."""
        if self._closed:
            return
        self._closed = True
        self.link.closed()
        self.flush()
        self._client.close()
        if self._runtime is not None:
            self._runtime.close()
        log.debug("link.closed")
        self._left(self)

    def _again(self, path: str, until_s: float) -> None:
        if not self._closed:
            self.connect(path, until_s=until_s)

    def _refused(self, path: str, error: OSError) -> None:
        self._counters.links_refused += 1
        log.warning("link.refused", runtime=path, error=error.strerror or type(error).__name__)
        self.close()
