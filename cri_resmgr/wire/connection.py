"""The client's end of an HTTP/2 connection that carries unary gRPC calls: bytes in, bytes out, no I/O.

Small on purpose: no priorities, no push, windows so large that a reply needs no granting, a header encoder without
a table.  Replies that exceed the limit are reset.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from cri_resmgr.wire import frames, grpc
from cri_resmgr.wire.frames import (
    ACK,
    CHUNK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GOAWAY,
    HEADER_SIZE,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ProtocolError,
    frame,
)
from cri_resmgr.wire.hpack import NO_TABLE, Decoder, Field, HeaderError, encode

MAX_REPLY_BYTES = 64 << 20
TOP_UP_AT = 1 << 30
_OPENING = (
    PREFACE
    + frame(SETTINGS, 0, 0, frames.SETTING.pack(frames.SETTINGS_ENABLE_PUSH, 0)
            + frames.SETTING.pack(frames.SETTINGS_INITIAL_WINDOW_SIZE, frames.MAX_WINDOW))
    + frames.window_update(0, frames.MAX_WINDOW - frames.DEFAULT_WINDOW)
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reply:
    """How a call ended: gRPC's status, and everything that the server said on the way there."""

    code: int
    text: str
    head: list[Field] = field(default_factory=list)
    body: bytes = b""
    trailers: list[Field] = field(default_factory=list)


@dataclass(slots=True)
class _Call:
    done: Callable[[Reply], None]
    body: bytes
    window: int
    sent: int = 0
    size: int = 0
    head: list[Field] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)


class Connection:
    """Begin calls, feed what was read, send what is in `out`.

    `usable` turns False when the server has said goodbye: calls that it knows go on, new ones belong elsewhere.
    """

    def __init__(self) -> None:
        self.out: list[bytes] = [_OPENING]
        self.usable = True
        self._calls: dict[int, _Call] = {}
        self._next_stream = 1
        self._decoder = Decoder()
        self._table_emptied = False
        self._tail = b""
        self._block: tuple[int, int, bytes] | None = None  # stream, flags and fragments of an unfinished block
        self._window = frames.DEFAULT_WINDOW
        self._initial = frames.DEFAULT_WINDOW
        self._received = 0
        self._handlers = {
            DATA: self._data,
            HEADERS: self._headers,
            CONTINUATION: self._continued,
            RST_STREAM: self._reset,
            SETTINGS: self._settings,
            PING: self._ping,
            GOAWAY: self._goaway,
            WINDOW_UPDATE: self._grown,
        }

    def begin(self, fields: list[Field], message: bytes, done: Callable[[Reply], None]) -> int:
        """Start a call and return its stream; `done` is called once, from `feed` or `lost`."""
        stream, self._next_stream = self._next_stream, self._next_stream + 2
        block = encode(fields) if self._table_emptied else NO_TABLE + encode(fields)
        self._table_emptied = True
        self.out.append(frames.header_frames(stream, block, end_stream=False))
        self._calls[stream] = _Call(done, grpc.prefixed(message), self._initial)
        self._pump()
        return stream

    def cancel(self, stream: int) -> None:
        """Give a call up; its `done` is not called."""
        if self._calls.pop(stream, None) is not None:
            self.out.append(frames.reset(stream, frames.CANCEL))

    def lost(self, reason: str, code: int = grpc.UNAVAILABLE) -> None:
        """The connection is gone: every call ends with this status."""
        self.usable = False
        for stream in list(self._calls):
            self._end(stream, Reply(code, reason))

    def feed(self, data: bytes) -> None:
        """Handle what was read; raises `ProtocolError`."""
        data = self._tail + data
        at = 0
        while len(data) - at >= HEADER_SIZE:
            high, low, kind, flags, stream = frames.HEADER.unpack_from(data, at)
            stop = at + HEADER_SIZE + (high << 16 | low)
            if stop - at > HEADER_SIZE + CHUNK:  # we never allowed larger ones; "HTTP/1.1" reads as such a one
                raise ProtocolError(frames.FRAME_SIZE_ERROR, "frame larger than allowed")
            if stop > len(data):
                break
            if self._block is not None and kind != CONTINUATION:
                raise ProtocolError(frames.PROTOCOL_ERROR, "header block interrupted")
            handler = self._handlers.get(kind)
            if handler is not None:
                handler(data[at + HEADER_SIZE : stop], flags, stream)
            at = stop
        self._tail = data[at:]

    def _data(self, payload: bytes, flags: int, stream: int) -> None:
        self._received += len(payload)
        if self._received >= TOP_UP_AT:
            self.out.append(frames.window_update(0, self._received))
            self._received = 0
        call = self._calls.get(stream)
        if call is None:
            return
        first, last = frames.body_of(payload, 0, len(payload), flags)
        call.parts.append(payload[first:last])
        call.size += last - first
        if call.size > MAX_REPLY_BYTES:
            self.out.append(frames.reset(stream, frames.CANCEL))
            self._end(stream, Reply(grpc.RESOURCE_EXHAUSTED, f"reply larger than {MAX_REPLY_BYTES} bytes"))
        elif flags & END_STREAM:
            self._end(stream, Reply(grpc.UNKNOWN, "the reply ended without a status"))

    def _headers(self, payload: bytes, flags: int, stream: int) -> None:
        first, last = frames.fragment_of(payload, 0, len(payload), flags)
        self._block = stream, flags, payload[first:last]
        if flags & END_HEADERS:
            self._block_done()

    def _continued(self, payload: bytes, flags: int, stream: int) -> None:
        if self._block is None or self._block[0] != stream:
            raise ProtocolError(frames.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._block = stream, self._block[1], self._block[2] + payload
        if flags & END_HEADERS:
            self._block_done()

    def _block_done(self) -> None:
        if self._block is None:
            return
        (stream, flags, block), self._block = self._block, None
        try:
            fields = self._decoder.decode(block)
        except HeaderError as error:
            raise ProtocolError(frames.COMPRESSION_ERROR, str(error)) from error
        call = self._calls.get(stream)
        if call is None:
            return
        if flags & END_STREAM:
            self._end(stream, Reply(*grpc.status_in(fields), call.head, b"".join(call.parts), fields))
        elif not call.head:
            call.head = fields

    def _reset(self, payload: bytes, flags: int, stream: int) -> None:
        self._end(stream, Reply(grpc.UNAVAILABLE, "the server has reset the stream"))

    def _settings(self, payload: bytes, flags: int, stream: int) -> None:
        if flags & ACK:
            return
        for key, value in frames.settings_of(payload, 0, len(payload)):
            if key == frames.SETTINGS_INITIAL_WINDOW_SIZE:
                change, self._initial = value - self._initial, value
                for call in self._calls.values():
                    call.window += change
        self.out.append(frame(SETTINGS, ACK, 0))
        self._pump()

    def _ping(self, payload: bytes, flags: int, stream: int) -> None:
        if not flags & ACK:
            self.out.append(frame(PING, ACK, 0, payload))

    def _goaway(self, payload: bytes, flags: int, stream: int) -> None:
        self.usable = False
        last = int.from_bytes(payload[:4], "big")
        for turned_away in [known for known in self._calls if known > last]:
            self._end(turned_away, Reply(grpc.UNAVAILABLE, "the server is going away"))

    def _grown(self, payload: bytes, flags: int, stream: int) -> None:
        growth = frames.growth_of(payload, 0, len(payload))
        if not stream:
            self._window += growth
        elif stream in self._calls:
            self._calls[stream].window += growth
        self._pump()

    def _pump(self) -> None:
        """Send request bodies as far as the windows go."""
        for stream, call in self._calls.items():
            while call.sent < len(call.body):
                size = min(len(call.body) - call.sent, CHUNK, self._window, call.window)
                if size <= 0:
                    break
                chunk = call.body[call.sent : call.sent + size]
                call.sent += size
                call.window -= size
                self._window -= size
                self.out.append(frame(DATA, END_STREAM if call.sent == len(call.body) else 0, stream, chunk))

    def _end(self, stream: int, reply: Reply) -> None:
        call = self._calls.pop(stream, None)
        if call is not None:
            call.done(reply)
