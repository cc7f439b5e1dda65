"""A seed full of shoots for the extension, and what stands for gardenlet and gardener-resource-manager there.

Both watch, as those do, so that their own waiting is not measured; they run on the same two cores as the API server
and the controller under test.  There is no shoot: ManagedResources are said to be applied as soon as they are seen.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cri_resmgr.kube.clients import Client, connected
from cri_resmgr.kube.errors import Conflict, NotFound
from cri_resmgr.kube.resources import Object, Resource
from cri_resmgr.kube.watching import Reflector
from equipment.gardenlet import CONFIRMATION, OPERATION, TIMESTAMP, TYPE, Shoot, conditions, objection
from extension.contract import CLUSTERS, EXTENSIONS, MANAGED_RESOURCES

NAMESPACES = Resource("v1", "namespaces")
CALLERS = 8
DEADLINE_S = 300.0
CONDITIONS = (("ResourcesApplied", "True"), ("ResourcesHealthy", "True"), ("ResourcesProgressing", "False"))
HEALTH = "SystemComponentsHealthy"


@dataclass
class Seed:
    """What is known of its shoots, by namespace; `news` is set when something has changed."""

    client: Client
    extensions: dict[str, Object] = field(default_factory=dict)
    resources: dict[str, Object] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    ill: set[str] = field(default_factory=set)
    """Namespaces whose ManagedResource is said to be unhealthy."""
    work: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def prepare(self, namespaces: Iterable[str], *, weight_bytes: int = 0) -> None:
        """Make namespaces and Clusters, each of which weighs so much more."""
        await self._each(namespaces, lambda name: self._prepare(name, weight_bytes))

    async def create(self, namespaces: Iterable[str]) -> float:
        """Make all Extensions at once; how long until all are accepted, in seconds."""
        return await self._timed(namespaces, self._create, self._accepted)

    async def reconcile(self, namespaces: Iterable[str]) -> float:
        """Ask for all of them anew."""
        return await self._timed(namespaces, self._annotate, self._accepted)

    async def delete(self, namespaces: Iterable[str]) -> float:
        """Delete all; how long until they are gone."""
        return await self._timed(namespaces, self._delete, lambda name: name not in self.extensions)

    async def turns(self, namespace: str, *, healthy: bool) -> float:
        """Say that a ManagedResource is so; how long until the Extension's condition says the same."""
        (self.ill.discard if healthy else self.ill.add)(namespace)
        begun_s = time.monotonic()
        await self._manage(namespace)
        await self._until([namespace], lambda name: self._health(name) == str(healthy))
        return time.monotonic() - begun_s

    async def manage(self) -> None:
        """Stand for gardener-resource-manager, as a task."""
        while True:
            namespace = await self.work.get()
            resource = self.resources.get(namespace)
            if resource and (resource.get("status") or {}).get("observedGeneration") != _generation(resource):
                with suppress(NotFound, Conflict):
                    await self._manage(namespace)

    async def _manage(self, namespace: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        said = {**dict(CONDITIONS), "ResourcesHealthy": str(namespace not in self.ill)}
        conditions = [
            {"type": kind, "status": status, "reason": "Bench", "message": "-"}
            | {"lastTransitionTime": now, "lastUpdateTime": now}
            for kind, status in said.items()
        ]
        resource = self.resources[namespace]
        status = {"conditions": conditions, "observedGeneration": _generation(resource)}
        where = MANAGED_RESOURCES.within(namespace)
        await self.client.merge_patch(where, resource["metadata"]["name"], {"status": status}, subresource="status")

    async def _timed(
        self, namespaces: Iterable[str], act: Callable[[str], Awaitable[None]], done: Callable[[str], bool]
    ) -> float:
        names = list(namespaces)
        begun_s = time.monotonic()
        await self._each(names, act)
        await self._until(names, done)
        return time.monotonic() - begun_s

    async def _each(self, namespaces: Iterable[str], act: Callable[[str], Awaitable[None]]) -> None:
        slots = asyncio.Semaphore(CALLERS)

        async def one(name: str) -> None:
            async with slots:
                await act(name)

        async with asyncio.TaskGroup() as group:
            for name in namespaces:
                group.create_task(one(name))

    async def _until(self, names: list[str], done: Callable[[str], bool]) -> None:
        """Until it holds of all; many are not looked at for each piece of news, or the bench would measure itself."""
        pending = names
        try:
            async with asyncio.timeout(DEADLINE_S):
                while pending := [name for name in pending if not done(name)]:
                    self.news.clear()
                    await self.news.wait()
                    await asyncio.sleep(0.02 if len(pending) > 1 else 0)
        except TimeoutError as error:
            raise TimeoutError(f"waited {DEADLINE_S:g} s for {len(pending)} Extensions") from error

    async def _prepare(self, name: str, weight_bytes: int) -> None:
        labels = {"gardener.cloud/role": "shoot", f"extensions.gardener.cloud/{TYPE}": "true"}
        with suppress(Conflict):
            await self.client.create(NAMESPACES, {"metadata": {"name": name, "labels": labels}})
        cluster = Shoot(namespace=name).cluster()
        # What makes real Clusters heavy is the CloudProfile, of which nobody here reads anything.
        cluster["spec"]["cloudProfile"]["metadata"]["annotations"] = {"weight": "x" * weight_bytes}
        with suppress(Conflict):
            await self.client.create(CLUSTERS, cluster)

    async def _create(self, name: str) -> None:
        notes = {OPERATION: "reconcile", TIMESTAMP: _stamp()}
        body = {
            "apiVersion": EXTENSIONS.group_version,
            "kind": "Extension",
            "metadata": {"name": TYPE, "annotations": notes},
        }
        await self.client.create(EXTENSIONS.within(name), {**body, "spec": {"type": TYPE}})

    async def _annotate(self, name: str) -> None:
        notes = {OPERATION: "reconcile", TIMESTAMP: _stamp()}
        done = await self.client.merge_patch(EXTENSIONS.within(name), TYPE, {"metadata": {"annotations": notes}})
        self.extensions[name] = done  # what is known from before would be accepted still

    async def _delete(self, name: str) -> None:
        notes = {"metadata": {"annotations": {CONFIRMATION: "true"}}}
        await self.client.merge_patch(EXTENSIONS.within(name), TYPE, notes)
        await self.client.delete(EXTENSIONS.within(name), TYPE)

    def _accepted(self, name: str) -> bool:
        return name in self.extensions and not objection(self.extensions[name]) and name in self.resources

    def _health(self, name: str) -> str:
        return str(conditions(self.extensions[name]).get(HEALTH, {}).get("status", ""))


@asynccontextmanager
async def seed(kubeconfig: Path) -> AsyncIterator[Seed]:
    """A seed whose administrator's kubeconfig this is."""
    async with connected(kubeconfig=kubeconfig, user_agent="cri-resmgr-bench") as client:
        made = Seed(client)
        watched = (
            Reflector(client, EXTENSIONS.all(), project=_whole, changed=_taker(made, made.extensions)),
            Reflector(client, MANAGED_RESOURCES.all(), project=_ours, changed=_taker(made, made.resources)),
        )
        tasks = [asyncio.create_task(one.run()) for one in watched]
        tasks += [asyncio.create_task(made.manage()) for _ in range(CALLERS)]
        try:
            for one in watched:
                await one.known.wait()
            yield made
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def _taker(made: Seed, kept: dict[str, Object]) -> Callable[[Object | None, Object | None], None]:
    def changed(old: Object | None, new: Object | None) -> None:
        namespace = str((new or old or {})["metadata"]["namespace"])
        if new is None:
            kept.pop(namespace, None)
        else:
            kept[namespace] = new
        if kept is made.resources:
            made.work.put_nowait(namespace)
        made.news.set()

    return changed


def _whole(thing: Object) -> Object:
    return thing


def _ours(thing: Object) -> Object | None:
    """One that goes to a shoot."""
    return None if thing["spec"].get("class") else thing


def _generation(thing: Object) -> Any:
    return thing["metadata"]["generation"]


def _stamp() -> str:
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{time.time_ns() % 10**9:09}Z"
