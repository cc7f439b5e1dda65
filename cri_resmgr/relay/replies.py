"""What the runtime sends: DATA goes on as it is, header blocks are written anew.

Rewriting each block without a dynamic table is what lets a reply be held, changed, dropped or made up without
putting the client's header table out of step.
"""

from typing import TYPE_CHECKING

from cri_resmgr.relay.direction import Direction
from cri_resmgr.relay.reply_headers import ReplyHeaders, Rewritten
from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import (
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADER_SIZE,
    HEADERS,
    RST_STREAM,
    ProtocolError,
)
from cri_resmgr.wire.hpack import Decoder, HeaderError

if TYPE_CHECKING:
    from cri_resmgr.relay.link import Link


class Replies:
    """The runtime's direction of a link."""

    def __init__(self, link: "Link", decoder: Decoder) -> None:
        self.link, self.headers = link, ReplyHeaders(decoder)
        self.direction = Direction(link.client, link.watchers, data_ended=lambda stream: link.ended(stream, ok=False))
        handlers = self.direction.handlers
        handlers[DATA] = self._data
        handlers[HEADERS] = self._headers
        handlers[CONTINUATION] = self._continued
        handlers[RST_STREAM] = self._reset

    def send(self, stream: int, block: bytes, *, end: bool) -> None:
        """A header block for the client, behind any DATA of the same stream."""
        if self.headers.opening:
            block, self.headers.opening = self.headers.opening + block, b""
        ready = frames.header_frames(stream, block, end_stream=end)
        client = self.link.client
        if stream in client.waiting:
            client.waiting[stream].trailers += ready
        else:
            client.out.append(ready)

    def _data(self, data: bytes, at: int, stop: int, flags: int, stream: int) -> bool:
        link = self.link
        first, last = frames.body_of(data, at + HEADER_SIZE, stop, flags)
        size, end = stop - at - HEADER_SIZE, bool(flags & END_STREAM)
        watcher = link.watchers.get(stream)
        if watcher is not None and watcher.reply_data(data[first:last], size, end=end):
            link.client.swallow(size)
            return True
        if end:
            link.ended(stream, ok=False)  # a reply of gRPC ends with a status
        return link.pass_data(link.client, stream, data[first:last], size, end=end)

    def _headers(self, data: bytes, at: int, stop: int, flags: int, stream: int) -> bool:
        first, last = frames.fragment_of(data, at + HEADER_SIZE, stop, flags)
        if flags & END_HEADERS:  # nearly always
            self._replied(stream, data[first:last], end=bool(flags & END_STREAM))
        else:
            self.direction.block.begin(stream, flags, data[first:last], b"")
        return True

    def _continued(self, data: bytes, at: int, stop: int, flags: int, stream: int) -> bool:
        block = self.direction.block
        block.add(data[at + HEADER_SIZE : stop], b"")
        if flags & END_HEADERS:
            self._replied(stream, block.end(), end=bool(block.flags & END_STREAM))
        return True

    def _replied(self, stream: int, block: bytes, *, end: bool) -> None:
        again = self.headers.known.get(block) or self._rewritten(block)  # known, nearly always
        watcher = self.link.watchers.get(stream)
        if watcher is not None and watcher.reply_headers(again, end=end):
            return
        if end:
            self.link.ended(stream, ok=again.ok)
        self.send(stream, again.block, end=end)

    def _rewritten(self, block: bytes) -> Rewritten:
        try:
            return self.headers.rewritten(block)
        except HeaderError as error:
            raise ProtocolError(frames.COMPRESSION_ERROR, str(error)) from error

    def _reset(self, data: bytes, at: int, stop: int, _flags: int, stream: int) -> bool:
        link = self.link
        link.runtime.drop(stream)
        watcher, entry = link.watchers.get(stream), link.client.waiting.get(stream)
        if watcher is not None and watcher.reset_by_runtime(data[at:stop]):
            return True
        link.ended(stream, ok=False)
        if entry is None:
            return False
        if entry.end or entry.trailers:  # a whole reply, still on its way: the reset must not overtake it
            entry.trailers += data[at:stop]
            return True
        link.client.drop(stream)
        return False
