"""Our small server, asked by grpcio's client and by peers that misbehave."""

import asyncio
import contextlib
import socket
from pathlib import Path

import grpc
import grpc.aio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_resmgr.wire import accepting, frames, server, sockets
from cri_resmgr.wire import grpc as codes
from cri_resmgr.wire.client import CallError, Client, request_fields
from cri_resmgr.wire.frames import DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PREFACE, RST_STREAM, frame
from cri_resmgr.wire.hpack import encode
from cri_resmgr.wire.server import Server, Status

DEADLINE_S = 60.0
MIB = 1 << 20
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
ECHO, REFUSE, BREAK, WAIT = "/s/Echo", "/s/Refuse", "/s/Break", "/s/Wait"


class Service:
    """The handlers; `release` lets those that wait go on."""

    def __init__(self) -> None:
        self.release, self.waiting, self.cancelled = asyncio.Event(), 0, 0
        self.failed: list[tuple[str, Exception]] = []
        self.handlers: dict[str, server.Handler] = {
            ECHO: self._echo,
            REFUSE: self._refuse,
            BREAK: self._break,
            WAIT: self._wait,
        }

    async def _echo(self, message: bytes) -> bytes:
        return message

    async def _refuse(self, message: bytes) -> bytes:
        raise Status(codes.FAILED_PRECONDITION, message.decode())

    async def _break(self, message: bytes) -> bytes:
        raise ValueError(message.decode())

    async def _wait(self, message: bytes) -> bytes:
        self.waiting += 1
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return message


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "s"


@pytest.fixture(name="service")
async def _service(path):
    made = Service()
    running = Server(made.handlers, failed=lambda method, error: made.failed.append((method, error)))
    await running.start(sockets.bind(path, mode=0o660, backlog=16))
    yield made
    await running.close()


@pytest.fixture(name="channel")
async def _channel(path):
    async with grpc.aio.insecure_channel(f"unix:{path}", options=OPTIONS) as made:
        yield made


async def ask(channel: grpc.aio.Channel, method: str, message: bytes = b"") -> bytes:
    return await channel.unary_unary(method)(message, timeout=DEADLINE_S, wait_for_ready=True)


async def refused(channel: grpc.aio.Channel, method: str, message: bytes = b"") -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await ask(channel, method, message)
    return caught.value.code(), caught.value.details()


async def until(condition) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.002)


# ---- a client as it should be


@pytest.mark.parametrize("size", [0, 1, 16384, 65535, 65536, 200_000, MIB, accepting.MAX_MESSAGE_BYTES])
async def test_requests_and_replies_of_every_size_pass(service, channel, size):
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert await ask(channel, ECHO, message) == message


async def test_one_byte_more_than_the_limit_is_refused_and_the_connection_goes_on(service, channel):
    code, text = await refused(channel, ECHO, bytes(accepting.MAX_MESSAGE_BYTES + 1))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert str(accepting.MAX_MESSAGE_BYTES) in text
    assert await ask(channel, ECHO, b"on") == b"on"


async def test_a_handlers_refusal_comes_with_its_code_and_text(service, channel):
    assert await refused(channel, REFUSE, "nö".encode()) == (grpc.StatusCode.FAILED_PRECONDITION, "nö")
    assert service.failed == []


async def test_a_handler_that_breaks_is_reported_and_tells_the_client_nothing_of_it(service, channel):
    code, text = await refused(channel, BREAK, b"secret")
    assert code is grpc.StatusCode.INTERNAL
    assert "secret" not in text
    assert [(method, str(error)) for method, error in service.failed] == [(BREAK, "secret")]
    assert await ask(channel, ECHO, b"on") == b"on"


async def test_a_method_that_is_not_there_is_unimplemented(service, channel):
    code, text = await refused(channel, "/s/Other")
    assert code is grpc.StatusCode.UNIMPLEMENTED
    assert "/s/Other" in text


async def test_a_call_that_the_client_gives_up_is_cancelled(service, channel):
    call = asyncio.ensure_future(ask(channel, WAIT))
    await until(lambda: service.waiting)
    call.cancel()
    await until(lambda: service.cancelled)
    assert await ask(channel, ECHO, b"on") == b"on"


async def test_a_client_that_goes_away_cancels_its_calls(service, path):
    client = Client(str(path))
    call = asyncio.ensure_future(client.call(WAIT, b"", deadline_s=DEADLINE_S))
    await until(lambda: service.waiting)
    client.close()
    await until(lambda: service.cancelled)
    with pytest.raises(CallError):
        await call


async def test_more_calls_than_are_served_at_once_wait_for_their_turn(service, channel):
    calls = [asyncio.ensure_future(ask(channel, WAIT, b"%d" % n)) for n in range(3 * accepting.MAX_STREAMS)]
    await until(lambda: service.waiting == accepting.MAX_STREAMS)
    service.release.set()
    assert await asyncio.gather(*calls) == [b"%d" % n for n in range(3 * accepting.MAX_STREAMS)]


async def test_slow_calls_do_not_hold_up_others(service, channel):
    call = asyncio.ensure_future(ask(channel, WAIT))
    await until(lambda: service.waiting)
    assert await ask(channel, ECHO, b"fast") == b"fast"
    service.release.set()
    await call


async def test_connections_beyond_the_limit_are_closed_and_a_free_place_is_taken_again(service, path):
    with contextlib.ExitStack() as open_ones:
        for _ in range(server.MAX_CONNECTIONS):
            peer = open_ones.enter_context(Raw(path))
            assert await asyncio.to_thread(peer.first_frames, 2)
        with Raw(path) as turned_away:
            assert await asyncio.to_thread(turned_away.rest) == b""
    client = Client(str(path))
    await until_answered(client)
    client.close()


async def test_closing_ends_calls_and_connections(path):
    service = Service()
    running = Server(service.handlers, failed=lambda *_: None)
    await running.start(sockets.bind(path, mode=0o660, backlog=16))
    client = Client(str(path))
    call = asyncio.ensure_future(client.call(WAIT, b"", deadline_s=DEADLINE_S))
    await until(lambda: service.waiting)
    await running.close()
    assert service.cancelled == 1
    with pytest.raises(CallError):
        await call


# ---- peers that misbehave


class Raw:
    """A socket that says what the test wants; its methods block."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> "Raw":
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(DEADLINE_S)
        self._socket.connect(str(self._path))
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def first_frames(self, count: int) -> list[tuple[int, int, int, bytes]]:
        """Kind, flags, stream and payload of the next frames."""
        found = []
        for _ in range(count):
            high, low, kind, flags, stream = frames.HEADER.unpack(self._exactly(frames.HEADER_SIZE))
            found.append((kind, flags, stream, self._exactly(high << 16 | low)))
        return found

    def until_frame(self, wanted: int, stream: int = 0) -> tuple[int, int, int, bytes]:
        while True:
            found = self.first_frames(1)[0]
            if found[0] == wanted and found[2] == stream:
                return found

    def rest(self) -> bytes:
        """Everything until the server closes."""
        said = b""
        with contextlib.suppress(ConnectionResetError):
            while chunk := self._socket.recv(1 << 16):
                said += chunk
        return said

    def _exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            chunk = self._socket.recv(size - len(found))
            if not chunk:
                raise EOFError
            found += chunk
        return found


def opened(stream: int, method: str = ECHO, *, end: bool = False) -> bytes:
    return frames.header_frames(stream, encode(request_fields(method, timeout_s=DEADLINE_S)), end_stream=end)


def body(stream: int, data: bytes, flags: int = END_STREAM) -> bytes:
    return frame(DATA, flags, stream, data)


async def until_answered(client: Client) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while True:
            with contextlib.suppress(CallError):
                if await client.call(ECHO, b"on", deadline_s=DEADLINE_S) == b"on":
                    return
            await asyncio.sleep(0.002)


@pytest.mark.parametrize(
    "said",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        PREFACE + frames.HEADER.pack(0, frames.CHUNK + 1, DATA, 0, 1),
        PREFACE + frame(DATA, 0, 1, b"x"),
        PREFACE + frame(DATA, 0, 0, b"x"),
        PREFACE + opened(2),
        PREFACE + frame(HEADERS, END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff"),
        PREFACE + frame(HEADERS, 0, 1, b"") + frame(DATA, 0, 1, b""),
        PREFACE + frame(frames.CONTINUATION, END_HEADERS, 1, b""),
        PREFACE + frame(HEADERS, 0, 1, b"") + 5 * frame(frames.CONTINUATION, 0, 1, bytes(frames.CHUNK)),
        PREFACE + opened(1, WAIT) + body(1, codes.prefixed(b"")) + body(1, b"more"),
        PREFACE + frame(frames.SETTINGS, 0, 0, b"xx"),
        PREFACE + frame(frames.SETTINGS, 0, 0, frames.SETTING.pack(4, 1 << 31)),
        PREFACE + frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)),
    ],
)
async def test_a_peer_that_breaks_the_rules_loses_its_connection_and_nobody_else_does(service, path, channel, said):
    call = asyncio.ensure_future(ask(channel, WAIT, b"patient"))
    await until(lambda: service.waiting)
    with Raw(path) as peer:
        peer.send(said)
        answered = await asyncio.to_thread(peer.rest)
    assert frames.HEADER.pack(0, 8, GOAWAY, 0, 0) in answered
    service.release.set()
    assert await call == b"patient"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (opened(1, end=True), codes.INTERNAL),
        (opened(1) + body(1, b""), codes.INTERNAL),
        (opened(1) + body(1, codes.prefixed(b"abc")[:-1]), codes.INTERNAL),
        (opened(1) + body(1, codes.prefixed(b"abc") + b"d", 0), codes.INTERNAL),
        (opened(1) + body(1, codes.prefixed(b"abc") + codes.prefixed(b"")), codes.INTERNAL),
        (opened(1) + body(1, codes.PREFIX.pack(1, 0)), codes.UNIMPLEMENTED),
        (opened(1) + body(1, codes.PREFIX.pack(0, accepting.MAX_MESSAGE_BYTES + 1), 0), codes.RESOURCE_EXHAUSTED),
    ],
)
async def test_a_call_without_exactly_one_message_ends_alone(service, path, said, code):
    with Raw(path) as peer:
        peer.send(PREFACE + said)
        _, flags, _, block = await asyncio.to_thread(peer.until_frame, HEADERS, 1)
        assert flags & END_STREAM
        assert b"grpc-status" in block
        assert b"\x02%d" % code in block or b"\x01%d" % code in block
        peer.send(opened(3) + body(3, codes.prefixed(b"fine")))
        assert (await asyncio.to_thread(peer.until_frame, DATA, 3))[3] == codes.prefixed(b"fine")


async def test_what_is_no_grpc_gets_the_http_status_for_that(service, path):
    with Raw(path) as peer:
        fields = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"x")]
        peer.send(PREFACE + frames.header_frames(1, encode(fields), end_stream=True))
        _, flags, _, block = await asyncio.to_thread(peer.until_frame, HEADERS, 1)
    assert flags & END_STREAM
    assert b"415" in block


async def test_streams_beyond_the_announced_number_are_refused_one_by_one(service, path):
    with Raw(path) as peer:
        waiting = b"".join(
            opened(2 * n + 1, WAIT) + body(2 * n + 1, codes.prefixed(b"")) for n in range(accepting.MAX_STREAMS)
        )
        peer.send(PREFACE + waiting + opened(101))
        reset = await asyncio.to_thread(peer.until_frame, RST_STREAM, 101)
        assert reset[3] == frames.U32.pack(accepting.REFUSED_STREAM)
        service.release.set()
        assert (await asyncio.to_thread(peer.until_frame, DATA, 1))[3] == codes.prefixed(b"")


async def test_padding_costs_a_peer_nothing_of_what_it_may_send(service, path):
    padded = frame(DATA, frames.PADDED, 1, b"\x03" + codes.prefixed(b"ab")[:6] + bytes(3))
    with Raw(path) as peer:
        peer.send(PREFACE + opened(1) + padded + body(1, b"b"))
        grown = await asyncio.to_thread(peer.until_frame, frames.WINDOW_UPDATE, 1)
        assert grown[3] == frames.U32.pack(4)
        assert (await asyncio.to_thread(peer.until_frame, DATA, 1))[3] == codes.prefixed(b"ab")


async def test_a_client_that_grants_little_gets_the_reply_as_it_grants_more(service, path):
    small = frame(frames.SETTINGS, 0, 0, frames.SETTING.pack(frames.SETTINGS_INITIAL_WINDOW_SIZE, 4))
    with Raw(path) as peer:
        peer.send(PREFACE + small + opened(1) + body(1, codes.prefixed(b"abcdef")))
        assert (await asyncio.to_thread(peer.until_frame, DATA, 1))[3] == codes.prefixed(b"abcdef")[:4]
        peer.send(frames.window_update(1, 100))
        assert (await asyncio.to_thread(peer.until_frame, DATA, 1))[3] == codes.prefixed(b"abcdef")[4:]
        assert (await asyncio.to_thread(peer.until_frame, HEADERS, 1))[1] & END_STREAM


async def test_pings_are_answered(service, path):
    with Raw(path) as peer:
        peer.send(PREFACE + frame(frames.PING, 0, 0, b"12345678"))
        assert (await asyncio.to_thread(peer.until_frame, frames.PING))[1:] == (frames.ACK, 0, b"12345678")


# ---- without a socket


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_it_does_not_matter_how_bytes_are_cut_and_what_is_asked_is_what_was_sent(data):
    messages = data.draw(st.lists(st.binary(max_size=300), max_size=accepting.MAX_STREAMS))
    said = PREFACE + frame(frames.SETTINGS, 0, 0)
    for n, message in enumerate(messages):
        whole, cut = codes.prefixed(message), data.draw(st.integers(0, len(message)))
        said += opened(2 * n + 1) + body(2 * n + 1, whole[:cut], 0) + body(2 * n + 1, whole[cut:])
    asked: list[bytes] = []
    connection = accepting.Connection([ECHO], asked=lambda _s, _m, got: asked.append(got), dropped=lambda _: None)
    at = 0
    while at < len(said):
        size = data.draw(st.integers(1, len(said) - at))
        connection.feed(said[at : at + size])
        at += size
    assert asked == messages


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 255), st.integers(0, 9), st.binary(max_size=40))))
def test_frames_of_any_kind_are_handled_or_end_the_connection(said):
    connection = accepting.Connection([ECHO], asked=lambda *_: None, dropped=lambda _: None)
    connection.feed(PREFACE)
    with contextlib.suppress(frames.ProtocolError):
        for kind, flags, stream, payload in said:
            connection.feed(frame(kind, flags, stream, payload))
    connection.lost()
