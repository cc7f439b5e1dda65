"""One of the two sockets of a link: reads at once what is there, writes at once what may go.

asyncio's transports do the same with a third more work for each event, which is most of what a small call costs; the
loop's readers and writers are all that is needed here.
"""

import asyncio
import socket
from collections.abc import Callable
from typing import Protocol

HIGH_WATER_BYTES = 1 << 20
LINGER_S = 2.0  # for a peer that does not take the last bytes


class Owner(Protocol):
    """Who is told of what happens; `Pair` is one."""

    def flush(self) -> None:
        """Something was read and handled: send what both sides have now."""

    def failed(self, error: Exception) -> None:
        """What was read could not be handled."""

    def congested(self, peer: "Peer", *, on: bool) -> None:
        """The peer does not keep up, or has caught up."""

    def close(self) -> None:
        """The peer is gone."""


class Peer:
    """Feeds what it reads to `feed`; sends what is in `out` when it is told to."""

    def __init__(
        self, owner: Owner, sock: socket.socket, *, feed: Callable[[bytes], None], out: list[bytes], view: memoryview
    ) -> None:
        self._owner, self._socket, self._feed, self._out, self._view = owner, sock, feed, out, view
        self._receive, self._send = sock.recv_into, sock.send
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._congested = False
        self._closing = False

    def read(self, *, on: bool) -> None:
        """Read from this peer or not."""
        if self._closing:
            return
        if on:
            self._loop.add_reader(self._socket, self._readable)
        else:
            self._loop.remove_reader(self._socket)

    def write(self) -> None:
        """Send what has been collected."""
        out = self._out
        if not out:
            return
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        if self._closing:
            return
        if self._unsent:
            self._unsent += data
        else:
            sent = self._sent(data)
            if sent == len(data):
                return
            self._unsent += memoryview(data)[sent:]
            self._loop.add_writer(self._socket, self._writable)
        if len(self._unsent) > HIGH_WATER_BYTES and not self._congested:
            self._congested = True
            self._owner.congested(self, on=True)

    def close(self) -> None:
        """Close when everything is sent, or after a while without that."""
        if self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._socket)
        if self._unsent:
            self._loop.call_later(LINGER_S, self._shut)
        else:
            self._shut()

    def _readable(self) -> None:
        try:
            size = self._receive(self._view)
        except BlockingIOError:
            return
        except OSError:
            size = 0
        if not size:
            self._owner.close()
            return
        try:
            self._feed(bytes(self._view[:size]))
        except Exception as error:  # noqa: BLE001 - whatever it is, it ends this link and no other
            self._owner.failed(error)
        else:
            self._owner.flush()

    def _writable(self) -> None:
        del self._unsent[: self._sent(self._unsent)]
        if self._unsent:
            return
        self._loop.remove_writer(self._socket)
        if self._closing:
            self._shut()
        elif self._congested:
            self._congested = False
            self._owner.congested(self, on=False)

    def _sent(self, data: bytes | bytearray) -> int:
        """How much of it the kernel has taken; all of it when nobody will ever read it."""
        try:
            return self._send(data)
        except BlockingIOError:
            return 0
        except OSError:
            self._loop.call_soon(self._owner.close)
            return len(data)

    def _shut(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_writer(self._socket)
            self._socket.close()
