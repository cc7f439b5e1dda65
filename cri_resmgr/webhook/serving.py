"""The HTTPS server around the answers.

Anybody in the cluster can connect, so what a client can cost is bounded: connections here, seconds of a handshake and
of an idle connection, and in `answering` the bodies.  Idle connections are kept longer than the API server keeps them,
so that it never sends into one that we are just closing.
"""

import asyncio
import errno
import logging as stdlib
import os
import socket
from typing import cast

import structlog
from aiohttp import web

from cri_resmgr.errors import BadInput
from cri_resmgr.webhook.answering import Answers
from cri_resmgr.webhook.certificates import Certificate

CONNECTIONS_LIMIT = 512
HANDSHAKE_DEADLINE_S = 5.0
IDLE_S = 120.0  # the API server: 90
CLOSING_S = 2.0
BACKLOG = 128

log = structlog.get_logger("webhook")


class Server:
    """Serves on all addresses of the machine from `start` to `close`."""

    def __init__(self, certificate: Certificate, answers: Answers) -> None:
        self.port = 0
        self._certificate = certificate
        self._answers = answers
        self._runner = web.AppRunner(
            answers.application(),
            access_log=None,
            logger=stdlib.Logger("quiet", stdlib.CRITICAL + 1),  # noqa: LOG001 - else it quotes whatever clients send
            auto_decompress=False,
            keepalive_timeout=IDLE_S,
            lingering_time=CLOSING_S,
            shutdown_timeout=CLOSING_S,
        )
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        """Listen; 0 lets the system choose the port.  Raises BadInput."""
        listening = listen(port)
        self.port = listening.getsockname()[1]
        await self._runner.setup()
        self._server = await asyncio.get_running_loop().create_server(
            self._connection,
            sock=listening,
            ssl=self._certificate.context,
            ssl_handshake_timeout=HANDSHAKE_DEADLINE_S,
            ssl_shutdown_timeout=CLOSING_S,
        )
        log.info("webhook.listening", port=self.port)

    async def close(self) -> None:
        """Listen no more, and finish what has begun."""
        if self._server is not None:
            self._server.close()
        await self._answers.finish(CLOSING_S)
        await self._runner.cleanup()

    def _connection(self) -> asyncio.Protocol:
        serve = self._runner.server
        if serve is None or len(serve.connections) >= CONNECTIONS_LIMIT:
            return _Refusal()
        return serve()


class _Refusal(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).abort()


def listen(port: int) -> socket.socket:
    """A socket for both families, or for IPv4 where there is no other.  Raises BadInput."""
    try:
        try:
            return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=BACKLOG)
        except OSError as error:
            if error.errno not in {errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}:
                raise
            return socket.create_server(("", port), backlog=BACKLOG)
    except OSError as error:
        raise BadInput(
            f"flag -port: {port}: {os.strerror(error.errno or 0)}; give a port that is free and allowed"
        ) from error
