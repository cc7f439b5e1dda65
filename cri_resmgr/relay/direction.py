"""Bytes of one peer on their way to the other: cut into frames, looked at, passed on.

A frame is handled only when it is complete, so anything of ours may be written between any two.  Frames that nobody
has to change go on as slices of what was read, many at a time: that batching is where the speed is.  Before anything
else is appended to the output, the slice of frames read so far goes first (`feed` sees to it).
"""

from collections.abc import Callable, Container

from cri_resmgr.relay.flow import Side
from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import CONTINUATION, DATA, END_STREAM, HEADER_SIZE, ProtocolError

Handler = Callable[[bytes, int, int, int, int], bool]
"""(data, start, stop, flags, stream) of a frame -> True if it was dealt with, False to relay it as it is."""

MAX_BLOCK_BYTES = 1 << 18
MAX_STREAM = 0x7FFFFFFF
_KNOWN = 10
_read = frames.HEADER.unpack_from


class Block:
    """A header block on its way: put together from CONTINUATIONs, up to a limit."""

    def __init__(self) -> None:
        self.stream: int | None = None  # None between blocks
        self.flags = 0
        self.frames: list[bytes] = []
        self._fragments = bytearray()
        self._size = 0

    def begin(self, stream: int, flags: int, fragment: bytes, whole: bytes) -> None:
        """The first fragment, and the frame that carried it."""
        self.stream, self.flags, self.frames = stream, flags, [whole]
        self._fragments = bytearray(fragment)
        self._size = len(fragment)

    def add(self, fragment: bytes, whole: bytes) -> None:
        """One CONTINUATION."""
        if self.stream is None:
            raise ProtocolError(frames.PROTOCOL_ERROR, "CONTINUATION of nothing")
        self._fragments += fragment
        self.frames.append(whole)
        self._size += HEADER_SIZE + len(fragment)  # also empty ones cost us something
        if self._size > MAX_BLOCK_BYTES:
            raise ProtocolError(frames.COMPRESSION_ERROR, "header block too large")

    def end(self) -> bytes:
        """The whole block."""
        self.stream = None
        return bytes(self._fragments)


class Direction:
    """Relays the frames of one peer to the side `target`.

    `watched` are the streams whose DATA somebody wants to see; `handlers[kind]` is None for frames that always pass.
    `data_ended` is told of streams whose relayed DATA ends them.
    """

    def __init__(
        self, target: Side, watched: Container[int], *, data_ended: Callable[[int], None] | None = None
    ) -> None:
        self.target, self.watched, self.data_ended = target, watched, data_ended
        self.handlers: list[Handler | None] = [None] * _KNOWN
        self.block = Block()
        self._tail = bytearray()
        self._need = 0

    def feed(self, data: bytes) -> None:
        """Relay what was read; raises `ProtocolError`."""
        if self._tail:
            self._tail += data
            if len(self._tail) < self._need:
                return
            data = bytes(self._tail)
            self._tail.clear()
        done = self._relay(data)
        if done < len(data):
            self._tail += data[done:]

    def _relay(self, data: bytes) -> int:
        target, watched, handlers, block = self.target, self.watched, self.handlers, self.block
        out, waiting = target.out, target.waiting
        at, start, end = 0, 0, len(data)
        self._need = HEADER_SIZE
        while end - at >= HEADER_SIZE:
            high, low, kind, flags, stream = _read(data, at)
            stream &= MAX_STREAM  # the reserved bit means nothing, and must not carry DATA past its watcher
            size = high << 16 | low
            stop = at + HEADER_SIZE + size
            if stop > end:
                self._need = self._checked(size) + HEADER_SIZE
                break
            if block.stream is not None and (kind != CONTINUATION or stream != block.stream):
                raise ProtocolError(frames.PROTOCOL_ERROR, "header block interrupted")
            if kind == DATA and size <= target.window and stream not in watched and stream not in waiting:
                target.window -= size
                if flags & END_STREAM and self.data_ended:
                    self.data_ended(stream)
            elif kind < _KNOWN and (handler := handlers[kind]) is not None:
                if at > start:
                    out.append(data[start:at])
                start = stop if handler(data, at, stop, flags, stream) else at
            at = stop
        if at > start:
            out.append(data[start:at] if start or at < end else data)
        return at

    def _checked(self, size: int) -> int:
        if size > self.target.max_frame:
            raise ProtocolError(frames.FRAME_SIZE_ERROR, "frame larger than its receiver allows")
        return size
