"""Who watches a stream: nobody, for nearly all of them; else a call that is held, dead or tapped."""

from typing import Protocol

from cri_resmgr.relay.flow import Side
from cri_resmgr.relay.reply_headers import Rewritten


class Watcher(Protocol):
    """Somebody who sees the frames of a stream.

    Each method says whether it has dealt with them (True) or only looked (False: relay them as they are).
    """

    def request_data(self, data: bytes, size: int, *, end: bool) -> bool:
        """DATA of the client; `size` counts padding, `data` has none."""

    def reply_headers(self, again: Rewritten, *, end: bool) -> bool:
        """Headers or, at the end, trailers of the runtime."""

    def reply_data(self, data: bytes, size: int, *, end: bool) -> bool:
        """DATA of the runtime."""

    def granted(self, side: Side, size: int) -> bool:
        """A WINDOW_UPDATE of the peer `side` for this stream."""

    def resized(self, side: Side, change: int) -> None:
        """The initial window of a peer's streams has changed."""

    def reset_by_client(self) -> bool:
        """The client has given up."""

    def reset_by_runtime(self, frame: bytes) -> bool:
        """The runtime has ended the stream abruptly."""

    def lost(self) -> None:
        """One of the connections is gone."""
