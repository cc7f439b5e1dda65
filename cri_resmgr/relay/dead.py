"""A stream that the client has its answer to, while the runtime may still speak."""

from typing import TYPE_CHECKING

from cri_resmgr.relay.flow import Side
from cri_resmgr.relay.reply_headers import Rewritten

if TYPE_CHECKING:
    from cri_resmgr.relay.link import Link


class Dead:
    """Swallows everything until the runtime ends or resets the stream."""

    def __init__(self, link: "Link", stream: int) -> None:
        self.link, self.stream = link, stream

    def request_data(self, data: bytes, size: int, *, end: bool) -> bool:
        """Late DATA of the client: dropped."""
        return True

    def reply_headers(self, again: Rewritten, *, end: bool) -> bool:
        """Already decoded, which is all that they were good for."""
        if end:
            self.lost()
        return True

    def reply_data(self, data: bytes, size: int, *, end: bool) -> bool:
        """Late DATA of the runtime: dropped."""
        if end:
            self.lost()
        return True

    def granted(self, side: Side, size: int) -> bool:
        """Nothing is going to be sent."""
        return True

    def resized(self, side: Side, change: int) -> None:
        """Nothing is going to be sent."""

    def reset_by_client(self) -> bool:
        """The runtime has been told already."""
        return True

    def reset_by_runtime(self, frame: bytes) -> bool:
        """The runtime agrees."""
        self.lost()
        return True

    def lost(self) -> None:
        """Nobody needs this any more."""
        self.link.watchers.pop(self.stream, None)
