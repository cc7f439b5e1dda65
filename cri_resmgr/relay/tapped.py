"""A call that passes while somebody gets copies of its messages.

The frames go on as they are, in step with everybody else's; the copies are put together from the DATA and handed to
a `Tap`.  What is larger than the limit, or compressed, is not copied.  An error of a tap ends the tap, not the call.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import structlog

from cri_resmgr.relay.flow import Side
from cri_resmgr.relay.hooks import Tap
from cri_resmgr.relay.reply_headers import Rewritten
from cri_resmgr.wire import grpc
from cri_resmgr.wire.grpc import PREFIX_SIZE

if TYPE_CHECKING:
    from cri_resmgr.relay.link import Link

log = structlog.get_logger("relay")

MAX_MESSAGE_BYTES = 16 << 20


class Messages:
    """Cuts a stream of DATA into messages."""

    def __init__(self, deliver: Callable[[bytes], None]) -> None:
        self._deliver = deliver
        self._data = bytearray()
        self._skip = 0  # bytes of a message that is not copied

    def add(self, data: bytes) -> None:
        """Deliver each message that is complete now."""
        if self._skip:
            skipped = min(self._skip, len(data))
            self._skip -= skipped
            data = data[skipped:]
        self._data += data
        while len(self._data) >= PREFIX_SIZE:
            stop = PREFIX_SIZE + int.from_bytes(self._data[1:PREFIX_SIZE], "big")
            if stop > MAX_MESSAGE_BYTES or (self._data[0] and stop <= len(self._data)):
                self._skip = max(0, stop - len(self._data))
            elif stop > len(self._data):
                return
            else:
                self._deliver(bytes(memoryview(self._data)[PREFIX_SIZE:stop]))
            del self._data[:stop]


class Tapped:
    """Looks on: each method returns False, so that everything is relayed as it is."""

    def __init__(self, link: "Link", stream: int, tap: Tap) -> None:
        self.link, self.stream, self._tap = link, stream, tap
        self._requests, self._replies = Messages(tap.request), Messages(tap.reply)

    def request_data(self, data: bytes, size: int, *, end: bool) -> bool:
        """Copy."""
        self._guarded(lambda: self._requests.add(data))
        return False

    def reply_headers(self, again: Rewritten, *, end: bool) -> bool:
        """Trailers end the call."""
        if end:
            self._over(*grpc.status_in(again.fields))
        return False

    def reply_data(self, data: bytes, size: int, *, end: bool) -> bool:
        """Copy."""
        self._guarded(lambda: self._replies.add(data))
        if end:
            self._over(grpc.UNKNOWN, "the reply ended without a status")
        return False

    def granted(self, side: Side, size: int) -> bool:
        """The peers' own business."""
        return False

    def resized(self, side: Side, change: int) -> None:
        """The peers' own business."""

    def reset_by_client(self) -> bool:
        """Ended."""
        self._over(None, "cancelled by the client")
        return False

    def reset_by_runtime(self, frame: bytes) -> bool:
        """Ended."""
        self._over(None, "reset by the runtime")
        return False

    def lost(self) -> None:
        """Ended."""
        self._over(None, "connection lost")

    def _over(self, code: int | None, message: str) -> None:
        if self.link.watchers.get(self.stream) is self:
            del self.link.watchers[self.stream]
            self._guarded(lambda: self._tap.ended(code, message))

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as error:
            log.error("tap.failed", stream=self.stream, exc_info=error)
            self.link.watchers.pop(self.stream, None)
