"""Keeps the health condition of every Extension true, by watching: what gardener-resource-manager reports is passed on.

What is between a change and its outcome is passed on only if it stays so, since every roll-out would look like an
illness.  A hibernated shoot is healthy by definition.  Whether it is hibernated stands in its Cluster, which weighs up
to 300 KiB: that is fetched only before something is written and when it has changed.

An Extension that is being deleted or migrated is let alone.
"""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import structlog

from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import Conflict, NotFound
from cri_resmgr.kube.queueing import Queue
from cri_resmgr.kube.resources import Collection, Object, Ref
from cri_resmgr.kube.watching import Reflector
from extension.conditions import Condition, Patient, patch, patient
from extension.contract import CLUSTERS, EXTENSIONS, MANAGED_RESOURCES, time_of
from extension.rendering.managed import NAME
from extension.statuses import written
from extension.verdicts import HIBERNATED, Managed, Verdict, managed, verdict

SETTLING_S = 30.0
"""How long a ManagedResource may be between a change and its outcome; Gardener's library looks about so often."""
DEADLINE_S = 60.0
ATTEMPTS = 5
BACKOFF = Backoff(first_s=0.5, last_s=60.0)

log = structlog.get_logger("health")


def utc() -> datetime:
    """Now."""
    return datetime.now(UTC)


class Health:
    """`run` it as a task; `refresh_s` is how old a condition may become before it is written anew, 0 for any age."""

    def __init__(
        self, client: Client, *, workers: int, refresh_s: float = 0.0, now: Callable[[], datetime] = utc
    ) -> None:
        self.queue = Queue(self._look, workers=workers, deadline_s=DEADLINE_S, backoff=BACKOFF)
        self._client = client
        self._refresh_s = refresh_s
        self._now = now
        self._since_s: dict[Ref, float] = {}  # when what is unsettled was seen to be so
        self._refs: dict[str, Ref] = {}  # by namespace, which is what the three kinds of objects have in common
        self._hibernated: dict[str, bool] = {}  # by namespace, if known
        self._changed: set[str] = set()  # namespaces whose Cluster has changed since
        self._patients = Reflector(client, EXTENSIONS.all(), project=patient, changed=self._patient_changed)
        self._resources = Reflector(
            client, MANAGED_RESOURCES.named(NAME), project=managed, changed=self._resource_changed
        )
        self._clusters = Reflector(
            client, Collection(CLUSTERS, metadata_only=True), project=_state, changed=self._cluster_changed
        )

    async def run(self) -> None:
        """Look after all of them until cancelled."""
        async with asyncio.TaskGroup() as group:
            for reflector in (self._patients, self._resources, self._clusters):
                group.create_task(reflector.run(), name="health.watch")
            await self._patients.known.wait()
            await self._resources.known.wait()
            group.create_task(self.queue.run(), name="health.look")

    def _patient_changed(self, old: Patient | None, new: Patient | None) -> None:
        if new is not None:
            self._refs[new.ref.namespace] = new.ref
            self.queue.add(new.ref)
        elif old is not None and self._refs.get(old.ref.namespace) == old.ref:
            del self._refs[old.ref.namespace]
            self._since_s.pop(old.ref, None)

    def _resource_changed(self, old: Managed | None, new: Managed | None) -> None:
        for resource in filter(None, (new, old)):
            self._look_at(resource.ref.namespace)

    def _cluster_changed(self, old: tuple[str, int] | None, new: tuple[str, int] | None) -> None:
        for namespace, _ in filter(None, (new, old)):
            self._hibernated.pop(namespace, None)
            if self._clusters.known.is_set():  # at first, who is told what he knows need not be asked
                self._changed.add(namespace)
                self._look_at(namespace)
            if new is None:
                self._changed.discard(namespace)

    def _look_at(self, namespace: str) -> None:
        if ref := self._refs.get(namespace):
            self.queue.add(ref)

    async def _look(self, ref: Ref) -> float | None:
        """Have the condition of one Extension say what is; when to look again."""
        seen = self._patients.objects.get(ref)
        if seen is None or seen.leaving:
            return None
        if ref.namespace in self._changed:
            await self._learn(ref.namespace)
        if not self._hibernated.get(ref.namespace) and (wait_s := self._unsettled_s(seen)):
            return wait_s
        wanted = self._wanted(seen)
        if wanted is not None and not self._holds(seen.condition, wanted):
            if ref.namespace not in self._hibernated:
                await self._learn(ref.namespace)
                wanted = self._wanted(seen) or wanted
            if not self._holds(seen.condition, wanted):
                await self._write(ref, wanted)
        return self._refresh_s or None

    def _unsettled_s(self, seen: Patient) -> float:
        """How long to wait for the outcome of a change, 0 when it is there or has not come for too long."""
        resource = self._resources.objects.get(Ref(seen.ref.namespace, NAME))
        if resource is None or resource.settled:
            self._since_s.pop(seen.ref, None)
            return 0.0
        now_s = asyncio.get_running_loop().time()
        return max(self._since_s.setdefault(seen.ref, now_s) + SETTLING_S - now_s, 0.0)

    def _wanted(self, seen: Patient) -> Verdict | None:
        """What the condition should say, None for nothing yet."""
        if self._hibernated.get(seen.ref.namespace):
            return HIBERNATED
        ref = Ref(seen.ref.namespace, NAME)
        resource = self._resources.objects.get(ref)
        return verdict(ref, resource) if resource is not None or seen.begun else None

    def _holds(self, condition: Condition | None, wanted: Verdict) -> bool:
        if condition is None or condition.verdict != wanted:
            return False
        age_s = (self._now() - time_of(condition.updated)).total_seconds()
        return not self._refresh_s or age_s < self._refresh_s

    async def _learn(self, namespace: str) -> None:
        """Fetch whether a shoot is hibernated."""
        self._changed.discard(namespace)  # first, so that a change meanwhile is learnt, too
        try:
            self._hibernated[namespace] = hibernated(await self._client.get(CLUSTERS, namespace))
        except NotFound:
            self._hibernated[namespace] = False
        except BaseException:
            self._changed.add(namespace)
            raise

    async def _write(self, ref: Ref, wanted: Verdict) -> None:
        """Let the Extension say so, unless it leaves meanwhile; others write to the same object."""
        resource = EXTENSIONS.within(ref.namespace)
        for left in reversed(range(ATTEMPTS)):
            try:
                thing = await self._client.get(resource, ref.name)
                seen = patient(thing)
                if seen is None or seen.leaving:
                    return
                change = patch(thing, wanted, now=written(self._now()))
                await self._client.merge_patch(resource, ref.name, change, subresource="status")
            except NotFound:
                return
            except Conflict:
                if not left:
                    raise
            else:
                log.info("condition.written", extension=str(ref), status=wanted.status, message=wanted.message)
                return


def hibernated(cluster: Object) -> bool:
    """Is a shoot meant to be hibernated?  That it is not yet, or wakes up, is no time to judge it either."""
    found: Any = cluster
    for word in ("spec", "shoot", "spec", "hibernation", "enabled"):
        found = found.get(word) if isinstance(found, dict) else None
    return found is True


def _state(cluster: Object) -> tuple[str, int]:
    metadata = cluster["metadata"]
    return metadata["name"], metadata.get("generation", 0)
