"""A small HTTP server for those who watch the daemon: GET on a few fixed paths, one answer a connection.

It listens on a unix socket or on a localhost port, because nobody is asked who they are; in a pod on all addresses.
What a client can cost is bounded: bytes of a request, seconds of a connection, connections at a time.

A route is a function that answers at once: `() -> (status, content type, body)`; or a coroutine function that does so
soon, for its connection ends at the deadline.  A question is a route that is told what stands behind the `?`.

What is meant for browsers says `local_names`: a site of somebody else's can give its own name this machine's address,
and would then be let in by the browser; the name in the request gives it away.
"""

import asyncio
import contextlib
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from http import HTTPStatus
from types import MappingProxyType

import structlog

from cri_resmgr.config.endpoints import LOCAL_HOSTS, Endpoint
from cri_resmgr.observe.endpoint import Listener, listen

Answer = tuple[int, str, bytes]
Route = Callable[[], Answer | Awaitable[Answer]]
Question = Callable[[str], Answer | Awaitable[Answer]]

DEADLINE_S = 5.0
REQUEST_LIMIT_BYTES = 8 << 10
CONNECTIONS_LIMIT = 16

_PORT = re.compile(r":[0-9]+$")

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
    `headers` go with every answer; with `local_names` a request for a name that other machines have is refused.
    """

    __slots__ = (
        "_connections",
        "_deadline_s",
        "_endpoint",
        "_headers",
        "_listener",
        "_local_names",
        "_questions",
        "_routes",
        "_server",
        "_take_over",
    )

    def __init__(  # noqa: PLR0913 - what differs between those who serve
        self,
        endpoint: Endpoint,
        routes: Mapping[str, Route],
        *,
        questions: Mapping[str, Question] = MappingProxyType({}),
        headers: Mapping[str, str] = MappingProxyType({}),
        deadline_s: float = DEADLINE_S,
        take_over: bool = False,
        local_names: bool = False,
    ) -> None:
        self._endpoint = endpoint
        self._routes, self._questions = routes, questions
        self._headers = headers
        self._local_names = local_names
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
            writer.write(_response(_plain(HTTPStatus.SERVICE_UNAVAILABLE), self._headers))
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
                    writer.write(_response(await self._answer(reader), self._headers))
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
        if self._local_names and not _is_local(head):
            return _plain(HTTPStatus.MISDIRECTED_REQUEST)
        path, _, query = target.partition("?")
        question = self._questions.get(path)
        route = self._routes.get(path) if question is None else partial(question, query)
        return _plain(HTTPStatus.NOT_FOUND) if route is None else await _called(path, route)


def _is_local(head: bytes) -> bool:
    """Whether the request is for this machine by a name that no other has; without a name it is from no browser."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    names = [value.strip().decode("latin-1") for name, _, value in lines if name.lower() == b"host"]
    return all(_PORT.sub("", name).strip("[]") in LOCAL_HOSTS for name in names)


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


def _response(answer: Answer, headers: Mapping[str, str]) -> bytes:
    status, content_type, body = answer
    lines = (
        f"HTTP/1.1 {int(status)} {HTTPStatus(status).phrase}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(body)}",
        *(("Allow: GET",) if status == HTTPStatus.METHOD_NOT_ALLOWED else ()),
        *(f"{name}: {value}" for name, value in headers.items()),
        "Connection: close",
        "\r\n",
    )
    return "\r\n".join(lines).encode() + body
