"""The client's end of HTTP/2 in bytes: a strict `h2` server on the other side, cut anywhere, windows of any size."""

import itertools
import random

import h2.config
import h2.connection
import h2.events
import h2.settings
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_resmgr.wire import frames, grpc
from cri_resmgr.wire.connection import Connection, Reply
from cri_resmgr.wire.frames import CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, ProtocolError, frame
from cri_resmgr.wire.hpack import Field, encode

HEAD = [(":status", "200"), ("content-type", "application/grpc")]
FINE = [("grpc-status", "0")]


class Server:
    """A strict server that echoes; `cut` sizes the pieces in which bytes travel."""

    def __init__(self, connection: Connection, *, cut: int = 1 << 20, window: int = 65535) -> None:
        self.connection, self._cut = connection, cut
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window})  # holds once acknowledged
        self.requests: dict[int, bytearray] = {}
        self.headers: dict[int, dict[str, str]] = {}
        self.reset: set[int] = set()
        self.unsent: dict[int, bytes] = {}

    def move(self) -> None:
        """Until nothing moves any more."""
        moved = True
        while moved:
            data = b"".join(self.connection.out)
            self.connection.out.clear()
            for at in range(0, len(data), self._cut):
                for event in self.h2.receive_data(data[at : at + self._cut]):
                    self._handle(event)
            self._send()
            answer = self.h2.data_to_send()
            for at in range(0, len(answer), self._cut):
                self.connection.feed(answer[at : at + self._cut])
            moved = bool(data or answer)

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self.requests[event.stream_id], self.headers[event.stream_id] = bytearray(), dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self.requests[event.stream_id] += event.data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamEnded):
            self.answer(event.stream_id, bytes(self.requests[event.stream_id]))
        elif isinstance(event, h2.events.StreamReset):
            self.reset.add(event.stream_id)

    def answer(self, stream: int, body: bytes) -> None:
        self.h2.send_headers(stream, HEAD)
        self.unsent[stream] = body

    def _send(self) -> None:
        for stream in list(self.unsent):
            body = self.unsent[stream]
            while body:
                size = min(len(body), self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size)
                if not size:
                    break
                self.h2.send_data(stream, body[:size])
                body = body[size:]
            self.unsent[stream] = body
            if not body:
                self.h2.send_headers(stream, FINE, end_stream=True)
                del self.unsent[stream]


Settled = tuple[int, str, bytes]


def fields_of(path: str = "/a/B", *more: Field) -> list[Field]:
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", path.encode()),
        (b":authority", b"node"),
        (b"content-type", b"application/grpc"),
        *more,
    ]


def begun(connection: Connection, message: bytes = b"") -> tuple[int, list[tuple[int, str, bytes]]]:
    """The stream of a new call, and how it ends: code, text and body."""
    replies: list[tuple[int, str, bytes]] = []
    return connection.begin(fields_of(), message, lambda r: replies.append((r.code, r.text, r.body))), replies


def head_frames(stream: int, fields=((b":status", b"200"),), *, end: bool = False, at: tuple[int, ...] = ()) -> bytes:
    """A header block, cut into CONTINUATIONs at these places."""
    block = encode(list(fields))
    places = [0, *at, len(block)]
    parts = [block[a:b] for a, b in itertools.pairwise(places)]
    out = b""
    for number, part in enumerate(parts):
        flags = (END_HEADERS if number == len(parts) - 1 else 0) | (END_STREAM if end and not number else 0)
        out += frame(CONTINUATION if number else HEADERS, flags, stream, part)
    return out


TRAILERS = ((b"grpc-status", b"0"),)


@settings(max_examples=60)
@given(
    messages=st.lists(st.integers(0, 200_000).map(bytes), min_size=1, max_size=6),
    cut=st.sampled_from([1, 7, 1000, 1 << 20]),
    window=st.sampled_from([100, 65535, 1 << 20]),
)
def test_every_message_comes_back_however_bytes_are_cut_and_windows_sized(messages, cut, window):
    if cut < 1000 or window < 1000:
        messages = [message[:3000] for message in messages]
    connection = Connection()
    server = Server(connection, cut=cut, window=window)
    replies = [begun(connection, message)[1] for message in messages]
    server.move()
    assert replies == [[(grpc.OK, "", grpc.prefixed(message))] for message in messages]
    assert not connection._calls


def test_a_strict_server_sees_the_header_fields_as_they_were_given_in_every_call():
    connection = Connection()
    server = Server(connection)
    for timeout in (b"1500m", b"2S", b"1500m"):
        stream = connection.begin(fields_of("/a/B", (b"grpc-timeout", timeout)), b"", lambda _reply: None)
        server.move()
        assert server.headers[stream] == {
            ":method": "POST",
            ":scheme": "http",
            ":path": "/a/B",
            ":authority": "node",
            "content-type": "application/grpc",
            "grpc-timeout": timeout.decode(),
        }


def test_everything_that_the_server_said_is_in_the_reply():
    connection = Connection()
    replies: list[Reply] = []
    stream = connection.begin(fields_of(), b"", replies.append)
    head, trailers = [(b":status", b"200"), (b"x-a-bin", b"AP8")], [(b"grpc-status", b"9"), (b"x-b", b"2")]
    connection.feed(head_frames(stream, head) + frame(DATA, 0, stream, b"body"))
    connection.feed(head_frames(stream, trailers, end=True))
    assert replies == [Reply(9, "", head, b"body", trailers)]


def test_a_window_that_shrinks_below_zero_is_waited_out():
    connection = Connection()
    server = Server(connection)
    server.move()
    server.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 10})
    _, replies = begun(connection, bytes(60_000))
    server.move()
    assert [code for code, _, _ in replies] == [grpc.OK]


def test_large_requests_go_out_in_turn_as_the_connection_allows():
    connection = Connection()
    connection.out.clear()
    for _ in range(3):
        begun(connection, bytes(50_000))
    sent = sum(len(part) for part in connection.out)
    assert frames.DEFAULT_WINDOW <= sent < frames.DEFAULT_WINDOW + 2000


@pytest.mark.parametrize("at", [(), (1,), (0, 0, 5), tuple(range(1, 10))])
def test_headers_may_come_in_continuations(at):
    connection = Connection()
    stream, replies = begun(connection)
    connection.feed(head_frames(stream, at=()))
    connection.feed(frame(DATA, 0, stream, grpc.prefixed(b"body")))
    trailers = ((b"grpc-status", b"0"), (b"grpc-message", b"all is well"))
    connection.feed(head_frames(stream, trailers, end=True, at=at))
    assert replies == [(grpc.OK, "all is well", grpc.prefixed(b"body"))]


def test_padding_is_not_part_of_the_message():
    connection = Connection()
    stream, replies = begun(connection)
    connection.feed(
        head_frames(stream) + frame(DATA, frames.PADDED, stream, b"\x03" + grpc.prefixed(b"body") + bytes(3))
    )
    connection.feed(head_frames(stream, TRAILERS, end=True))
    assert replies == [(grpc.OK, "", grpc.prefixed(b"body"))]


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (lambda s: head_frames(s, end=True), grpc.UNKNOWN),
        (lambda s: head_frames(s) + frame(DATA, END_STREAM, s, grpc.prefixed(b"x")), grpc.UNKNOWN),
        (lambda s: frames.reset(s, frames.CANCEL), grpc.UNAVAILABLE),
        (lambda _stream: frames.goaway(0, 0), grpc.UNAVAILABLE),
    ],
    ids=["no-status", "data-ends", "reset", "turned-away"],
)
def test_an_answer_that_is_none_ends_the_call_with_a_status(ending, code):
    connection = Connection()
    stream, replies = begun(connection)
    connection.feed(ending(stream))
    assert [code for code, _, _ in replies] == [code]
    assert not connection._calls


def test_a_status_without_a_message_is_an_error_with_its_words():
    connection = Connection()
    stream, replies = begun(connection)
    fields = ((b":status", b"200"), (b"grpc-status", b"5"), (b"grpc-message", b"no such%20thing%21"))
    connection.feed(head_frames(stream, fields, end=True))
    assert replies == [(grpc.NOT_FOUND, "no such thing!", b"")]


def test_after_goodbye_known_calls_go_on_and_no_new_ones_should_begin():
    connection = Connection()
    (first, known), (_, unknown) = begun(connection), begun(connection)
    connection.feed(frames.goaway(first, 0))
    assert not connection.usable
    assert [code for code, _, _ in unknown] == [grpc.UNAVAILABLE]
    connection.feed(
        head_frames(first) + frame(DATA, 0, first, grpc.prefixed(b"x")) + head_frames(first, TRAILERS, end=True)
    )
    assert known == [(grpc.OK, "", grpc.prefixed(b"x"))]


def test_a_cancelled_call_is_reset_once_and_what_still_comes_for_it_is_dropped():
    connection = Connection()
    stream, replies = begun(connection)
    connection.out.clear()
    connection.cancel(stream)
    connection.cancel(stream)
    assert connection.out == [frames.reset(stream, frames.CANCEL)]
    connection.feed(head_frames(stream) + frame(DATA, 0, stream, b"late") + head_frames(stream, TRAILERS, end=True))
    assert replies == []


def test_when_the_connection_is_lost_every_call_ends_once():
    connection = Connection()
    calls = [begun(connection)[1] for _ in range(3)]
    connection.lost("gone")
    connection.lost("gone again")
    assert calls == [[(grpc.UNAVAILABLE, "gone", b"")]] * 3
    assert not connection.usable


def test_pings_and_settings_are_acknowledged():
    connection = Connection()
    connection.out.clear()
    connection.feed(frame(frames.PING, 0, 0, b"12345678") + frame(frames.SETTINGS, 0, 0))
    connection.feed(frame(frames.PING, frames.ACK, 0, b"12345678") + frame(frames.SETTINGS, frames.ACK, 0))
    assert connection.out == [frame(frames.PING, frames.ACK, 0, b"12345678"), frame(frames.SETTINGS, frames.ACK, 0)]


def test_frames_of_unknown_kinds_are_ignored():
    connection = Connection()
    connection.out.clear()
    connection.feed(frame(0x42, 0xFF, 7, b"future"))
    assert connection.out == []


def test_the_window_is_topped_up_before_it_is_used_up():
    connection = Connection()
    connection.out.clear()
    connection._received = (1 << 30) - 5
    connection.feed(frame(DATA, 0, 99, b"12345"))
    assert connection.out == [frames.window_update(0, 1 << 30)]


@settings(max_examples=300)
@given(noise=st.binary(max_size=300), seed=st.integers(0, 99))
def test_whatever_a_server_says_only_a_protocol_error_comes_of_it(noise, seed):
    connection = Connection()
    stream, replies = begun(connection, b"request")
    dice = random.Random(seed)
    kind, flags = dice.randrange(11), dice.randrange(256)
    try:
        connection.feed(frame(kind, flags, dice.choice([0, stream, 3]), noise[: dice.randrange(300)]))
        connection.feed(noise)
    except ProtocolError:
        connection.lost("not HTTP/2")
    assert len(replies) <= 1
