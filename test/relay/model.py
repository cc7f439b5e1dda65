"""Two peers by hand, on both sides of a link, that keep to HTTP/2's rules and hold the link to them at every frame.

Everything is delivered at once, so nothing is ever on its way, and the balance that `flow` promises must hold after
every single step, not only at rest.  The peers know less than the h2 package, and so can be driven anywhere.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import hpack

from cri_resmgr.relay.held import Limits
from cri_resmgr.relay.hooks import Hook, TapFor
from cri_resmgr.relay.link import Link
from cri_resmgr.relay.opening import opener
from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PADDED,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    frame,
    header_frames,
)
from cri_resmgr.wire.hpack import Field
from relay.conversation import request_fields
from relay.raw import Reader

INITIAL = frames.SETTINGS_INITIAL_WINDOW_SIZE
LIMITS = Limits(message_bytes=150_000, link_bytes=400_000)
MAX_GRANTED = 1 << 24  # far from the limit that would be an error


@dataclass
class Stream:
    """What one peer knows of a stream."""

    send_window: int
    receive_window: int
    request: bytearray = field(default_factory=bytearray)
    headers_sent: bool = False
    ended: bool = False  # by this peer
    reset: bool = False
    over: bool = False  # ended by the other peer
    reset_by_other: bool = False

    @property
    def may_send(self) -> bool:
        return not (self.ended or self.reset or self.reset_by_other)


class End:
    """One of the peers: `feed` is the link's ear for it, `reader` reads what the link says to it."""

    def __init__(self, name: str, feed: Callable[[bytes], None], reader: Reader) -> None:
        self.name, self.feed, self.reader = name, feed, reader
        self.encoder = hpack.Encoder()
        self.streams: dict[int, Stream] = {}
        self.send_window = self.receive_window = frames.DEFAULT_WINDOW
        self.send_initial = self.receive_initial = frames.DEFAULT_WINDOW
        self.announced: deque[int | None] = deque()
        self.unanswered: deque[int | None] = deque()  # the other peer's SETTINGS

    def take(self, kind: int, flags: int, number: int, payload: bytes) -> None:
        """One frame from the link."""
        if kind == DATA:
            self._data(flags, number, len(payload))
        elif kind == HEADERS:
            stream = self.stream(number)
            assert not stream.reset_by_other, f"{self.name}: headers after a reset"
            assert not stream.over, f"{self.name}: headers after the end"
            stream.over = bool(flags & END_STREAM)
        elif kind == RST_STREAM:
            self.stream(number).reset_by_other = True
        elif kind == WINDOW_UPDATE:
            growth = int.from_bytes(payload, "big")
            assert growth, f"{self.name}: a window update by 0"
            if number:
                self.stream(number).send_window += growth
            else:
                self.send_window += growth
        elif kind == SETTINGS and flags & ACK:
            self._acknowledged(self.announced.popleft())
        elif kind == SETTINGS:
            pairs = dict(frames.settings_of(payload, 0, len(payload)))
            self.unanswered.append(pairs.get(INITIAL))

    def stream(self, number: int) -> Stream:
        return self.streams.setdefault(number, Stream(self.send_initial, self.receive_initial))

    def _data(self, flags: int, number: int, size: int) -> None:
        stream = self.stream(number)
        assert not stream.reset_by_other, f"{self.name}: data after a reset"
        assert not stream.over, f"{self.name}: data after the end"
        stream.over = bool(flags & END_STREAM)
        stream.receive_window -= size
        self.receive_window -= size
        assert self.receive_window >= 0, f"{self.name}: beyond the connection's window"
        assert stream.reset or not size or stream.receive_window >= 0, f"{self.name}: beyond the window of {number}"

    def _acknowledged(self, initial: int | None) -> None:
        if initial is not None:
            for stream in self.streams.values():
                stream.receive_window += initial - self.receive_initial
            self.receive_initial = initial

    def answer_settings(self) -> None:
        """Apply the other peer's oldest SETTINGS and say so."""
        initial = self.unanswered.popleft()
        if initial is not None:
            for stream in self.streams.values():
                stream.send_window += initial - self.send_initial
            self.send_initial = initial
        self.feed(frame(SETTINGS, ACK, 0))

    def announce(self, pairs: list[tuple[int, int]]) -> None:
        self.announced.append(dict(pairs).get(INITIAL))
        self.feed(frame(SETTINGS, 0, 0, b"".join(frames.SETTING.pack(*pair) for pair in pairs)))

    def grant(self, number: int, size: int) -> None:
        if number:
            stream = self.stream(number)
            if stream.receive_window + size > MAX_GRANTED:
                return
            stream.receive_window += size
        elif self.receive_window + size > MAX_GRANTED:
            return
        else:
            self.receive_window += size
        self.feed(frames.window_update(number, size))

    def send_data(self, number: int, data: bytes, *, padding: int, end: bool) -> bytes:
        """As much of it as the windows allow in one frame; what was sent."""
        stream = self.streams[number]
        room = min(self.send_window, stream.send_window, frames.CHUNK)
        extra = padding + 1 if padding and padding + 1 < room else 0
        sent = data[: max(0, room - extra)]
        last = end and len(sent) == len(data)
        if not sent and not last:
            return b""
        extra = extra if sent else 0
        payload = bytes((extra - 1,)) + sent + bytes(extra - 1) if extra else sent
        stream.send_window -= len(payload)
        self.send_window -= len(payload)
        stream.ended = last
        self.feed(frame(DATA, (PADDED if extra else 0) | (END_STREAM if last else 0), number, payload))
        return sent

    def send_headers(self, number: int, fields: list[Field], *, end: bool, cut: int = 0) -> None:
        """A header block, of which the first `cut` bytes have a frame of their own."""
        stream = self.stream(number)
        stream.headers_sent, stream.ended = True, end
        block = self.encoder.encode(fields)
        if cut:
            first = frame(HEADERS, END_STREAM if end else 0, number, block[:cut])
            self.feed(first + frame(CONTINUATION, END_HEADERS, number, block[cut:]))
        else:
            self.feed(header_frames(number, block, end_stream=end))

    def send_reset(self, number: int) -> None:
        self.streams[number].reset = True
        self.feed(frames.reset(number, frames.CANCEL))


class Model:
    """A link with a peer on either side; `check` after every step."""

    def __init__(self, hooks: Mapping[str, Hook], tap_for: TapFor) -> None:
        self.link = link = Link(opener(hooks, tap_for, limits=LIMITS))
        link.flush = self.deliver
        self.client = End("client", self._fed(link.from_client), Reader(from_client=False))
        self.runtime = End("runtime", self._fed(link.from_runtime), Reader(from_client=True))
        self.last_stream = -1
        link.from_client(PREFACE)
        self.deliver()
        self.client.announce([])
        self.runtime.announce([])

    def _fed(self, feed: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def fed(data: bytes) -> None:
            feed(data)
            self.deliver()

        return fed

    def deliver(self) -> None:
        """Hand the link's output to the peers."""
        for end, side in ((self.runtime, self.link.runtime), (self.client, self.link.client)):
            for found in end.reader.read(side.out):
                end.take(*found)

    def open(self, path: bytes, extra: list[Field], *, end: bool, cut: int = 0) -> int:
        self.last_stream += 2
        self.client.send_headers(self.last_stream, request_fields(path, extra), end=end, cut=cut)
        return self.last_stream

    def check(self) -> None:
        """The balance, the tables, and what is kept."""
        link = self.link
        for sender, side, receiver in (
            (self.client, link.runtime, self.runtime),
            (self.runtime, link.client, self.client),
        ):
            assert receiver.receive_window == side.window
            assert sender.send_window == side.window + side.lead - side.relayed_bytes
            assert side.relayed_bytes == sum(len(entry.data) for entry in side.waiting.values() if not entry.own)
            assert side.own_bytes == sum(len(entry.data) for entry in side.waiting.values() if entry.own)
        table = self.runtime.reader.decoder.header_table
        assert [tuple(entry) for entry in table.dynamic_entries] == list(reversed(link.requests.decoder.entries))
        assert not self.client.reader.decoder.header_table.dynamic_entries
        assert link.holding == link.counters.calls_held >= 0
        assert link.held_bytes >= 0
