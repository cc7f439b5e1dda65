"""One kubelet connection and the runtime connection behind it: HTTP/2 frames in, HTTP/2 frames out, no I/O.

`requests` handles what the client sends, `replies` what the runtime sends; here is what they share: the two sides
with their windows, the streams, and who watches them.  SETTINGS, PING, GOAWAY, deadlines, metadata and the flow
control of what is not held are the peers' own, end to end.

Whatever is malformed raises `ProtocolError` out of `from_client` or `from_runtime`; the owner then closes both sides.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic

from cri_resmgr.relay.counters import Counters, MethodCounters
from cri_resmgr.relay.direction import Direction
from cri_resmgr.relay.flow import Side
from cri_resmgr.relay.replies import Replies
from cri_resmgr.relay.requests import Requests
from cri_resmgr.relay.streams import Watcher
from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import ACK, HEADER_SIZE, PUSH_PROMISE, SETTINGS, WINDOW_UPDATE, ProtocolError
from cri_resmgr.wire.hpack import Decoder, Field
from cri_resmgr.wire.huffman import Huffman

Opener = Callable[["Link", int, str, list[Field]], Watcher | None]
"""Told of each new request (link, stream, path, header fields); returns who watches it."""

MAX_DEAD = 1000


class Link:
    """Relays frames between `client` and `runtime`; `opener` decides which calls get a watcher.

    Feed `from_client` and `from_runtime`, then send what is in `client.out` and `runtime.out`.  `flush` is called
    when output has appeared at another time, because a hook has finished.
    """

    def __init__(
        self,
        opener: Opener,
        *,
        counters: Counters | None = None,
        huffman: Huffman | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self.opener, self.clock = opener, clock
        self.counters = counters or Counters()
        self.client, self.runtime = Side(), Side()
        self.client.other, self.runtime.other = self.runtime, self.client
        self.watchers: dict[int, Watcher] = {}
        self.live: dict[int, tuple[MethodCounters, float]] = {}  # calls without an answer, and since when
        self.dead: deque[int] = deque()
        self.holding = 0  # calls that hooks wait for or work on
        self.held_bytes = 0  # of their messages, until they are answered
        self.flush: Callable[[], None] = lambda: None
        self.requests = Requests(self, Decoder(huffman))
        self.replies = Replies(self, Decoder(huffman))
        self._share(self.client, self.requests.direction, self.replies.headers.decoder)
        self._share(self.runtime, self.replies.direction, self.requests.decoder)
        self.from_client = self.requests.feed
        self.from_runtime = self.replies.direction.feed

    def _share(self, source: Side, direction: Direction, towards: Decoder) -> None:
        """Handle what both peers send alike; `towards` decodes blocks that are meant for `source`."""

        def settings(data: bytes, at: int, stop: int, flags: int, _stream: int) -> bool:
            if flags & ACK:
                source.other.acknowledged(data[at:stop])
            else:
                source.other.out.append(data[at:stop])
                self._announced(source, frames.settings_of(data, at + HEADER_SIZE, stop), towards)
            return True

        def grown(data: bytes, at: int, stop: int, _flags: int, stream: int) -> bool:
            return self._grown(source, stream, frames.growth_of(data, at + HEADER_SIZE, stop))

        def resized(change: int) -> None:
            for watcher in self.watchers.values():
                watcher.resized(source, change)

        source.resized = resized
        direction.handlers[SETTINGS] = settings
        direction.handlers[WINDOW_UPDATE] = grown
        direction.handlers[PUSH_PROMISE] = _promised

    @staticmethod
    def _announced(source: Side, settings: list[tuple[int, int]], towards: Decoder) -> None:
        source.announce(settings)
        for key, value in settings:
            if key == frames.SETTINGS_HEADER_TABLE_SIZE:
                towards.allow(value)

    def _grown(self, source: Side, stream: int, growth: int) -> bool:
        if not stream:
            source.grow(growth)
            return True
        entry = source.waiting.get(stream)
        if entry is not None and entry.own:
            entry.window += growth
            source.pump()
            return True
        watcher = self.watchers.get(stream)
        return watcher is not None and watcher.granted(source, growth)

    def pass_data(self, target: Side, stream: int, data: bytes, size: int, *, end: bool) -> bool:
        """Relay DATA (`size` with padding) as it is (False), or keep it for want of window (True)."""
        if size <= target.window and stream not in target.waiting:
            target.window -= size
            return False
        if size > len(data):
            target.swallow(size - len(data))  # padding is not sent late
        target.hold(stream, data, end=end)
        return True

    def opened(self, stream: int, path: str, fields: list[Field], *, more: bool) -> None:
        """A call has begun; with `more` its message is still to come, so that it can be held."""
        counters = self.counters.method(path)
        counters.calls += 1
        self.live[stream] = counters, self.clock()
        if more:
            watcher = self.opener(self, stream, path, fields)
            if watcher is not None:
                self.watchers[stream] = watcher

    def ended(self, stream: int, *, ok: bool = True) -> None:
        """A call is over, as the client sees it."""
        call = self.live.pop(stream, None)
        if call is not None:
            counters, begun_s = call
            counters.runtime_s.observe(self.clock() - begun_s)
            if not ok:
                counters.failed += 1

    def bury(self, stream: int, watcher: Watcher) -> None:
        """Let `watcher` swallow what the runtime still says on a stream that the client has its answer to."""
        self.watchers[stream] = watcher
        self.dead.append(stream)
        if len(self.dead) > MAX_DEAD:
            oldest = self.dead.popleft()
            if type(self.watchers.get(oldest)) is type(watcher):
                del self.watchers[oldest]

    @property
    def busy(self) -> bool:
        """Whether somebody still waits for an answer."""
        unsent = bool(self.client.waiting)
        return unsent or self.holding > 0 or any(not counters.endless for counters, _ in self.live.values())

    @property
    def kept_bytes(self) -> int:
        """Of the messages of held calls, and of answers that the client has not taken yet."""
        return self.held_bytes + self.client.own_bytes

    def closed(self) -> None:
        """One of the connections is gone: nobody waits for anything any more."""
        for watcher in list(self.watchers.values()):
            watcher.lost()
        for stream in list(self.live):
            self.ended(stream, ok=False)
        self.watchers.clear()


def _promised(_data: bytes, _at: int, _stop: int, _flags: int, _stream: int) -> bool:
    raise ProtocolError(frames.PROTOCOL_ERROR, "PUSH_PROMISE")
