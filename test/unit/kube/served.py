"""An HTTP server in the same loop that answers as a test says, and a client of ours connected to it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from math import inf

from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.credentials import Access
from cri_resmgr.kube.outages import Outages
from cri_resmgr.kube.sessions import Session

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Served:
    """The client, what it was made of, and the requests that have come."""

    address: str = ""
    tokens: list[str] = field(default_factory=lambda: ["Bearer one"])
    requests: list[web.Request] = field(default_factory=list)
    loads: int = 0
    now_s: float = 0.0
    good_for_s: float = inf

    def __post_init__(self) -> None:
        self.session = Session(self.load, user_agent="a-test", clock=lambda: self.now_s)
        self.client = Client(self.session, Outages())

    async def load(self) -> Access:
        """The last of `tokens`; an empty one cannot be used."""
        self.loads += 1
        if not self.tokens[-1]:
            raise BadInput("no service account")
        return Access(Configuration(host=self.address), self.tokens[-1], self.good_for_s)


@asynccontextmanager
async def served(handler: Handler) -> AsyncIterator[Served]:
    """`handler` answers what the client asks."""
    here = Served()

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        here.requests.append(request)
        return await handler(request)

    runner = web.ServerRunner(web.Server(handle, handler_cancellation=True), shutdown_timeout=1.0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    here.address = site.name
    try:
        yield here
    finally:
        await here.session.close()
        await runner.cleanup()
