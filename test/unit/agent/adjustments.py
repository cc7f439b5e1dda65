"""Adjustments on an API server of a test's own, and a daemon that takes them, both on a clock that jumps."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

from cri_resmgr.agent.adjusting import Adjusting
from cri_resmgr.agent.daemon import Status
from cri_resmgr.agent.reporting import Reporter
from cri_resmgr.agent.standing import Standing
from cri_resmgr.agent.voice import Voice
from cri_resmgr.config import protocol
from cri_resmgr.config.protocol import Adjustments
from cri_resmgr.errors import Degraded
from cri_resmgr.kube.errors import ApiError, NotFound
from cri_resmgr.kube.resources import Object, Resource
from unit.kube.model_server import ModelServer

NAMESPACE = "kube-system"
POLL_S = 3.0
HALF = {"resources": {"limits": {"cpu": "500m"}}}


def spec(*nodes: str, **said: Any) -> dict[str, Any]:
    """A spec for these nodes."""
    scope = {"nodes": list(nodes), "containers": [{"key": "name", "operator": "Equals", "values": ["c"]}]}
    return {"scope": [scope], **(said or HALF)}


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


class AdjustmentServer(ModelServer):
    """Adjustments, and the names of Nodes; `patches` are (name, patch); `refusing` comes instead."""

    def __init__(self) -> None:
        super().__init__()
        self.patches: list[tuple[str, Any]] = []
        self.nodes = {"node-1", "node-2"}
        self.refusing: ApiError | None = None

    def apply(self, name: str, spec: Any, status: Any = None) -> None:
        """Somebody makes an Adjustment, or changes its spec."""
        kind = "MODIFIED" if name in self.objects else "ADDED"
        before = self.objects.get(name, {"metadata": {"name": name, "namespace": NAMESPACE}})
        self._store({**before, "spec": spec, **({} if status is None else {"status": status})}, kind)

    def errors(self, name: str, node: str = "node-1") -> Any:
        """What a node has said about it, None for nothing."""
        entry = self.objects[name].get("status", {}).get("nodes", {}).get(node)
        return None if entry is None else entry["errors"]

    async def get(self, resource: Resource, name: str, **_options: Any) -> Object:
        if resource.plural == "nodes":
            if name not in self.nodes:
                raise NotFound(name)
            return {"metadata": {"name": name}}
        return deepcopy(self._found(name))

    async def merge_patch(self, resource: Resource, name: str, patch: Any, *, subresource: str) -> Object:
        """Of the client: a status is a part of its own."""
        assert (resource.namespace, subresource, set(patch)) == (NAMESPACE, "status", {"status"})
        await self._asked("patch")
        if self.refusing:
            raise self.refusing
        found = self._found(name)
        self.patches.append((name, patch))
        after = merged(found, patch)
        return found if after == found else self._store(after, "MODIFIED")


class TakingDaemon:
    """Takes every set, and says of it what `verdict` makes of the texts."""

    def __init__(self) -> None:
        self.given: list[Adjustments] = []
        self.verdict: Callable[[Mapping[str, str]], dict[str, dict[str, str]]] = lambda _texts: {}
        self.broken: Degraded | None = None
        self.digest = ""
        self.errors: dict[str, dict[str, str]] = {}

    @property
    def texts(self) -> Mapping[str, str]:
        """What it has now."""
        return self.given[-1].texts

    async def ask(self, method: str, message: bytes, *, read: Callable[[bytes], Any], deadline_s: float) -> Any:
        """Of the link to the daemon."""
        assert (method, deadline_s > 0) == (protocol.SET_ADJUSTMENTS, True)
        if self.broken:
            raise self.broken
        self.given.append(protocol.read_adjustments(message))
        self.digest, self.errors = self.given[-1].digest, self.verdict(self.given[-1].texts)
        return read(protocol.write_errors(self.errors))

    def restarted(self) -> None:
        """Another process, which remembers what is in force and not what it was given."""
        self.digest = ""

    def status(self) -> Status:
        """What it says of itself."""
        said = {"adjustments": {"digest": self.digest, "in_force": 0, "errors": json.loads(json.dumps(self.errors))}}
        return Status(said=said)


class Node:
    """One agent's Adjusting, between the two."""

    def __init__(self, server: AdjustmentServer, daemon: TakingDaemon, name: str = "node-1") -> None:
        self.server, self.daemon = server, daemon
        self.standing = Standing()
        voice = Voice(name, self.standing, Reporter(server, instance=name))  # type: ignore[arg-type]
        self.adjusting = Adjusting(server, daemon, namespace=NAMESPACE, voice=voice)  # type: ignore[arg-type]

    async def follow(self) -> None:
        """As `following` does."""
        while True:
            if self.daemon.broken is None:
                self.adjusting.seen(self.daemon.status())
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def running(*nodes: Node) -> AsyncIterator[None]:
    """The agents work in the block."""
    tasks = [asyncio.ensure_future(one) for node in nodes for one in (node.adjusting.run(), node.follow())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
