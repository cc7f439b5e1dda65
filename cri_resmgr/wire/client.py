"""A unary gRPC client on a unix socket: one connection, made when it is first needed and again after it was lost."""

import asyncio
from typing import cast

from cri_resmgr.wire import grpc
from cri_resmgr.wire.connection import Connection, Reply
from cri_resmgr.wire.frames import ProtocolError
from cri_resmgr.wire.hpack import Field


class CallError(Exception):
    """A call ended with a status other than OK; without a server that is UNAVAILABLE, as gRPC has it."""

    def __init__(self, path: str, code: int, text: str) -> None:
        super().__init__(f"{path}: {text} (code {code})")
        self.code, self.text = code, text


def request_fields(method: str, *, timeout_s: float) -> list[Field]:
    """The header fields of a call of our own."""
    return [
        (b":method", b"POST"),
        (b":scheme", b"http"),
        (b":path", method.encode()),
        (b":authority", b"localhost"),
        (b"content-type", b"application/grpc"),
        (b"te", b"trailers"),
        (b"grpc-timeout", b"%dm" % max(1, int(timeout_s * 1000))),
    ]


def settled(reply: Reply) -> tuple[int, str, bytes]:
    """Code, text and the one message of a unary call; a reply without exactly one is an error, whatever it says."""
    if reply.code:
        return reply.code, reply.text, b""
    try:
        return grpc.OK, reply.text, grpc.message_in(reply.body)
    except grpc.MessageError as error:
        return error.code, str(error), b""


class _Socket(asyncio.Protocol):
    """The transport's side of a `Connection`."""

    def __init__(self) -> None:
        self.connection = Connection()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.flush()

    def data_received(self, data: bytes) -> None:
        try:
            self.connection.feed(data)
        except ProtocolError as error:
            self.connection.lost(f"not HTTP/2: {error}", grpc.INTERNAL)
            self.close()
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.connection.lost(str(exc) if exc else "connection closed")

    def flush(self) -> None:
        if self.connection.out and self.transport is not None:
            self.transport.write(b"".join(self.connection.out))
            self.connection.out.clear()

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class Client:
    """Calls on the socket `path`; any number of them at once share a connection."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._socket: _Socket | None = None
        self._connecting = asyncio.Lock()

    async def call(self, method: str, message: bytes, *, deadline_s: float) -> bytes:
        """The reply to one call; raises `CallError`, also when the deadline passes."""
        reply = await self.ask(request_fields(method, timeout_s=deadline_s), message, deadline_s=deadline_s)
        code, text, answer = settled(reply)
        if code:
            raise CallError(method, code, text)
        return answer

    async def ask(self, fields: list[Field], message: bytes, *, deadline_s: float | None) -> Reply:
        """The whole answer to a call with these header fields; of our own making when there is none."""
        try:
            async with asyncio.timeout(deadline_s):
                return await self._asked(await self._connected(), fields, message)
        except TimeoutError:
            return Reply(grpc.DEADLINE_EXCEEDED, f"no answer from {self.path} within {deadline_s or 0:g} s")
        except OSError as error:
            return Reply(grpc.UNAVAILABLE, f"cannot connect to {self.path}: {error.strerror or error}")

    def close(self) -> None:
        """End the connection; calls under way fail."""
        if self._socket is not None:
            self._socket.close()

    @staticmethod
    async def _asked(socket: _Socket, fields: list[Field], message: bytes) -> Reply:
        answer: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()

        def done(reply: Reply) -> None:
            if not answer.done():
                answer.set_result(reply)

        stream = socket.connection.begin(fields, message, done)
        socket.flush()
        try:
            return await answer
        finally:
            socket.connection.cancel(stream)
            socket.flush()

    async def _connected(self) -> _Socket:
        async with self._connecting:
            if self._socket is None or not self._socket.connection.usable:
                loop = asyncio.get_running_loop()
                _, self._socket = await loop.create_unix_connection(_Socket, self.path)
            return self._socket
