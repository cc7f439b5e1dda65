"""The relay on asyncio: accepted connections, a runtime connection for each, drain.

One read and one write a side: everything that a read causes is collected and sent as one write.  Above a high-water
mark of unsent bytes towards one peer the other one is no longer read.
"""

import asyncio
import socket

import structlog

from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.link import Link, Opener
from cri_resmgr.relay.pair import Pair
from cri_resmgr.wire.frames import LAST_STREAM, NO_ERROR
from cri_resmgr.wire.huffman import Huffman

log = structlog.get_logger("relay")

READ_BYTES = 1 << 18
ACCEPTED_AT_ONCE = 64
ACCEPT_PAUSE_S = 0.5  # when there are no descriptors left
QUIET_S = 0.2
POLL_S = 0.02


class Relay:
    """Accepts kubelet connections on a listening socket and relays each to `runtime_path`."""

    def __init__(self, runtime_path: str, opener: Opener, *, counters: Counters) -> None:
        self.counters = counters
        self._runtime_path, self._opener = runtime_path, opener
        self._pairs: set[Pair] = set()
        self._view = memoryview(bytearray(READ_BYTES))  # one for all: filled and emptied in one callback of the loop
        self._huffman = Huffman()
        self._listener: socket.socket | None = None

    def start(self, listener: socket.socket) -> None:
        """Accept from now on; the socket stays the caller's."""
        self._listener = listener
        listener.setblocking(False)
        asyncio.get_running_loop().add_reader(listener, self._accept)

    async def drain(self, deadline_s: float) -> None:
        """Accept no more, let clients go elsewhere, and wait until nobody has waited for an answer for a moment.

        Who has connected and was not accepted yet stays in the backlog, for whoever listens next.  Calls that are
        still under way after `deadline_s` are cut off: their clients see UNAVAILABLE.
        """
        loop = asyncio.get_running_loop()
        self._pause()
        self._listener = None
        end_s, quiet_since_s = loop.time() + deadline_s, loop.time()
        told: set[Pair] = set()
        while self._pairs and loop.time() < min(end_s, quiet_since_s + QUIET_S):
            for pair in self._pairs - told:
                if pair.link.runtime.greeted:  # a client takes anything but SETTINGS as the first frame for an error
                    pair.say_goaway(LAST_STREAM, NO_ERROR)
                    told.add(pair)
            if any(pair.link.busy for pair in self._pairs):
                quiet_since_s = loop.time()
            await asyncio.sleep(POLL_S)
        for pair in list(self._pairs):
            pair.close()

    def _pause(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().remove_reader(self._listener)

    def _resume(self) -> None:
        if self._listener is not None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if self._listener is None:
                return
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # no descriptors: trying at once again would only burn the CPU
                log.error("relay.not_accepting", error=error.strerror, remedy="raise LimitNOFILE= of the service")
                self._pause()
                asyncio.get_running_loop().call_later(ACCEPT_PAUSE_S, self._resume)
                return
            self._admit(client)

    def _admit(self, client: socket.socket) -> None:
        client.setblocking(False)
        self.counters.links_total += 1
        self.counters.links_open += 1
        link = Link(self._opener, counters=self.counters, huffman=self._huffman)
        pair = Pair(link, client, counters=self.counters, view=self._view, left=self._left)
        self._pairs.add(pair)
        pair.connect(self._runtime_path)

    def _left(self, pair: Pair) -> None:
        self._pairs.discard(pair)
        self.counters.links_open -= 1
