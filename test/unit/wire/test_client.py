"""Our own calls to the runtime, against grpcio's servers and against servers that misbehave."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from cri_resmgr.wire import frames
from cri_resmgr.wire import grpc as codes
from cri_resmgr.wire.client import CallError, Client
from cri_resmgr.wire.hpack import encode

DEADLINE_S = 60.0
NO_PATIENCE_S = 0.05
MIB = 1 << 20
LIMITS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
Answer = Callable[[bytes, grpc.ServicerContext], bytes]


class Service(grpc.GenericRpcHandler):
    """Methods by their paths; `release` lets `/wait` go on."""

    def __init__(self) -> None:
        self.release, self.begun, self.cancelled = threading.Event(), threading.Event(), threading.Event()
        self.methods: dict[str, Answer] = {
            "/echo": lambda request, _context: request,
            "/size": lambda request, _context: bytes(int(request)),
            "/refuse": self._refuse,
            "/wait": self._wait,
            "/metadata": self._metadata,
        }

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
        answer = self.methods.get(details.method)
        return answer and grpc.unary_unary_rpc_method_handler(answer)

    def _wait(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        context.add_callback(lambda: None if self.release.is_set() else self.cancelled.set())
        self.begun.set()
        self.release.wait(DEADLINE_S)
        return request

    @staticmethod
    def _refuse(request: bytes, context: grpc.ServicerContext) -> bytes:
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, request.decode())

    @staticmethod
    def _metadata(_request: bytes, context: grpc.ServicerContext) -> bytes:
        context.send_initial_metadata([(f"x-{n}", "v" * 1000) for n in range(6)])
        context.set_trailing_metadata([("x-large", "t" * 5000)])
        return b"fine"


@contextlib.contextmanager
def serving(path: Path, service: Service) -> Iterator[grpc.Server]:
    with ThreadPoolExecutor(64) as pool:
        server = grpc.server(pool, handlers=[service], options=[*LIMITS, ("grpc.max_metadata_size", 1 << 20)])
        server.add_insecure_port(f"unix:{path}")
        server.start()
        try:
            yield server
        finally:
            service.release.set()
            server.stop(None).wait()


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "s"


@pytest.fixture(name="service")
def _service():
    return Service()


@pytest.fixture(name="server")
def _server(path, service):
    with serving(path, service) as running:
        yield running


@pytest.fixture(name="client")
async def _client(path):
    made = Client(str(path))
    yield made
    made.close()
    await asyncio.sleep(0)


async def call(client: Client, method: str, message: bytes = b"", deadline_s: float = DEADLINE_S) -> bytes:
    return await client.call(method, message, deadline_s=deadline_s)


async def failed(client: Client, method: str, message: bytes = b"", deadline_s: float = DEADLINE_S) -> CallError:
    with pytest.raises(CallError) as caught:
        await client.call(method, message, deadline_s=deadline_s)
    return caught.value


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.005)


# ---- a server as it should be


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 65535, 65536, 200_000, 5 * MIB])
async def test_requests_and_replies_of_every_size_pass(server, client, size):
    message = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert await call(client, "/echo", message) == message


async def test_a_reply_of_20_mib_passes(server, client):
    assert len(await call(client, "/size", b"%d" % (20 * MIB))) == 20 * MIB


async def test_a_reply_beyond_the_limit_is_refused_and_the_connection_goes_on(server, client):
    error = await failed(client, "/size", b"%d" % (65 * MIB))
    assert error.code == codes.RESOURCE_EXHAUSTED
    assert "larger than" in error.text
    assert await call(client, "/echo", b"on") == b"on"


async def test_many_calls_at_once_get_each_its_own_answer_over_one_connection(server, client):
    messages = [b"%d" % number * 500 for number in range(300)]
    assert await asyncio.gather(*(call(client, "/echo", message) for message in messages)) == messages
    assert client._socket is not None
    assert client._socket.connection._next_stream == 601


async def test_large_requests_at_once_share_the_connections_window(server, client):
    messages = [bytes([number]) * 300_000 for number in range(12)]
    assert await asyncio.gather(*(call(client, "/echo", message) for message in messages)) == messages


@pytest.mark.parametrize("text", ["the container is not there", "50 % of \u20ac 1\nis gone", ""])
async def test_an_error_has_the_servers_code_and_words(server, client, text):
    error = await failed(client, "/refuse", text.encode())
    assert (error.code, error.text) == (codes.FAILED_PRECONDITION, text)
    assert "/refuse" in str(error)


async def test_an_unknown_method_is_unimplemented(server, client):
    assert (await failed(client, "/nobody")).code == codes.UNIMPLEMENTED


async def test_large_headers_and_trailers_are_read(server, client):
    for _ in range(3):
        assert await call(client, "/metadata") == b"fine"


async def test_a_deadline_ends_the_call_here_and_at_the_server(server, service, client):
    error = await failed(client, "/wait", deadline_s=NO_PATIENCE_S)
    assert error.code == codes.DEADLINE_EXCEEDED
    await until(service.cancelled.is_set)
    service.release.set()
    assert await call(client, "/echo", b"on") == b"on"


async def test_a_call_that_is_given_up_is_cancelled_at_the_server(server, service, client):
    task = asyncio.create_task(call(client, "/wait"))
    await until(service.begun.is_set)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(service.cancelled.is_set)
    service.release.set()
    assert await call(client, "/echo", b"on") == b"on"
    assert not client._socket.connection._calls


async def test_a_slow_call_does_not_hold_up_others(server, service, client):
    slow = asyncio.create_task(call(client, "/wait", b"slow"))
    await until(service.begun.is_set)
    assert await call(client, "/echo", b"quick") == b"quick"
    assert not slow.done()
    service.release.set()
    assert await slow == b"slow"


# ---- servers come and go


async def test_without_a_server_it_is_unavailable(client, path):
    error = await failed(client, "/echo")
    assert error.code == codes.UNAVAILABLE
    assert f"cannot connect to {path}" in error.text


async def test_a_server_that_comes_later_is_found(client, path, service):
    await failed(client, "/echo")
    with serving(path, service):
        assert await call(client, "/echo", b"there") == b"there"


async def test_a_server_that_says_goodbye_finishes_what_it_knows_and_its_successor_gets_the_rest(path, service, client):
    with serving(path, service) as old:
        under_way = asyncio.create_task(call(client, "/wait", b"old"))
        await until(service.begun.is_set)
        first = client._socket
        stopped = old.stop(DEADLINE_S)
        await until(lambda: not first.connection.usable)
        path.unlink(missing_ok=True)
        with serving(path, Service()):
            assert await call(client, "/echo", b"new") == b"new"
            assert client._socket is not first
            service.release.set()
            assert await under_way == b"old"
        stopped.wait()


async def test_a_server_that_dies_ends_its_calls_and_the_next_one_is_found(path, service, client):
    with serving(path, service) as server:
        under_way = asyncio.create_task(failed(client, "/wait"))
        await until(service.begun.is_set)
        server.stop(0)
        assert (await under_way).code in {codes.UNAVAILABLE, codes.CANCELLED}
    with serving(path, Service()):
        assert await call(client, "/echo", b"again") == b"again"


async def test_calls_that_begin_together_make_one_connection(path, service):
    client = Client(str(path))
    with serving(path, service):
        await asyncio.gather(*(call(client, "/echo", b"x") for _ in range(20)))
        assert client._socket.connection._next_stream == 41
        client.close()
        await asyncio.sleep(0)


# ---- servers that misbehave


@contextlib.contextmanager
def odd_server(path: Path, said: bytes, *, stays: bool = True) -> Iterator[None]:
    """Says something to whoever connects, and closes unless it `stays`."""
    stop = threading.Event()

    def serve(listening: socket.socket) -> None:
        connections = []
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                connection, _ = listening.accept()
                connection.sendall(said)
                connections.append(connection)
                if not stays:
                    time.sleep(0.01)
                    connections.pop().close()
        for connection in connections:
            connection.close()

    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        listening.settimeout(0.05)
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


SETTINGS = frames.frame(frames.SETTINGS, 0, 0)


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" * 4096,
        SETTINGS + frames.frame(frames.SETTINGS, 0, 0, b"odd"),
        SETTINGS + frames.frame(frames.WINDOW_UPDATE, 0, 0, bytes(4)),
        SETTINGS + frames.frame(frames.HEADERS, frames.END_HEADERS, 1, b"\xff\xff\xff\xff\xff\xff\xff\xff"),
        SETTINGS + frames.frame(frames.HEADERS, 0, 1) + frames.frame(frames.PING, 0, 0, bytes(8)),
        SETTINGS + frames.frame(frames.CONTINUATION, 0, 1),
        SETTINGS + frames.frame(frames.DATA, frames.PADDED, 1, b"\x09a"),
        SETTINGS + frames.HEADER.pack(1, 0, frames.DATA, 0, 1),
    ],
    ids=["http1", "noise", "settings", "window", "hpack", "interrupted", "continuation", "padding", "too-large"],
)
async def test_a_server_that_does_not_speak_http2_is_told_apart_from_one_that_is_away(path, client, said):
    with odd_server(path, said):
        error = await failed(client, "/echo")
    assert error.code == codes.INTERNAL
    assert "not HTTP/2" in error.text


ANSWER = SETTINGS + frames.header_frames(1, encode([(b":status", b"200")]), end_stream=False)
TRAILERS = frames.header_frames(1, encode([(b"grpc-status", b"0")]), end_stream=True)


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (ANSWER + TRAILERS, codes.INTERNAL),
        (ANSWER + frames.frame(frames.DATA, 0, 1, b"\0\0\0\0\x05abc") + TRAILERS, codes.INTERNAL),
        (ANSWER + frames.frame(frames.DATA, 0, 1, b"\x01\0\0\0\x01z") + TRAILERS, codes.UNIMPLEMENTED),
    ],
    ids=["no-message", "half-a-message", "compressed"],
)
async def test_a_good_status_without_a_message_is_an_error(path, client, said, code):
    with odd_server(path, said):
        assert (await failed(client, "/echo")).code == code


async def test_a_server_that_closes_at_once_is_unavailable(path, client):
    with odd_server(path, b"", stays=False):
        for _ in range(3):
            assert (await failed(client, "/echo")).code == codes.UNAVAILABLE


async def test_a_server_that_says_nothing_costs_the_deadline_and_no_more(path, client):
    with odd_server(path, b""):
        error = await failed(client, "/echo", deadline_s=NO_PATIENCE_S)
    assert error.code == codes.DEADLINE_EXCEEDED
    assert str(path) in error.text


@pytest.mark.parametrize("size", [1000, 100_000])
async def test_a_server_that_grants_no_window_costs_the_deadline_and_no_more(path, client, size):
    no_window = frames.SETTING.pack(frames.SETTINGS_INITIAL_WINDOW_SIZE, 0)
    with odd_server(path, frames.frame(frames.SETTINGS, 0, 0, no_window)):
        await failed(client, "/echo", deadline_s=NO_PATIENCE_S)
        assert (await failed(client, "/echo", bytes(size), deadline_s=NO_PATIENCE_S)).code == codes.DEADLINE_EXCEEDED
        assert not client._socket.connection._calls
