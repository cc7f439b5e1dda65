"""Whoever watches gets short answers, and no client can cost more than its share."""

import asyncio
import http.client
import json
import os
import socket
import stat
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest
import structlog

from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.errors import BadInput
from cri_resmgr.observe import http as serving
from cri_resmgr.observe.endpoint import listen
from cri_resmgr.observe.http import Server, health

ROUTES = {
    "/metrics": lambda: (200, "text/plain; version=0.0.4", b"up 1\n"),
    "/large": lambda: (200, "application/octet-stream", bytes(8 << 20)),
    "/broken": lambda: 1 / 0,
}


class UnixConnection(http.client.HTTPConnection):
    """http.client over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(20)
        self.sock.connect(self.path)


@pytest.fixture(name="endpoint", params=["unix", "tcp", "tcp6"])
def _endpoint(request, tmp_path: Path) -> Endpoint:
    if request.param == "tcp6" and not Path("/proc/net/if_inet6").exists():
        pytest.skip("this machine has no IPv6")
    return {
        "unix": Endpoint(path=str(tmp_path / "watch.sock")),
        "tcp": Endpoint(host="127.0.0.1"),
        "tcp6": Endpoint(host="::1"),
    }[request.param]


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "watch.sock"


@asynccontextmanager
async def serving_at(endpoint: Endpoint, routes=ROUTES, **options):
    server = Server(endpoint, routes, **options)
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def connection_to(endpoint: Endpoint) -> http.client.HTTPConnection:
    if endpoint.path:
        return UnixConnection(endpoint.path)
    return http.client.HTTPConnection(endpoint.host, endpoint.port, timeout=20)


async def fetched(server: Server, path: str, method: str = "GET", body: bytes | None = None):
    def fetch():
        with closing(connection_to(server.endpoint)) as connection:
            connection.request(method, path, body)
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()

    return await asyncio.to_thread(fetch)


async def said(server: Server, request: bytes) -> bytes:
    """What the server answers to these bytes, up to the end of the connection."""
    reader, writer = await asyncio.open_unix_connection(server.endpoint.path)
    writer.write(request)
    try:
        return await asyncio.wait_for(reader.read(), 20)
    finally:
        writer.close()


async def test_a_route_answers_on_every_kind_of_endpoint(endpoint):
    async with serving_at(endpoint) as server:
        status, headers, body = await fetched(server, "/metrics")
    assert (status, body) == (200, b"up 1\n")
    assert headers == {"Content-Type": "text/plain; version=0.0.4", "Content-Length": "5", "Connection": "close"}


async def later():
    await asyncio.sleep(0)
    return ROUTES["/metrics"]()


async def broken_later():
    await asyncio.sleep(0)
    return ROUTES["/broken"]()


async def test_a_route_may_take_its_time_and_break_then(endpoint):
    async with serving_at(endpoint, {"/metrics": later, "/broken": broken_later}) as server:
        assert (await fetched(server, "/metrics"))[2] == b"up 1\n"
        assert (await fetched(server, "/broken"))[0] == 500


async def test_a_route_that_never_answers_ends_with_its_connection(path):
    async with serving_at(Endpoint(path=str(path)), {"/metrics": asyncio.Event().wait}, deadline_s=0.05) as server:
        assert await said(server, b"GET /metrics HTTP/1.1\r\n\r\n") == b""


async def test_without_a_host_it_answers_at_every_address():
    async with serving_at(Endpoint()) as server:
        for host in ("127.0.0.1", "127.9.8.7", "::1"):
            reader, writer = await asyncio.open_connection(host, server.endpoint.port)
            writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
            assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"up 1\n")
            writer.close()


async def test_a_large_answer_arrives_whole(endpoint):
    async with serving_at(endpoint) as server:
        _, _, body = await fetched(server, "/large")
    assert body == bytes(8 << 20)


async def test_a_query_does_not_change_the_route(path):
    async with serving_at(Endpoint(path=str(path))) as server:
        assert (await fetched(server, "/metrics?name=x"))[0] == 200


@pytest.mark.parametrize("target", ["/", "/metric", "/metrics/", "//metrics", "/%6detrics"])
async def test_any_other_path_is_not_found(path, target):
    async with serving_at(Endpoint(path=str(path))) as server:
        assert (await fetched(server, target))[0] == 404


@pytest.mark.parametrize("method", ["POST", "HEAD", "DELETE"])
async def test_only_get_is_allowed(path, method):
    async with serving_at(Endpoint(path=str(path))) as server:
        status, headers, _ = await fetched(server, "/metrics", method)
    assert status == 405
    assert headers["Allow"] == "GET"


async def test_a_refusal_arrives_although_the_client_still_sends(path):
    async with serving_at(Endpoint(path=str(path))) as server:
        assert (await fetched(server, "/metrics", "POST", bytes(60_000)))[0] == 405


@pytest.mark.parametrize(
    "request_line",
    [b"", b"GET", b"GET /metrics", b"GET /metrics HTTP/2.0", b"GET metrics HTTP/1.1", b"\xff / HTTP/1.1", b"A B C D"],
)
async def test_what_is_no_request_is_refused(path, request_line):
    async with serving_at(Endpoint(path=str(path))) as server:
        assert (await said(server, request_line + b"\r\n\r\n")).startswith(b"HTTP/1.1 400 Bad Request\r\n")


async def test_a_request_without_end_is_refused_at_its_limit(path):
    async with serving_at(Endpoint(path=str(path))) as server:
        answer = await said(server, b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 60_000)
    assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_route_that_fails_is_told_in_the_log_and_not_to_the_client(path):
    with structlog.testing.capture_logs() as events:
        async with serving_at(Endpoint(path=str(path))) as server:
            status, _, body = await fetched(server, "/broken")
            assert (await fetched(server, "/metrics"))[0] == 200
    assert (status, body) == (500, b"500 Internal Server Error\n")
    failures = [event for event in events if event["event"] == "http.route_failed"]
    assert [(event["path"], event["log_level"]) for event in failures] == [("/broken", "error")]


async def test_a_client_that_says_nothing_is_let_go_at_the_deadline(path):
    async with serving_at(Endpoint(path=str(path)), deadline_s=0.05) as server:
        assert await said(server, b"") == b""
        assert await said(server, b"GET /metrics HTTP/1.1\r\n") == b""
        await until_idle(server)


async def test_a_client_that_does_not_read_is_let_go_at_the_deadline(path):
    async with serving_at(Endpoint(path=str(path)), deadline_s=0.2) as server:
        with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as slow:
            slow.connect(str(path))
            slow.sendall(b"GET /large HTTP/1.1\r\n\r\n")
            before = descriptors()
            async with asyncio.timeout(20):
                while not server._connections:
                    await asyncio.sleep(0.005)
            async with asyncio.timeout(20):
                while server._connections or descriptors() > before:
                    await asyncio.sleep(0.005)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


async def until_idle(server: Server) -> None:
    async with asyncio.timeout(20):
        while server._connections:
            await asyncio.sleep(0.005)


async def test_connections_beyond_the_limit_are_turned_away_and_welcome_later(path, monkeypatch):
    monkeypatch.setattr(serving, "CONNECTIONS_LIMIT", 2)
    async with serving_at(Endpoint(path=str(path))) as server:
        idle = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
        async with asyncio.timeout(20):
            while len(server._connections) < 2:
                await asyncio.sleep(0.005)
        assert (await said(server, b"")).startswith(b"HTTP/1.1 503 ")
        for _, writer in idle:
            writer.close()
            await writer.wait_closed()
        await until_idle(server)
        assert (await fetched(server, "/metrics"))[0] == 200


async def test_closing_ends_open_connections_and_removes_the_socket(path):
    server = Server(Endpoint(path=str(path)), ROUTES)
    await server.start()
    reader, writer = await asyncio.open_unix_connection(str(path))
    async with asyncio.timeout(20):
        while not server._connections:
            await asyncio.sleep(0.005)
        await server.close()
        assert await reader.read() == b""
    writer.close()
    assert not path.exists()
    assert not list(path.parent.iterdir())
    await server.close()


def test_health_is_ok_without_reasons_and_degraded_with_some():
    reasons: list[str] = []
    answer = health(lambda: reasons)
    status, content_type, body = answer()
    assert (status, content_type, json.loads(body)) == (200, "application/json", {"status": "ok", "reasons": []})
    reasons.append("the store fails: no space left")
    status, _, body = answer()
    assert status == 503
    assert json.loads(body) == {"status": "degraded", "reasons": ["the store fails: no space left"]}


async def test_a_degraded_daemon_answers_503_over_the_wire(path):
    async with serving_at(Endpoint(path=str(path)), {"/healthz": health(lambda: ["bypassed"])}) as server:
        status, _, body = await fetched(server, "/healthz")
    assert (status, json.loads(body)["reasons"]) == (503, ["bypassed"])


# -- where it listens


async def test_the_socket_is_for_its_owner_alone(path):
    old = os.umask(0)
    try:
        async with serving_at(Endpoint(path=str(path))):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert [entry.name for entry in path.parent.iterdir()] == ["watch.sock"]
    finally:
        os.umask(old)


async def test_a_socket_that_a_dead_process_left_is_replaced(path):
    with closing(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)) as dead:
        dead.bind(str(path))
    async with serving_at(Endpoint(path=str(path))) as server:
        assert (await fetched(server, "/metrics"))[0] == 200


async def test_a_socket_in_use_is_not_taken(path):
    async with serving_at(Endpoint(path=str(path))) as server:
        with pytest.raises(BadInput, match="another program listens on"):
            listen(Endpoint(path=str(path)))
        assert (await fetched(server, "/metrics"))[0] == 200


async def test_a_successors_socket_is_left_alone_at_closing(path):
    server = Server(Endpoint(path=str(path)), ROUTES)
    await server.start()
    path.unlink()
    async with serving_at(Endpoint(path=str(path))) as successor:
        await server.close()
        assert (await fetched(successor, "/metrics"))[0] == 200


async def test_who_takes_over_is_asked_from_then_on_and_stays_when_the_other_leaves(path):
    older = Server(Endpoint(path=str(path)), {"/metrics": lambda: (200, "text/plain", b"older")})
    await older.start()
    async with serving_at(Endpoint(path=str(path)), take_over=True) as newer:
        assert (await fetched(newer, "/metrics"))[2] == b"up 1\n"
        await older.close()
        assert (await fetched(newer, "/metrics"))[2] == b"up 1\n"
    assert not path.exists()


@pytest.mark.parametrize("take_over", [False, True])
@pytest.mark.parametrize("make", [Path.mkdir, Path.touch], ids=["directory", "file"])
def test_what_is_no_socket_is_left_alone(path, make, take_over):
    make(path)
    with pytest.raises(BadInput, match=r"is (a directory|not a socket)"):
        listen(Endpoint(path=str(path)), take_over=take_over)
    assert path.exists()


@pytest.mark.parametrize("name", ["missing/watch.sock", "x" * 120], ids=["missing directory", "long name"])
def test_a_path_that_cannot_be_used_is_bad_input_and_leaves_nothing(tmp_path, name):
    with pytest.raises(BadInput, match="give another place"):
        listen(Endpoint(path=str(tmp_path / name)))
    assert not list(tmp_path.iterdir())


def test_a_port_in_use_is_bad_input():
    taken = listen(Endpoint(host="127.0.0.1"))
    with closing(taken.socket), pytest.raises(BadInput, match=f"127.0.0.1:{taken.endpoint.port}: "):
        listen(taken.endpoint)


async def test_closing_what_never_started_is_nothing(path):
    await Server(Endpoint(path=str(path)), ROUTES).close()
    assert not path.exists()
