"""Flow control of one side of a link, where we swallow some of what one peer sends and add to it of our own.

For DATA sent *to* this side's peer we keep its connection window and one signed number:

    lead = the window that the other peer believes to have towards this side, minus `window`

    relayed DATA, n bytes             window -= n
    DATA swallowed, n bytes           lead -= n; at -RETURN_AT it is given back to its sender
    DATA of our own, n bytes          window -= n, lead += n
    this peer grows its window by i   window += i; i - lead goes on to the other peer, if positive

Small intercepted calls thus cost no extra frame: only the difference between what was swallowed and what was sent
is settled, out of the peer's next WINDOW_UPDATE.  At rest `sender's window - our window == lead`; tests assert it.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice

from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import CHUNK, DATA, END_STREAM, ProtocolError, frame, window_update

RETURN_AT = 16384
UNBOUNDED = 1 << 62
MAX_UNACKNOWLEDGED = 100  # SETTINGS that a peer may have under way


class Waiting:
    """What one stream has to send and may not yet: DATA, and the frames that follow it."""

    __slots__ = ("data", "end", "own", "trailers", "window")

    def __init__(self, *, own: bool, window: int) -> None:
        self.data = bytearray()
        self.own = own  # made by us and ours to account for; else relayed, and its sender has paid
        self.window = window
        self.end = False
        self.trailers = b""


class Side:
    """One of the two peers: what it lets us send, and what is on its way to it in `out`."""

    def __init__(self) -> None:
        self.other: Side = self
        self.out: list[bytes] = []
        self.window = frames.DEFAULT_WINDOW
        self.initial = frames.DEFAULT_WINDOW  # of a new stream
        self.lead = 0
        self.fed = False  # it got DATA that the other peer did not send just now, see `Requests`
        self.greeted = False  # this peer has sent its first SETTINGS
        self.max_frame = CHUNK  # what this peer may be sent
        self.waiting: dict[int, Waiting] = {}
        self.own_bytes = self.relayed_bytes = 0  # of DATA in `waiting`
        self.resized: Callable[[int], None] = lambda _change: None  # for windows that others keep count of
        self._announced: deque[list[tuple[int, int]]] = deque()  # this peer's SETTINGS until acknowledged
        self._acknowledgements: list[bytes] = []  # of the oldest of them, not passed on yet

    def swallow(self, size: int) -> None:
        """The other peer sent this much for us, and it will not be relayed as it is."""
        self.lead -= size
        if self.lead <= -RETURN_AT:
            self.other.out.append(window_update(0, -self.lead))
            self.lead = 0

    def grow(self, size: int) -> None:
        """This peer gave connection window: it covers what we spent ourselves, the rest is for the other peer."""
        self.window += size
        if self.window > frames.MAX_WINDOW:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, "connection window too large")
        rest = size - self.lead
        if rest > 0:
            self.other.out.append(window_update(0, rest))
            self.lead = 0
        else:
            self.lead = -rest
        if self.waiting:
            self.pump()

    def hold(self, stream: int, data: bytes, *, end: bool) -> None:
        """Keep relayed DATA for which this peer has no window left, because we spent some of it."""
        entry = self.waiting.get(stream)
        if entry is None:
            entry = self.waiting[stream] = Waiting(own=False, window=UNBOUNDED)
        entry.data += data
        entry.end = entry.end or end
        self.relayed_bytes += len(data)
        if self.relayed_bytes > self.window + self.lead:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, "DATA beyond the connection's window")

    def send(
        self, stream: int, data: bytes | bytearray, window: int, *, end: bool = False, trailers: bytes = b""
    ) -> None:
        """Send DATA of our own making, now or as the windows allow; `trailers` are ready frames."""
        size = len(data)
        if size <= CHUNK and size <= window and size <= self.window and not self.waiting:
            self.window -= size
            self.lead += size
            self.fed = True
            self.out.append(frame(DATA, END_STREAM if end else 0, stream, data) + trailers)
            return
        entry = self.waiting[stream] = Waiting(own=True, window=window)
        entry.data += data
        entry.end, entry.trailers = end, trailers
        self.own_bytes += size
        self.pump()

    def pump(self) -> None:
        """Send what waits, a chunk of each stream in turn, so that one large message starves nobody."""
        moved = True
        while moved and self.waiting:
            moved = False
            for stream, entry in list(self.waiting.items()):
                moved = self._send_chunk(stream, entry) or moved
        self._settle()

    def _send_chunk(self, stream: int, entry: Waiting) -> bool:
        left = len(entry.data)
        size = min(left, CHUNK, self.window, entry.window)
        if size <= 0 and left:
            return False
        last = size == left
        if left or entry.end:
            self.out.append(frame(DATA, END_STREAM if last and entry.end else 0, stream, entry.data[:size]))
            self._spend(entry, size)
        del self.waiting[stream]
        if last:
            if entry.trailers:
                self.out.append(entry.trailers)
        else:
            self.waiting[stream] = entry  # behind the others, also for the window of another day
        return True

    def _spend(self, entry: Waiting, size: int) -> None:
        self.fed = True
        del entry.data[:size]
        entry.window -= size
        self.window -= size
        if entry.own:
            self.lead += size
            self.own_bytes -= size
        else:
            self.relayed_bytes -= size

    def drop(self, stream: int) -> None:
        """The stream is gone: forget what waits for it."""
        entry = self.waiting.pop(stream, None)
        if entry is None:
            return
        if entry.own:
            self.own_bytes -= len(entry.data)
        else:
            self.relayed_bytes -= len(entry.data)
            self.swallow(len(entry.data))
            self._settle()

    def announce(self, settings: list[tuple[int, int]]) -> None:
        """This peer has sent SETTINGS; the frame size counts at once, windows when the other peer acknowledges."""
        if len(self._announced) >= MAX_UNACKNOWLEDGED:
            raise ProtocolError(frames.PROTOCOL_ERROR, "too many SETTINGS without acknowledgement")
        self._announced.append(settings)
        self.greeted = True
        for key, value in settings:
            if key == frames.SETTINGS_MAX_FRAME_SIZE:
                self.max_frame = max(self.max_frame, min(value, 0xFFFFFF))

    def acknowledged(self, ready: bytes) -> None:
        """The other peer has acknowledged this peer's oldest SETTINGS in the frame `ready`."""
        if len(self._acknowledgements) == len(self._announced):
            raise ProtocolError(frames.PROTOCOL_ERROR, "unexpected SETTINGS acknowledgement")
        self._acknowledgements.append(ready)
        self._settle()

    def _settle(self) -> None:
        """Pass acknowledgements on; from then on the settings count.

        One of a smaller window must not overtake DATA that was sent under the larger one and waits here.
        """
        if not self._acknowledgements or (self.relayed_bytes and self._next_initial() < self.initial):
            return
        for ready in self._acknowledgements:
            self.out.append(ready)  # before the DATA that it releases
            for key, value in self._announced.popleft():
                if key == frames.SETTINGS_INITIAL_WINDOW_SIZE:
                    self._resize(value)
        self._acknowledgements.clear()
        self.pump()

    def _next_initial(self) -> int:
        initial = self.initial
        for settings in islice(self._announced, len(self._acknowledgements)):
            initial = dict(settings).get(frames.SETTINGS_INITIAL_WINDOW_SIZE, initial)
        return initial

    def _resize(self, initial: int) -> None:
        if initial > frames.MAX_WINDOW:
            raise ProtocolError(frames.FLOW_CONTROL_ERROR, "initial window too large")
        change, self.initial = initial - self.initial, initial
        for entry in self.waiting.values():
            if entry.own:
                entry.window += change
        self.resized(change)
