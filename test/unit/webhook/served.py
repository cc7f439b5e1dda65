"""A webhook that serves in this process, and clients of it."""

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from cri_resmgr.webhook.answering import Answers
from cri_resmgr.webhook.certificates import Certificate
from cri_resmgr.webhook.serving import Server
from unit.webhook.pairs import Files

JSON = {"Content-Type": "application/json"}


@dataclass(frozen=True)
class Reply:
    """One answer to a client."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Webhook:
    """A server and what belongs to it."""

    certificate: Certificate
    answers: Answers
    server: Server
    session: aiohttp.ClientSession

    async def __call__(self, method: str, path: str, **options: Any) -> Reply:
        """One request of a client that keeps its connections."""
        url = f"https://127.0.0.1:{self.server.port}{path}"
        async with self.session.request(method, url, **options) as response:
            return Reply(response.status, response.headers, await response.read())

    async def review(self, body: bytes, headers: Any = JSON) -> Reply:
        """What an API server sends."""
        return await self("POST", "/", data=io.BytesIO(body), headers=headers)

    async def metrics(self) -> str:
        """A scrape."""
        return (await self("GET", "/metrics")).body.decode()

    async def connected(self, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection of a client that does what the test wants."""
        return await asyncio.open_connection("127.0.0.1", self.server.port, ssl=trusting(), **options)


def trusting() -> ssl.SSLContext:
    """A client that takes any certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


@asynccontextmanager
async def serving(files: Files, **options: Any) -> AsyncIterator[Webhook]:
    """A webhook on a port that the system chooses; `options` are those of `Answers`."""
    certificate = Certificate(files.cert, files.key)
    answers = Answers(certificate, **options)
    server = Server(certificate, answers)
    await server.start(0)
    connector = aiohttp.TCPConnector(ssl=trusting())
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(60)) as session:
            yield Webhook(certificate, answers, server, session)
    finally:
        await server.close()
