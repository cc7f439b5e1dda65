"""A strict HTTP/2 endpoint without a socket, sending and taking gRPC-shaped streams.

The h2 package raises when the other side oversteps a window, a stream state or a header table; a test that gets to its
end has been checked for that at every frame.
"""

import random
from collections import defaultdict
from dataclasses import dataclass, field

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    RequestReceived,
    ResponseReceived,
    SettingsAcknowledged,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import StreamClosedError
from h2.settings import SettingCodes

from cri_resmgr.wire.grpc import PREFIX_SIZE

Fields = list[tuple[bytes, bytes]]
MAX_PADDING = 40


@dataclass
class Outgoing:
    """What a stream has still to send."""

    data: bytes
    trailers: Fields | None


@dataclass
class Incoming:
    """What has come on a stream."""

    headers: dict[bytes, bytes] = field(default_factory=dict)
    trailers: dict[bytes, bytes] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None

    @property
    def message(self) -> bytes:
        return bytes(self.body[PREFIX_SIZE:])

    @property
    def status(self) -> int:
        """The gRPC status; -1 while there is none."""
        return int((self.headers | self.trailers).get(b"grpc-status", b"-1"))

    @property
    def whole(self) -> bool:
        """Nothing, or exactly one message whose length is what its prefix says."""
        return not self.body or int.from_bytes(self.body[1:PREFIX_SIZE], "big") == len(self.body) - PREFIX_SIZE


class Peer:
    """One end.  `dice` decides about padding."""

    def __init__(self, *, client: bool, dice: random.Random) -> None:
        self.h2 = H2Connection(H2Configuration(client_side=client, header_encoding=None))
        self.h2.initiate_connection()
        self.dice = dice
        self.padding = True
        self._table_announced = False
        self.acknowledged = False  # whether the other side has taken our last SETTINGS
        self.reading = True  # else: takes the bytes, but gives no window
        self.incoming: defaultdict[int, Incoming] = defaultdict(Incoming)
        self.terminated: int | None = None
        self._outgoing: dict[int, Outgoing] = {}
        self._owed: list[tuple[int, int]] = []

    @property
    def sending(self) -> bool:
        return bool(self._outgoing)

    def open(self, fields: Fields, body: bytes | None) -> int:
        """Begin a stream; without a body only its headers go."""
        stream = self.h2.get_next_available_stream_id()
        self.h2.send_headers(stream, fields)
        if body is not None:
            self._outgoing[stream] = Outgoing(body, None)
        return stream

    def send(self, stream: int, data: bytes, trailers: Fields | None = None) -> None:
        """DATA as the windows allow; the stream ends with trailers or with the last DATA."""
        self._outgoing[stream] = Outgoing(data, trailers)

    def answer(self, stream: int, headers: Fields, body: bytes, trailers: Fields) -> None:
        self.h2.send_headers(stream, headers)
        self.send(stream, body, trailers)

    def status_only(self, stream: int, fields: Fields) -> None:
        self.h2.send_headers(stream, fields, end_stream=True)

    def reset(self, stream: int, code: int = 8) -> bool:
        """Give up a stream, unless it is over."""
        self._outgoing.pop(stream, None)
        try:
            self.h2.reset_stream(stream, code)
        except StreamClosedError:
            return False
        return True

    def announce(self, *, window: int | None = None, table: int | None = None) -> None:
        assert self.acknowledged, "h2 lets all that is under way count at the first acknowledgement"
        if self._table_announced:
            table = None  # the hpack package gets a second size update between two blocks wrong
        self._table_announced = self._table_announced or table is not None
        self.acknowledged = False
        settings = {SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.HEADER_TABLE_SIZE: table}
        self.h2.update_settings({code: value for code, value in settings.items() if value is not None})

    def output(self) -> bytes:
        for stream, left in list(self._outgoing.items()):
            self._push(stream, left)
        return self.h2.data_to_send()

    def receive(self, data: bytes) -> list[Event]:
        events = self.h2.receive_data(data)
        for event in events:
            self._note(event)
        return events

    def grant(self) -> None:
        """Give back the window of what has come."""
        if self.reading:
            for size, stream in self._owed:
                self.h2.acknowledge_received_data(size, stream)
            self._owed.clear()
            self._lift()

    def _lift(self) -> None:
        """h2 gives nothing back to a stream whose window a smaller initial window has made negative: it would stall."""
        for stream, state in self.h2.streams.items():
            window = state.inbound_flow_control_window
            if window < 0 and state.open and not self.incoming[stream].ended:
                self.h2.increment_flow_control_window(self.h2.local_settings.initial_window_size - window, stream)

    def _push(self, stream: int, left: Outgoing) -> None:
        while left.data:
            window = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
            size = min(window, len(left.data))
            if size <= 0:
                return
            pad = self._pad(window - size)
            last = size == len(left.data) and left.trailers is None
            self.h2.send_data(stream, left.data[:size], end_stream=last, pad_length=pad)
            left.data = left.data[size:]
        if left.trailers is not None:
            self.h2.send_headers(stream, left.trailers, end_stream=True)
        del self._outgoing[stream]

    def _pad(self, room: int) -> int | None:
        if not self.padding or room < 1 or self.dice.random() < 0.5:
            return None
        return self.dice.randint(0, min(room - 1, MAX_PADDING))

    def _note(self, event: Event) -> None:
        if isinstance(event, ConnectionTerminated):
            self.terminated = int(event.error_code or 0)
            return
        if isinstance(event, SettingsAcknowledged):
            self.acknowledged = True
        stream = getattr(event, "stream_id", None)
        if not stream:
            return
        incoming = self.incoming[stream]
        if isinstance(event, RequestReceived | ResponseReceived):
            incoming.headers = dict(event.headers)
        elif isinstance(event, TrailersReceived):
            incoming.trailers = dict(event.headers)
        elif isinstance(event, DataReceived):
            incoming.body += event.data
            if event.flow_controlled_length:
                self._owed.append((event.flow_controlled_length, stream))
        elif isinstance(event, StreamEnded):
            incoming.ended = True
            # As gRPC clients do: an answer ends the call, whatever of the request is left.
            if self.h2.config.client_side and self._outgoing.pop(stream, None):
                self.reset(stream, ErrorCodes.CANCEL)
        elif isinstance(event, StreamReset):
            incoming.reset = int(event.error_code or 0)
            self._outgoing.pop(stream, None)
