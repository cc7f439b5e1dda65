"""The server's end of an HTTP/2 connection that carries unary gRPC calls: bytes in, bytes out, no I/O.

    feed ──► the whole request is there ──► asked(stream, method, message) ┄┄► answer, refuse ──► out
         └─► the client has given it up ──► dropped(stream)

What a peer can make us keep is known: `MAX_STREAMS` calls at once, of one message of `MAX_MESSAGE_BYTES` each, since a
stream's window is just as large and the length stands before the message.  A call that is wrong ends alone; a peer
that breaks HTTP/2's rules loses its connection.  The header encoder uses no table, as the client's.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from cri_resmgr.wire import frames, grpc
from cri_resmgr.wire.frames import (
    ACK,
    CHUNK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADER_SIZE,
    HEADERS,
    MAX_WINDOW,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    ProtocolError,
    frame,
)
from cri_resmgr.wire.hpack import NO_TABLE, Decoder, Field, HeaderError, encode

MAX_MESSAGE_BYTES = 4 << 20
MAX_STREAMS = 4
MAX_BLOCK_BYTES = 64 << 10
TOP_UP_AT = 1 << 30
SETTINGS_MAX_CONCURRENT_STREAMS = 3
STREAM_CLOSED, REFUSED_STREAM, ENHANCE_YOUR_CALM = 5, 7, 11
_NOT_GRPC: list[Field] = [(b":status", b"415")]
_OPENING = (
    frame(SETTINGS, 0, 0, frames.SETTING.pack(SETTINGS_MAX_CONCURRENT_STREAMS, MAX_STREAMS)
          + frames.SETTING.pack(frames.SETTINGS_INITIAL_WINDOW_SIZE, MAX_MESSAGE_BYTES + grpc.PREFIX_SIZE))
    + frames.window_update(0, MAX_WINDOW - frames.DEFAULT_WINDOW)
)  # fmt: skip


@dataclass(slots=True)
class _Call:
    method: str
    window: int  # what the client still takes of the reply
    body: bytearray = field(default_factory=bytearray)
    whole: bool = False  # all of the request is there
    reply: bytes = b""
    sent: int = 0


class Connection:
    """Feed what was read, send what is in `out`; a call to none of the `methods` is answered here."""

    def __init__(
        self,
        methods: Collection[str],
        *,
        asked: Callable[[int, str, bytes], None],
        dropped: Callable[[int], None],
    ) -> None:
        self.out: list[bytes] = [_OPENING]
        self._methods, self._asked, self._dropped = methods, asked, dropped
        self._calls: dict[int, _Call] = {}
        self._last_stream = 0
        self._decoder = Decoder()
        self._table_emptied = False
        self._tail, self._greeted = b"", False
        self._block: tuple[int, int, bytes] | None = None  # stream, flags and fragments of an unfinished block
        self._window = self._initial = frames.DEFAULT_WINDOW
        self._received = 0
        self._handlers = {
            DATA: self._data,
            HEADERS: self._headers,
            CONTINUATION: self._continued,
            RST_STREAM: self._reset,
            SETTINGS: self._settings,
            PING: self._ping,
            WINDOW_UPDATE: self._grown,
        }

    # ---- answers; those to a call that is not there any more are dropped

    def answer(self, stream: int, message: bytes) -> None:
        """The reply to a call."""
        call = self._calls.get(stream)
        if call is not None:
            self._send(stream, grpc.REPLY_HEAD, end_stream=False)
            call.reply = grpc.prefixed(message)
            self._pump()

    def refuse(self, stream: int, code: int, text: str) -> None:
        """The call ends with this status."""
        call = self._calls.pop(stream, None)
        if call is not None:
            self._refused(stream, grpc.refusal(code, text), whole=call.whole)

    def lost(self) -> None:
        """The connection is gone, and all calls with it."""
        for stream in tuple(self._calls):
            self._drop(stream)

    # ---- what the client says

    def feed(self, data: bytes) -> None:
        """Handle what was read; raises `ProtocolError`."""
        data = self._tail + data
        at = 0
        if not self._greeted:
            if data[: len(PREFACE)] != PREFACE[: len(data)]:
                raise ProtocolError(frames.PROTOCOL_ERROR, "this is no HTTP/2")
            self._greeted = len(data) >= len(PREFACE)
            at = len(PREFACE) if self._greeted else 0
        while self._greeted and len(data) - at >= HEADER_SIZE:
            high, low, kind, flags, stream = frames.HEADER.unpack_from(data, at)
            stop = at + HEADER_SIZE + (high << 16 | low)
            if stop - at > HEADER_SIZE + CHUNK:
                raise ProtocolError(frames.FRAME_SIZE_ERROR, "frame larger than allowed")
            if stop > len(data):
                break
            if self._block is not None and kind != CONTINUATION:
                raise ProtocolError(frames.PROTOCOL_ERROR, "header block interrupted")
            handler = self._handlers.get(kind)
            if handler is not None:
                handler(data[at + HEADER_SIZE : stop], flags, stream & MAX_WINDOW)
            at = stop
        self._tail = data[at:]

    def _data(self, payload: bytes, flags: int, stream: int) -> None:
        if not 0 < stream <= self._last_stream:
            raise ProtocolError(frames.PROTOCOL_ERROR, "DATA of a call that was not begun")
        self._received += len(payload)
        if self._received >= TOP_UP_AT:
            self.out.append(frames.window_update(0, self._received))
            self._received = 0
        first, last = frames.body_of(payload, 0, len(payload), flags)
        call = self._calls.get(stream)
        if call is None:  # answered already
            return
        if call.whole:
            raise ProtocolError(STREAM_CLOSED, "DATA after the end of its call")
        call.body += payload[first:last]
        if flags & END_STREAM:
            self._complete(stream, call)
            return
        if padding := len(payload) - (last - first):
            self.out.append(frames.window_update(stream, padding))
        self._measure(stream, call)

    def _measure(self, stream: int, call: _Call) -> None:
        """Refuse as soon as it is known that the message is too long."""
        if len(call.body) < grpc.PREFIX_SIZE:
            return
        size = grpc.PREFIX.unpack_from(call.body)[1]
        if size > MAX_MESSAGE_BYTES:
            text = f"a message of {size} bytes is more than the {MAX_MESSAGE_BYTES} that are taken; send less"
            self.refuse(stream, grpc.RESOURCE_EXHAUSTED, text)
        elif len(call.body) > grpc.PREFIX_SIZE + size:
            self.refuse(stream, grpc.INTERNAL, "the body is not one gRPC message")

    def _complete(self, stream: int, call: _Call) -> None:
        call.whole = True
        self._measure(stream, call)
        if stream not in self._calls:
            return
        try:
            message = grpc.message_in(call.body)
        except grpc.MessageError as error:
            self.refuse(stream, error.code, str(error))
            return
        call.body = bytearray()
        self._asked(stream, call.method, message)

    def _headers(self, payload: bytes, flags: int, stream: int) -> None:
        first, last = frames.fragment_of(payload, 0, len(payload), flags)
        self._fragment(stream, flags, payload[first:last])

    def _continued(self, payload: bytes, flags: int, stream: int) -> None:
        if self._block is None or self._block[0] != stream:
            raise ProtocolError(frames.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._fragment(stream, self._block[1] | flags, self._block[2] + payload)

    def _fragment(self, stream: int, flags: int, block: bytes) -> None:
        if len(block) > MAX_BLOCK_BYTES:
            raise ProtocolError(ENHANCE_YOUR_CALM, "header block larger than allowed")
        self._block = None if flags & END_HEADERS else (stream, flags, block)
        if self._block is None:
            try:
                fields = self._decoder.decode(block)
            except HeaderError as error:
                raise ProtocolError(frames.COMPRESSION_ERROR, str(error)) from error
            self._opened(stream, dict(fields), whole=bool(flags & END_STREAM))

    def _opened(self, stream: int, fields: dict[bytes, bytes], *, whole: bool) -> None:
        if stream <= self._last_stream:  # trailers, of which a unary call has none to say anything with
            call = self._calls.get(stream)
            if call is not None and whole and not call.whole:
                self._complete(stream, call)
            return
        if not stream % 2:
            raise ProtocolError(frames.PROTOCOL_ERROR, "a client's streams have odd numbers")
        self._last_stream = stream
        if len(self._calls) >= MAX_STREAMS:
            self.out.append(frames.reset(stream, REFUSED_STREAM))
        elif not fields.get(b"content-type", b"").startswith(b"application/grpc"):
            self._refused(stream, _NOT_GRPC, whole=whole)
        else:
            method = fields.get(b":path", b"").decode("latin-1")
            call = self._calls[stream] = _Call(method, self._initial, whole=whole)
            if method not in self._methods:
                self.refuse(stream, grpc.UNIMPLEMENTED, f"there is no method {method[:200]}")
            elif whole:
                self._complete(stream, call)

    def _reset(self, payload: bytes, flags: int, stream: int) -> None:
        self._drop(stream)

    def _settings(self, payload: bytes, flags: int, stream: int) -> None:
        if flags & ACK:
            return
        for key, value in frames.settings_of(payload, 0, len(payload)):
            if key == frames.SETTINGS_INITIAL_WINDOW_SIZE:
                if value > MAX_WINDOW:
                    raise ProtocolError(frames.FLOW_CONTROL_ERROR, "window larger than allowed")
                change, self._initial = value - self._initial, value
                for call in self._calls.values():
                    call.window += change
        self.out.append(frame(SETTINGS, ACK, 0))
        self._pump()

    def _ping(self, payload: bytes, flags: int, stream: int) -> None:
        if not flags & ACK:
            self.out.append(frame(PING, ACK, 0, payload))

    def _grown(self, payload: bytes, flags: int, stream: int) -> None:
        growth = frames.growth_of(payload, 0, len(payload))
        if not stream:
            self._window += growth
        elif stream in self._calls:
            self._calls[stream].window += growth
        self._pump()

    # ---- pieces

    def _pump(self) -> None:
        """Send replies as far as the windows go; each ends with its trailers."""
        for stream, call in tuple(self._calls.items()):
            while call.sent < len(call.reply):
                size = min(len(call.reply) - call.sent, CHUNK, self._window, call.window)
                if size <= 0:
                    break
                chunk = call.reply[call.sent : call.sent + size]
                call.sent += size
                call.window -= size
                self._window -= size
                self.out.append(frame(DATA, 0, stream, chunk))
            if call.reply and call.sent == len(call.reply):
                del self._calls[stream]
                self._send(stream, grpc.OK_TRAILERS, end_stream=True)

    def _refused(self, stream: int, fields: list[Field], *, whole: bool) -> None:
        self._send(stream, fields, end_stream=True)
        if not whole:  # and nobody wants the rest
            self.out.append(frames.reset(stream, frames.NO_ERROR))

    def _send(self, stream: int, fields: list[Field], *, end_stream: bool) -> None:
        block = encode(fields) if self._table_emptied else NO_TABLE + encode(fields)
        self._table_emptied = True
        self.out.append(frames.header_frames(stream, block, end_stream=end_stream))

    def _drop(self, stream: int) -> None:
        if self._calls.pop(stream, None) is not None:
            self._dropped(stream)
