"""What the API server says about this node: its Node, its own ConfigMap, and the one that it shares.

Each is a list-watch of one object, so an agent costs the API server three small watches and itself no memory.  When
the Node changes its group, the third is ended and another one begun at once.
"""

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

import structlog

from cri_resmgr.agent import choosing
from cri_resmgr.agent.choosing import Choice, ConfigMap, Names, NodeFacts, Nothing, Undecided
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.resources import Object, Resource
from cri_resmgr.kube.watching import PACE, Pace, Reflector

NODES, CONFIGMAPS = Resource("v1", "nodes"), Resource("v1", "configmaps")

UNKNOWN = Undecided("the API server has not said yet what there is")

log = structlog.get_logger("watcher")


class Watch:
    """`changed` is called whenever `choice` or `node` may be another one; it must not block."""

    def __init__(self, client: Client, names: Names, *, changed: Callable[[], None], pace: Pace = PACE) -> None:
        self._client, self._names, self._changed, self._pace = client, names, changed, pace
        self._configmaps = CONFIGMAPS.within(names.namespace)
        self._node = Reflector(
            client, NODES.named(names.node), project=self._facts, changed=self._node_changed, pace=pace
        )
        self._own = self._configmap(names.own)
        self._shared: Reflector[ConfigMap] | None = None
        self._shared_name = ""
        self._regrouped = asyncio.Event()

    @property
    def node(self) -> NodeFacts | None:
        """What is known of the Node, None if nothing is."""
        found: NodeFacts | None = _only(self._node)
        return found

    @property
    def choice(self) -> Choice:
        """The ConfigMap that configures this node, as far as is known."""
        own: ConfigMap | None = _only(self._own)
        if own is not None:
            return own
        if not self._own.known.is_set() or not self._node.known.is_set():
            return UNKNOWN
        if self.node is None:
            return Undecided(f"there is no Node {self._names.node}: is NODE_NAME right?")
        if self._shared is None or self._names.shared(self.node.group) != self._shared_name:
            return UNKNOWN
        shared: ConfigMap | None = _only(self._shared)
        if shared is None and not self._shared.known.is_set():
            return UNKNOWN
        return shared or Nothing((self._names.own, self._shared_name))

    async def run(self) -> NoReturn:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow(self._node))
            tasks.create_task(self._follow(self._own))
            following: asyncio.Task[None] | None = None
            while True:
                await self._regrouped.wait()
                self._regrouped.clear()
                name = self._names.shared(self.node.group) if self.node else ""
                if name in {"", self._shared_name}:
                    continue
                if following is not None:
                    following.cancel()
                self._shared_name, self._shared = name, self._configmap(name)
                log.info("configmap.watched", shared=name, own=self._names.own)
                following = tasks.create_task(self._follow(self._shared))

    async def _follow(self, reflector: Reflector[Any]) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(reflector.run())
            await reflector.known.wait()
            self._changed()

    def _configmap(self, name: str) -> Reflector[ConfigMap]:
        return Reflector(
            self._client,
            self._configmaps.named(name),
            project=choosing.configmap,
            changed=lambda _old, _new: self._changed(),
            pace=self._pace,
        )

    def _facts(self, node: Object) -> NodeFacts:
        return choosing.facts(node, self._names.label)

    def _node_changed(self, _old: NodeFacts | None, new: NodeFacts | None) -> None:
        if new is not None:
            self._regrouped.set()
        self._changed()


def _only(reflector: Reflector[Any]) -> Any:
    """The one object of a reflector, None if it is not there or not known."""
    return next(iter(reflector.objects.values()), None)
