"""The life of the extension's process: serve health, wait for the lead, act, hand over.

    all replicas   /healthz, /readyz, /metrics, and candidates for the Lease
    the leader     controller, health conditions, heartbeat: tasks that end together, and with the lead

At SIGTERM what is going on is cancelled, which the next leader finds and ends, and the Lease is released for him at
once.  A leader that cannot renew stops acting before anybody else may begin, and is a candidate again; every write
passes the guard of the Lease, so one that was frozen for a minute writes nothing when it wakes up.
"""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

import structlog

from cri_resmgr import __version__
from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.kube.clients import Client, connected
from cri_resmgr.kube.errors import LeaseLost
from cri_resmgr.kube.lease_records import Terms
from cri_resmgr.kube.leasing import Elector
from cri_resmgr.kube.resources import Ref
from cri_resmgr.observe.http import Route, Server, health
from extension.controller import Controller
from extension.health import Health
from extension.heartbeating import Heartbeat
from extension.images import Source
from extension.metrics import Metrics
from extension.options import Options

USER_AGENT = f"gardener-extension-cri-resmgr/{__version__}"

log = structlog.get_logger("extension")


@dataclass(frozen=True, slots=True)
class Lead:
    """The Lease by which one replica leads, and its times."""

    ref: Ref
    terms: Terms


@dataclass(frozen=True, slots=True)
class Settings:
    """What the command line says to the process; `controller` is for the controller alone."""

    controller: Options
    images: tuple[Source, ...]
    kubeconfig: Path | None = None
    """None: the service account of our pod."""
    lead: Lead | None = None
    """None: act at once, since there is no other replica."""
    heartbeat_namespace: str = ""
    heartbeat_interval_s: int = 30
    health_workers: int = 5
    refresh_s: float = 0.0
    """Write conditions anew when they are that old, for a gardenlet that knows no heartbeat; 0 for never."""
    health_endpoint: Endpoint | None = None
    metrics_endpoint: Endpoint | None = None


async def run(settings: Settings) -> None:
    """Serve until a signal comes.  Raises BadInput before anything is done."""
    ending = _ending()
    metrics = Metrics(version=__version__)
    async with (
        connected(kubeconfig=settings.kubeconfig, user_agent=USER_AGENT) as client,
        _watched(settings, client, metrics),
    ):
        log.info("extension.starting", version=__version__)
        acting = asyncio.create_task(_lead(settings, client, metrics), name="extension.lead")
        await asyncio.wait({acting, asyncio.create_task(ending.wait())}, return_when=asyncio.FIRST_COMPLETED)
        await _ended(acting)
    log.info("extension.stopped")


async def _ended(acting: "asyncio.Task[None]") -> None:
    """Cancel what acts and await its end; raises what went wrong before."""
    acting.cancel()
    await asyncio.wait({acting})
    if not acting.cancelled():
        acting.result()


async def _lead(settings: Settings, client: Client, metrics: Metrics) -> None:
    """Act whenever we lead."""
    if settings.lead is None:
        return await _act(settings, client, metrics)
    identity = f"{socket.gethostname()}_{uuid4()}"
    while True:
        elector = Elector(client, settings.lead.ref, identity=identity, terms=settings.lead.terms)
        try:
            await elector.lead(partial(_act, settings, client.guarded(elector.guard), metrics))
        except LeaseLost as error:
            log.warning("lease.lost", error=str(error), remedy="none needed: this replica is a candidate again")


async def _act(settings: Settings, client: Client, metrics: Metrics) -> None:
    """Do the leader's work until cancelled; when one part fails, all end."""
    controller = Controller(client, settings.controller, settings.images, observer=metrics.finished)
    conditions = Health(client, workers=settings.health_workers, refresh_s=settings.refresh_s)
    heartbeat = Heartbeat(client, namespace=settings.heartbeat_namespace, interval_s=settings.heartbeat_interval_s)
    with metrics.leading(extensions=controller.queue, health=conditions.queue):
        async with asyncio.TaskGroup() as group:
            group.create_task(controller.run(), name="extension.controller")
            group.create_task(conditions.run(), name="extension.health")
            group.create_task(heartbeat.run(), name="extension.heartbeat")


@asynccontextmanager
async def _watched(settings: Settings, client: Client, metrics: Metrics) -> AsyncIterator[None]:
    """Serve health and metrics, at one address or at two."""
    routes: dict[Endpoint, dict[str, Route]] = {}
    if settings.health_endpoint:
        alive: Sequence[str] = ()  # whoever can answer is alive, whether or not the API server is
        ready = partial(_failing, client)
        routes.setdefault(settings.health_endpoint, {}).update(
            {"/healthz": health(lambda: alive), "/readyz": health(ready)}
        )
    if settings.metrics_endpoint:
        routes.setdefault(settings.metrics_endpoint, {})["/metrics"] = metrics.answer
    async with AsyncExitStack() as stack:
        for endpoint, answers in routes.items():
            server = Server(endpoint, answers)
            await server.start()
            stack.push_async_callback(server.close)
        yield


def _failing(client: Client) -> list[str]:
    """Why we are not ready."""
    return [f"{what}: {text}" for what, text in client.outages.failing.items()]


def _ending() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT."""
    ending = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ending.set)
    return ending
