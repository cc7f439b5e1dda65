"""A small HTTP server for those who watch the daemon: GET on a few fixed paths, one answer a connection.

It listens on a unix socket or on a localhost port, because nobody is asked who they are; in a pod on all addresses.
What a client can cost is bounded: bytes of a request, seconds of a connection, connections at a time.

A route is a function that answers at once: `() -> (status, content type, body)`; or a coroutine function that does so
soon, for its connection ends at the deadline.
"""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from http import HTTPStatus

import structlog

from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.observe.endpoint import Listener, listen

Answer = tuple[int, str, bytes]
Route = Callable[[], Answer | Awaitable[Answer]]

DEADLINE_S = 5.0
REQUEST_LIMIT_BYTES = 8 << 10
CONNECTIONS_LIMIT = 16

log = structlog.get_logger("http")


def health(reasons: Callable[[], Sequence[str]]) -> Callable[[], Answer]:
    """A route that says `ok` with status 200, or `degraded` with 503 if there are reasons to."""

    def answer() -> Answer:
        found = list(reasons())
        body = json.dumps({"status": "degraded" if found else "ok", "reasons": found})
        status = HTTPStatus.SERVICE_UNAVAILABLE if found else HTTPStatus.OK
        return status, "application/json", f"{body}\n".encode()

    return answer


class Server:
    """Answers on one endpoint from `start` to `close`; routes by path, such as `/metrics`.

    With `take_over` it replaces whoever listens on its unix socket: two of a kind that change over may overlap.
    """

    __slots__ = ("_connections", "_deadline_s", "_endpoint", "_listener", "_routes", "_server", "_take_over")

    def __init__(
        self,
        endpoint: Endpoint,
        routes: Mapping[str, Route],
        *,
        deadline_s: float = DEADLINE_S,
        take_over: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._routes = routes
        self._deadline_s = deadline_s
        self._take_over = take_over
        self._connections: set[asyncio.Task[None]] = set()
        self._listener: Listener | None = None
        self._server: asyncio.Server | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Where it listens; after `start` with the port that the system chose."""
        return self._endpoint

    async def start(self) -> None:
        """Listen; raises `BadInput` where that is not possible."""
        self._listener = listen(self._endpoint, take_over=self._take_over)
        self._endpoint = self._listener.endpoint
        start = asyncio.start_unix_server if self._endpoint.path else asyncio.start_server
        self._server = await start(self._connected, sock=self._listener.socket, limit=REQUEST_LIMIT_BYTES)
        log.info("http.listening", endpoint=str(self._endpoint))

    async def close(self) -> None:
        """Listen no more, end the connections and remove the socket's file."""
        if self._server is None or self._listener is None:
            return
        self._listener.unlink()
        self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= CONNECTIONS_LIMIT:
            writer.write(_response(_plain(HTTPStatus.SERVICE_UNAVAILABLE)))
            writer.close()
            return
        connection = asyncio.create_task(self._converse(reader, writer), name="http.connection")
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Draining means that everything has left, so a client that does not read cannot outlive the deadline.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):  # clients come and go; TimeoutError is one
                async with asyncio.timeout(self._deadline_s):
                    writer.write(_response(await self._answer(reader)))
                    await writer.drain()
                    await _let_go(reader, writer)
        finally:
            writer.transport.abort()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.LimitOverrunError:
            return _plain(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        try:
            method, target, version = head.split(b"\r\n", 1)[0].decode("ascii").split(" ")
        except ValueError:
            return _plain(HTTPStatus.BAD_REQUEST)
        if not version.startswith("HTTP/1.") or not target.startswith("/"):
            return _plain(HTTPStatus.BAD_REQUEST)
        if method != "GET":
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        path = target.partition("?")[0]
        route = self._routes.get(path)
        return _plain(HTTPStatus.NOT_FOUND) if route is None else await _called(path, route)


async def _called(path: str, route: Route) -> Answer:
    try:
        answer = route()
        return await answer if isinstance(answer, Awaitable) else answer
    except Exception:
        log.exception("http.route_failed", path=path)
        return _plain(HTTPStatus.INTERNAL_SERVER_ERROR)


async def _let_go(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    # Closing with something unread would reset the connection, perhaps before the client has read the answer.
    writer.write_eof()
    while await reader.read(REQUEST_LIMIT_BYTES):
        pass


def _plain(status: HTTPStatus) -> Answer:
    return status, "text/plain; charset=utf-8", f"{status} {status.phrase}\n".encode()


def _response(answer: Answer) -> bytes:
    status, content_type, body = answer
    lines = (
        f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *(("Allow: GET",) if status == HTTPStatus.METHOD_NOT_ALLOWED else ()),
        "Connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + body
