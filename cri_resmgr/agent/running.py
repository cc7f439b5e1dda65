"""The life of the agent: its parts, put together, and what follows from a signal."""

import asyncio
import gc
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path

import structlog

from cri_resmgr import __version__
from cri_resmgr.agent import adjustment_metrics
from cri_resmgr.agent import daemon as daemon_
from cri_resmgr.agent.adjusting import Adjusting
from cri_resmgr.agent.capacity import Capacity
from cri_resmgr.agent.choosing import Names
from cri_resmgr.agent.daemon import Daemon
from cri_resmgr.agent.following import Following
from cri_resmgr.agent.metrics import Parts, Scrape
from cri_resmgr.agent.pushing import Pusher
from cri_resmgr.agent.reporting import Reporter
from cri_resmgr.agent.retelling import FILE, Retelling
from cri_resmgr.agent.standing import Standing
from cri_resmgr.agent.voice import Voice
from cri_resmgr.agent.watching import Watch
from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.kube.clients import Client, connected
from cri_resmgr.observe.http import Answer, Route, Server

USER_AGENT = f"cri-resmgr-agent/{__version__}"
_TEXT = "text/plain; charset=utf-8"

log = structlog.get_logger("resource-manager-agent")


@dataclass(frozen=True, slots=True)
class Options:
    """What the command line says."""

    names: Names
    daemon_socket: Path
    agent_socket: str
    """Where the probe asks; "" for nowhere."""
    port: int
    """Where Prometheus asks; 0 for nowhere."""
    kubeconfig: Path | None
    installer_metrics: Path


async def run(options: Options) -> None:
    """Work until a signal comes.  Raises BadInput before anything has been done."""
    stop = _stopping()
    log.info("agent.starting", version=__version__, node=options.names.node)
    async with AsyncExitStack() as undo:
        client = await undo.enter_async_context(connected(kubeconfig=options.kubeconfig, user_agent=USER_AGENT))
        daemon = await undo.enter_async_context(daemon_.connected(options.daemon_socket))
        await _work(options, client, daemon, stop=stop)
    log.info("agent.stopped")


async def _work(options: Options, client: Client, daemon: Daemon, *, stop: asyncio.Event) -> None:
    node, socket = options.names.node, options.daemon_socket
    standing = Standing(lambda: client.outages.failing)
    voice = Voice(node, standing, Reporter(client, instance=node))
    pusher = Pusher(daemon, lambda: watch.choice, voice=voice)
    watch = Watch(client, options.names, changed=pusher.changed)
    capacity = Capacity(lambda: watch.node, voice=voice)
    retelling = Retelling(voice.reporter, socket.with_name(FILE), node=node)
    adjusting = Adjusting(client, daemon, namespace=options.names.namespace, voice=voice)
    followers = (pusher, capacity, retelling, adjusting)
    following = Following(daemon, socket, voice=voice, since=retelling.since, followers=followers)
    parts = Parts(standing, following, pusher, voice.reporter, capacity)
    others = (partial(adjustment_metrics.text, adjusting),)
    scrape = Scrape(parts, daemon=daemon.metrics, installer=options.installer_metrics, others=others)
    async with AsyncExitStack() as undo:
        await _serve(options, {**_routes(standing), "/metrics": scrape.answer}, undo)
        async with asyncio.TaskGroup() as tasks:
            runs = (watch.run(), pusher.run(), following.run(), voice.reporter.run(), adjusting.run())
            background = [tasks.create_task(one) for one in runs]
            _calm_garbage_collector()
            await stop.wait()
            log.info("agent.stopping")
            for task in background:
                task.cancel()


def _routes(standing: Standing) -> dict[str, Route]:
    def alive() -> Answer:
        return HTTPStatus.OK, _TEXT, b"ok\n"

    def ready() -> Answer:
        status = HTTPStatus.OK if standing.ready else HTTPStatus.SERVICE_UNAVAILABLE
        return status, _TEXT, standing.text().encode(errors="replace")

    return {"/healthz": alive, "/readyz": ready}


async def _serve(options: Options, routes: Mapping[str, Route], undo: AsyncExitStack) -> None:
    """For the probe on a socket, which a successor may take over, and for Prometheus on a port."""
    endpoints = [Endpoint(path=options.agent_socket)] if options.agent_socket else []
    endpoints += [Endpoint(port=options.port)] if options.port else []
    for endpoint in endpoints:
        server = Server(endpoint, routes, take_over=True)
        await server.start()
        undo.push_async_callback(server.close)


def _stopping() -> asyncio.Event:
    """Set by the first signal to end."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def _calm_garbage_collector() -> None:
    """What start-up made stays for ever: not to be looked through again."""
    gc.collect()
    gc.freeze()
