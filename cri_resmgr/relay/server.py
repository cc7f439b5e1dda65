"""The relay on asyncio: accepted connections, a runtime connection for each, back-pressure, drain.

One read and one write a side: everything that a read causes is collected and sent as one write.  Above a high-water
mark of unsent bytes towards one peer the other one is no longer read.  No state survives a connection: when the
runtime cannot be reached or goes away the client's connection is closed, and the client redials, as it would with
the runtime itself.
"""

import asyncio
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import cast

import structlog

from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.flow import Side
from cri_resmgr.relay.link import Link, Opener
from cri_resmgr.wire.frames import LAST_STREAM, NO_ERROR, ProtocolError, goaway
from cri_resmgr.wire.huffman import Huffman

log = structlog.get_logger("relay")

HIGH_WATER_BYTES = 1 << 20
READ_BYTES = 1 << 18
CONNECT_DEADLINE_S = 5.0
LINGER_S = 2.0  # for a peer that does not take the last bytes
QUIET_S = 0.2
BACKLOG = 1024
POLL_S = 0.02


class Peer(asyncio.BufferedProtocol):
    """One of the two sockets of a link."""

    def __init__(self, pair: "Pair", side: Side, feed: Callable[[bytes], None], view: memoryview) -> None:
        self._pair, self._feed, self._view, self.out = pair, feed, view, side.out
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there."""
        self.transport = cast("asyncio.Transport", transport)
        self.transport.set_write_buffer_limits(HIGH_WATER_BYTES)
        self._pair.connected(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """One buffer for all: it is filled and emptied within one callback of the loop."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Something was read."""
        try:
            self._feed(bytes(self._view[:nbytes]))
        except ProtocolError as error:
            self._pair.broken(error)
        else:
            self._pair.flush()

    def pause_writing(self) -> None:
        """This peer does not keep up: the other one has to wait."""
        self._pair.other(self).read(on=False)

    def resume_writing(self) -> None:
        """This peer has caught up."""
        self._pair.other(self).read(on=True)

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is gone, and the other one goes, too."""
        self._pair.close()

    def read(self, *, on: bool) -> None:
        """Read from this peer or not."""
        if self.transport is not None and not self.transport.is_closing():
            (self.transport.resume_reading if on else self.transport.pause_reading)()

    def write(self) -> None:
        """Send what has been collected, at once."""
        if self.out and self.transport is not None:
            self.transport.write(self.out[0] if len(self.out) == 1 else b"".join(self.out))
            self.out.clear()

    def close(self) -> None:
        """Close when everything is sent, or after a while without that."""
        transport, loop = self.transport, asyncio.get_running_loop()
        if transport is not None and not transport.is_closing():
            transport.close()
            if transport.get_write_buffer_size():
                loop.call_later(LINGER_S, transport.abort)


class Pair:
    """A link and its two sockets."""

    def __init__(self, relay: "Relay", link: Link, view: memoryview) -> None:
        self._relay, self.link = relay, link
        link.flush = self.flush
        self._client = Peer(self, link.client, link.from_client, view)
        self._runtime = Peer(self, link.runtime, link.from_runtime, view)
        self._closed = False

    @property
    def client(self) -> Peer:
        """The protocol for an accepted connection."""
        return self._client

    def other(self, peer: Peer) -> Peer:
        """The peer's peer."""
        return self._runtime if peer is self._client else self._client

    def connected(self, peer: Peer) -> None:
        """The client has come, or the runtime has been reached."""
        if peer is self._client:
            peer.read(on=False)
            self._relay.admitted(self)
        elif self._closed:
            peer.close()
        else:
            self.flush()  # what a loop read before it minded that reading was paused
            self._client.read(on=True)

    async def connect(self, path: str) -> None:
        """Reach the runtime, or close the client's connection."""
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_DEADLINE_S):
                await loop.create_unix_connection(lambda: self._runtime, path)
        except OSError as error:  # TimeoutError is one
            self._relay.counters.links_refused += 1
            log.warning("link.refused", runtime=path, error=str(error) or type(error).__name__)
            self.close()

    def flush(self) -> None:
        """Send what the link has for both sides."""
        self._runtime.write()
        self._client.write()

    def broken(self, error: ProtocolError) -> None:
        """One of the peers does not speak HTTP/2: both connections end, and no other link notices."""
        self._relay.counters.links_broken += 1
        log.warning("link.broken", error=str(error), code=error.code)
        self.say_goaway(self.link.requests.last_stream, error.code)
        self.link.runtime.out.append(goaway(0, error.code))
        self.close()

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
        self._relay.left(self)
        self._client.close()
        self._runtime.close()


class Relay:
    """Accepts kubelet connections on a listening socket and relays each to `runtime_path`."""

    def __init__(self, runtime_path: str, opener: Opener, *, counters: Counters) -> None:
        self.counters = counters
        self._runtime_path, self._opener = runtime_path, opener
        self._pairs: set[Pair] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._view = memoryview(bytearray(READ_BYTES))
        self._huffman = Huffman()
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        """Accept from now on."""
        create = asyncio.get_running_loop().create_unix_server
        if sys.version_info >= (3, 13):  # which would remove the path at close, though it may be a successor's by then
            create = partial(create, cleanup_socket=False)
        self._server = await create(self._accepted, sock=listener, backlog=BACKLOG)

    async def drain(self, deadline_s: float) -> None:
        """Accept no more, let clients go elsewhere, and wait until nobody has waited for an answer for a moment.

        Calls that are still under way after `deadline_s` are cut off: their clients see UNAVAILABLE.
        """
        if self._server is not None:
            self._server.close()
        for pair in self._pairs:
            pair.say_goaway(LAST_STREAM, NO_ERROR)
        loop = asyncio.get_running_loop()
        end, quiet_since = loop.time() + deadline_s, loop.time()
        while loop.time() < min(end, quiet_since + QUIET_S):
            if not self._pairs:
                return
            if any(pair.link.busy for pair in self._pairs):
                quiet_since = loop.time()
            await asyncio.sleep(POLL_S)
        for pair in list(self._pairs):
            pair.close()
        await asyncio.sleep(0)  # transports close in the next turn of the loop

    def admitted(self, pair: Pair) -> None:
        """A client has connected."""
        self._pairs.add(pair)
        self.counters.links_total += 1
        self.counters.links_open += 1
        task = asyncio.get_running_loop().create_task(pair.connect(self._runtime_path))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    def left(self, pair: Pair) -> None:
        """A pair is closed."""
        self._pairs.discard(pair)
        self.counters.links_open -= 1

    def _accepted(self) -> Peer:
        link = Link(self._opener, counters=self.counters, huffman=self._huffman)
        return Pair(self, link, self._view).client
