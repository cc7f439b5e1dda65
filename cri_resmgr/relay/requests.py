"""What the client sends: frames go on as they are, header blocks included.

HEADERS pass verbatim, at once and in order, also for calls that are then held or refused: stream ids must rise, and
the header tables of this direction stay in step without an encoder.  A refused call costs the runtime an open stream
and an RST_STREAM; a unary handler does not start before its message is there.

One frame is answered here: a PING that a client sends because of DATA that *we* let go.  gRPC clients measure the
line so, and a runtime counts pings that it has sent no DATA for as abuse: it would end the connection.
"""

from typing import TYPE_CHECKING

from cri_resmgr.relay.direction import Direction
from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADER_SIZE,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    ProtocolError,
)
from cri_resmgr.wire.hpack import Decoder, HeaderError

if TYPE_CHECKING:
    from cri_resmgr.relay.link import Link


class Requests:
    """The client's direction of a link."""

    def __init__(self, link: "Link", decoder: Decoder) -> None:
        self.link, self.decoder = link, decoder
        self.last_stream = 0
        self.direction = Direction(link.runtime, link.watchers)
        self._greeting: bytes | None = b""  # None once the connection preface has come
        handlers = self.direction.handlers
        handlers[DATA] = self._data
        handlers[HEADERS] = self._headers
        handlers[CONTINUATION] = self._continued
        handlers[RST_STREAM] = self._reset
        handlers[PING] = self._ping

    def feed(self, data: bytes) -> None:
        """Relay what was read from the client; raises `ProtocolError`."""
        if self._greeting is not None:
            data = self._greeted(self._greeting + data)
        if data:
            self.direction.feed(data)

    def _greeted(self, data: bytes) -> bytes:
        if not data.startswith(PREFACE[: len(data)]):
            raise ProtocolError(frames.PROTOCOL_ERROR, "not HTTP/2")
        if len(data) < len(PREFACE):
            self._greeting = data
            return b""
        self._greeting = None
        self.link.runtime.out.append(PREFACE)
        return data[len(PREFACE) :]

    def _data(self, data: bytes, at: int, stop: int, flags: int, stream: int) -> bool:
        first, last = frames.body_of(data, at + HEADER_SIZE, stop, flags)
        size, end = stop - at - HEADER_SIZE, bool(flags & END_STREAM)
        watcher = self.link.watchers.get(stream)
        if watcher is not None and watcher.request_data(data[first:last], size, end=end):
            self.link.runtime.swallow(size)
            return True
        return self.link.pass_data(self.link.runtime, stream, data[first:last], size, end=end)

    def _headers(self, data: bytes, at: int, stop: int, flags: int, stream: int) -> bool:
        if not stream & 1:
            raise ProtocolError(frames.PROTOCOL_ERROR, "HEADERS on a stream that no client opens")
        first, last = frames.fragment_of(data, at + HEADER_SIZE, stop, flags)
        if flags & END_HEADERS:
            self._opened(stream, flags, data[first:last])
            return False
        self.direction.block.begin(stream, flags, data[first:last], data[at:stop])
        return True

    def _continued(self, data: bytes, at: int, stop: int, flags: int, stream: int) -> bool:
        block = self.direction.block
        block.add(data[at + HEADER_SIZE : stop], data[at:stop])
        if flags & END_HEADERS:
            self.link.runtime.out += block.frames
            self._opened(stream, block.flags, block.end())
        return True

    def _opened(self, stream: int, flags: int, block: bytes) -> None:
        try:
            fields = self.decoder.decode(block)
        except HeaderError as error:
            raise ProtocolError(frames.COMPRESSION_ERROR, str(error)) from error
        if stream <= self.last_stream:
            return  # trailers
        self.last_stream = stream
        for name, value in fields:
            if name == b":path":
                self.link.opened(stream, value.decode("latin-1"), fields, more=not flags & END_STREAM)
                return

    def _reset(self, _data: bytes, _at: int, _stop: int, _flags: int, stream: int) -> bool:
        link = self.link
        link.runtime.drop(stream)
        link.client.drop(stream)
        watcher = link.watchers.get(stream)
        handled = watcher is not None and watcher.reset_by_client()
        link.ended(stream, ok=False)
        return handled

    def _ping(self, data: bytes, at: int, stop: int, flags: int, _stream: int) -> bool:
        client = self.link.client
        if flags & ACK or not client.fed:
            return False
        client.fed = False
        client.out.append(frames.frame(PING, ACK, 0, data[at + HEADER_SIZE : stop]))
        return True
