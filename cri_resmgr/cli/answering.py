"""What the daemon answers on `cri-resmgr-config.sock`: see `config.protocol` for what may be asked.

A configuration, or a set of adjustments, is taken into use to its end even if the agent does not wait for it.  What
cannot be read as a message is refused with gRPC's status; what can, and cannot be used, has its verdict in the answer.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import structlog

from cri_resmgr.cli import configuring
from cri_resmgr.cli.applying import Applier
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.node import Node
from cri_resmgr.config import protocol
from cri_resmgr.config import settings as settings_
from cri_resmgr.config.protocol import Verdict
from cri_resmgr.errors import BadInput, Degraded, Error
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values import cpusets
from cri_resmgr.wire import grpc, sockets
from cri_resmgr.wire.server import Handler, Server, Status

SOCKET_MODE = 0o660
BACKLOG = 16

T = TypeVar("T")

log = structlog.get_logger("config")


class Answers:
    """The handlers; `reasons` says why the node is not healthy, `metrics` is the text that Prometheus reads."""

    def __init__(
        self,
        flags: Flags,
        applier: Applier,
        node: Node,
        *,
        reasons: Callable[[], Sequence[str]],
        metrics: Callable[[], str],
    ) -> None:
        self._flags, self._applier, self._node = flags, applier, node
        self._reasons, self._metrics = reasons, metrics
        self._applying: set[asyncio.Task[Any]] = set()
        self._measured: tuple[Policy, dict[str, int] | None] | None = None

    def handlers(self) -> dict[str, Handler]:
        """Who answers which method."""
        return {
            protocol.SET_CONFIG: self.set_config,
            protocol.SET_ADJUSTMENTS: self.set_adjustments,
            protocol.STATUS: self.status,
            protocol.METRICS: self.metrics,
        }

    async def set_config(self, message: bytes) -> bytes:
        """Take a configuration into use."""
        pushed = _read(protocol.read_config, message)
        log.info("config.pushed", source=pushed.source, version=pushed.version, node=pushed.node)
        try:
            await self._to_the_end(self._apply(pushed.settings), "applying a configuration")
        except Error as refusal:
            return protocol.write_verdict(Verdict(str(refusal), self._applier.settings.digest))
        return protocol.write_verdict(Verdict("", self._applier.settings.digest))

    async def set_adjustments(self, message: bytes) -> bytes:
        """Bring adjustments into force; UNAVAILABLE, and as before, while the policy gives no answer."""
        pushed = _read(protocol.read_adjustments, message)
        log.info("adjustments.pushed", count=len(pushed.texts), digest=pushed.digest[:12], node=pushed.node)
        try:
            errors = await self._to_the_end(self._node.adjuster.apply(pushed.texts, pushed.digest), "adjusting")
        except Degraded as error:
            raise Status(grpc.UNAVAILABLE, str(error)) from error
        return protocol.write_errors(errors)

    async def status(self, message: bytes) -> bytes:
        """How the node is."""
        number, events = self._node.events.since(_read(protocol.read_status_question, message))
        settings, adjuster = self._applier.settings, self._node.adjuster
        said = {
            "policy": settings.policy.active,
            "capacity": self._capacity(),
            "config": {"source": settings.source, "digest": settings.digest, "error": self._applier.error},
            "adjustments": {"digest": adjuster.digest, "in_force": len(adjuster), "errors": adjuster.errors},
            "health": list(self._reasons()),
            "events": [asdict(event) for event in events],
            "next": number,
        }
        return protocol.write_status(json.dumps(said, separators=(",", ":")))

    async def metrics(self, _message: bytes) -> bytes:
        """What the daemon counts."""
        return protocol.write_metrics(self._metrics())

    async def close(self) -> None:
        """Wait for nothing: what is being applied is in the store as a whole, and the next start goes on with it."""
        for task in self._applying:
            task.cancel()
        await asyncio.gather(*self._applying, return_exceptions=True)

    async def _to_the_end(self, work: Coroutine[Any, Any, T], name: str) -> T:
        """Wait for work that goes on even if the agent does not wait for it."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._applying.add(task)
        task.add_done_callback(self._applying.discard)
        return await asyncio.shield(task)

    def _capacity(self) -> dict[str, int] | None:
        """What the policy has to give, None if it has no pools; the same as long as it is the same policy."""
        decider = self._node.decider
        if not decider.begun:
            return None
        if self._measured is None or self._measured[0] is not decider.policy:
            tops = [pool for pool in decider.policy.pools(decider.state) if not pool.parent]
            sizes = {"cpus": sum(_size(pool.cpus) for pool in tops), "reserved": sum(_size(p.reserved) for p in tops)}
            self._measured = decider.policy, sizes if tops else None
        return self._measured[1]

    async def _apply(self, text: str) -> None:
        if not text:  # the agent has nothing for this node any more
            await self._applier.apply(await configuring.read(self._flags))
            return
        try:
            settings = settings_.from_json(text)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            unreadable = BadInput(
                f"not understood ({type(error).__name__}: {error}); are agent and daemon of one version?"
            )
            self._applier.refused("what the agent gave", unreadable)
            raise unreadable from error
        await self._applier.apply(settings, given=True)


async def serve(path: Path, handlers: dict[str, Handler]) -> Server:
    """Answer on a unix socket; raises `BadInput` for a path that cannot be used."""
    try:
        sockets.refuse_taken(path)
        listening = sockets.bind(path, mode=SOCKET_MODE, backlog=BACKLOG)
    except (sockets.Taken, OSError) as error:
        raise BadInput(f"--config-socket {path}: {error}; name another path, or 'disabled'") from error
    server = Server(handlers, failed=_failed)
    await server.start(listening)
    log.info("config.listening", socket=str(path))
    return server


def _read(read: Callable[[bytes], T], message: bytes) -> T:
    try:
        return read(message)
    except protocol.Unreadable as error:
        raise Status(grpc.INVALID_ARGUMENT, str(error)) from error


def _size(cpus: str) -> int:
    return cpusets.parse(cpus).bit_count()


def _failed(method: str, error: Exception) -> None:
    log.error("config.call_failed", method=method, exc_info=error)
