"""The connections to one API server, and the credentials that they are made with.

Credentials are read again when they are old, and when one side does not accept those of the other; the request is then
repeated once.  So a new token or a new CA needs no restart.

Every request ends within its deadline.
"""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from time import monotonic
from typing import Any

import aiohttp
from kubernetes.aio.client.rest import RESTClientObject

from cri_resmgr.kube.credentials import Access, Load
from cri_resmgr.kube.errors import refusal
from cri_resmgr.kube.requests import Guard, Request, always, explained

READ_BUFFER_BYTES = 1 << 16
NO_LIMIT = aiohttp.ClientTimeout()
"""Each request has a deadline of its own; the library's would also end watches."""
KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 3))
"""A host that is gone ends a silent stream within a minute."""

_guarding: ContextVar[Guard] = ContextVar("guard", default=always)


@dataclass(frozen=True, slots=True)
class _Link:
    access: Access
    loaded_s: float
    rest: RESTClientObject


class Session:
    """Sends requests; `user_agent` is how the server's audit log calls us."""

    def __init__(self, load: Load, *, user_agent: str, clock: Callable[[], float] = monotonic) -> None:
        self._load = load
        self._user_agent = user_agent
        self._clock = clock
        self._link: _Link | None = None
        self._loading = asyncio.Lock()

    async def open(self) -> None:
        """Read the credentials; raises BadInput when they cannot be used. Connects nowhere."""
        await self._current()

    async def close(self) -> None:
        """End all connections; requests under way fail."""
        link, self._link = self._link, None
        if link is not None:
            await link.rest.close()

    async def ask(self, request: Request, *, deadline_s: float) -> Any:
        """The answer as JSON."""
        with explained(request, deadline_s):
            async with asyncio.timeout(deadline_s), await self._answer(request) as response:
                return json.loads(await response.read())

    @asynccontextmanager
    async def stream(self, request: Request, *, deadline_s: float) -> AsyncIterator[aiohttp.StreamReader]:
        """The body of an answer that goes on; the deadline is for its beginning."""
        with explained(request, deadline_s):
            async with asyncio.timeout(deadline_s):
                response = await self._answer(request)
        try:
            _keep_alive(response)
            yield response.content
        finally:
            response.close()  # releasing it would wait for what is still to come

    async def _answer(self, request: Request) -> aiohttp.ClientResponse:
        """The response, its body not read yet."""
        response = await self._send_twice(request)
        if response.status < 400:  # noqa: PLR2004
            return response
        async with response:
            retry_after = response.headers.get("Retry-After", "")
            raise refusal(str(request), response.status, await response.read(), retry_after=retry_after)

    async def _send_twice(self, request: Request) -> aiohttp.ClientResponse:
        """Send a request, and again with credentials that were read anew if either side does not accept the other's."""
        link = await self._current()
        try:
            response = await self._send(link, request)
        except (aiohttp.ClientSSLError, ssl.SSLError):
            if self._link is link:
                await self.close()
            return await self._send(await self._current(), request)
        if response.status != 401:  # noqa: PLR2004 - HTTP
            return response
        response.close()
        return await self._send(await self._current(instead_of=link), request)

    async def _send(self, link: _Link, request: Request) -> aiohttp.ClientResponse:
        _guarding.set(request.guard)
        headers = {"Accept": request.accept, "User-Agent": self._user_agent, "Content-Type": request.content_type}
        if link.access.authorization:
            headers["Authorization"] = link.access.authorization
        url = link.access.configuration.host + request.target
        answer = await link.rest.request(  # type: ignore[no-untyped-call]
            request.method, url, headers=headers, body=request.body, _request_timeout=NO_LIMIT
        )
        response: aiohttp.ClientResponse = answer.response
        return response

    async def _current(self, *, instead_of: _Link | None = None) -> _Link:
        """Connections with credentials that are good as far as we know, and that are not those."""
        async with self._loading:
            link = self._link
            if link is None:
                link = self._made(await self._load())
            elif link is instead_of or self._clock() - link.loaded_s > link.access.good_for_s:
                link = await self._renewed(link, await self._load())
            self._link = link
            return link

    async def _renewed(self, link: _Link, access: Access) -> _Link:
        if access.authorization:  # a token goes with each request: no connection need end for a new one
            return replace(link, access=access, loaded_s=self._clock())
        await link.rest.close()
        return self._made(access)

    def _made(self, access: Access) -> _Link:
        # Not the environment's proxy, and not ~/.netrc, which the library would read for each request.
        access.configuration.client_session_kwargs = {"trust_env": False, "read_bufsize": READ_BUFFER_BYTES}
        access.configuration.trace_configs = [_last_look()]
        return _Link(access, self._clock(), RESTClientObject(access.configuration))


def _last_look() -> aiohttp.TraceConfig:
    """Asks a request's guard when there is a connection, which may have taken long, right before it is written to."""

    async def look(*_: object) -> None:
        _guarding.get()()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(look)
    return trace


def _keep_alive(response: aiohttp.ClientResponse) -> None:
    if response.connection is None or response.connection.transport is None:  # the answer has ended already
        return
    tcp = response.connection.transport.get_extra_info("socket")
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        tcp.setsockopt(socket.IPPROTO_TCP, option, value)
