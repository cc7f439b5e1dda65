"""What changes in the seed becomes keys in a queue, and each key is worked on until its Extension is as it should be.

    Extensions         what gardenlet asks for (`predicates`)
    Clusters           metadata only: whoever has unfinished work is looked at again
    ManagedResources   a removal goes on; what others have changed or deleted is put right
    a ConfigMap        the operator's configurations, read live: everybody is looked at

Run it only while leading.  It may be cancelled, or killed, at any time: what was begun is found and ended by the next.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cri_resmgr.kube.backoff import spread
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.queueing import Queue
from cri_resmgr.kube.resources import Collection, Object, Ref, ref_of
from cri_resmgr.kube.watching import PACE, Pace, Reflector
from extension.beside import Beside
from extension.carrying import Carrier
from extension.certifying import Certifier
from extension.checking import Checker
from extension.configs import Base
from extension.contract import CLUSTERS, EXTENSIONS, MANAGED_RESOURCES
from extension.images import Source
from extension.installing import Installer
from extension.observing import Observer, ignore
from extension.options import Options
from extension.predicates import Sight, sight
from extension.reconciling import Reconciler
from extension.recording import Recorder
from extension.remembering import Renderer
from extension.removing import Remover
from extension.rendering.managed import MONITORING_NAME, NAME
from extension.rollouts import conditions, is_unreadable
from extension.shoot_access import ShootAccess

MARGIN_S = 20.0
"""What is left after an operation's own deadline to say that it has passed."""


def wall_clock() -> datetime:
    """The time that stands in statuses."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class _Carried:
    """What is kept of a ManagedResource."""

    ref: Ref
    spec: Any
    unreadable: bool
    """gardener-resource-manager does not find its Secret."""
    state: Any
    """Everything that a removal may wait for."""


class Controller:
    """Watches and works until cancelled; `client` writes only while we lead."""

    def __init__(  # noqa: PLR0913 - three are for tests and have defaults
        self,
        client: Client,
        options: Options,
        vector: Sequence[Source],
        *,
        now: Callable[[], datetime] = wall_clock,
        observer: Observer = ignore,
        pace: Pace = PACE,
    ) -> None:
        self._options = options
        self._carrier = Carrier(client)
        beside = Beside(Carrier(client, MONITORING_NAME), Certifier(client, now), options.monitoring)
        self._base = Base(client, options.namespace, changed=self._base_changed, pace=pace)
        renderer = Renderer()
        reconciler = Reconciler(
            options=options,
            now=now,
            observer=observer,
            client=client,
            recorder=Recorder(client, now),
            carrier=self._carrier,
            beside=beside,
            installer=Installer(self._base, Checker(), renderer, vector, beside, options.pull_secrets),
            remover=Remover(
                self._carrier, beside, ShootAccess(client, options.shoot_server), renderer, vector, options, now
            ),
        )
        deadline_s = options.deadline_s + MARGIN_S
        self.queue: Queue[Ref] = Queue(reconciler.work, workers=options.workers, deadline_s=deadline_s)
        self._sights: dict[str, dict[Ref, Sight]] = {}
        extensions, clusters = Collection(EXTENSIONS), Collection(CLUSTERS, metadata_only=True)
        self._extensions: Reflector[tuple[Ref, Sight]] = Reflector(
            client, extensions, project=_seen, changed=self._extension_changed, pace=pace
        )
        self._clusters: Reflector[tuple[str, str]] = Reflector(
            client, clusters, project=_version, changed=self._cluster_changed, pace=pace
        )
        self._carried: Reflector[_Carried] = Reflector(
            client, MANAGED_RESOURCES.named(NAME), project=_carried, changed=self._carried_changed, pace=pace
        )

    @property
    def known(self) -> asyncio.Event:
        """Set once it is known which Extensions there are."""
        return self._extensions.known

    async def run(self) -> None:
        """Watch and work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._extensions.run(), name="extensions")
            group.create_task(self._clusters.run(), name="clusters")
            group.create_task(self._carried.run(), name="managedresources")
            if self._options.namespace:
                group.create_task(self._base.run(), name="configs")
            else:
                self._base.known.set()
            group.create_task(self.queue.run(), name="queue")

    def _extension_changed(self, old: tuple[Ref, Sight] | None, new: tuple[Ref, Sight] | None) -> None:
        ref = (new or old or _NOBODY)[0]
        here = self._sights.setdefault(ref.namespace, {})
        if new is None:
            here.pop(ref, None)
            if not here:
                del self._sights[ref.namespace]
            return
        here[ref] = new[1]
        if old is None and not new[1].asking:  # seen for the first time, and nothing to do
            self.queue.add(ref, after_s=spread(self._options.resync_s))
        elif old is None or new[1].wants_work_after(old[1]):
            self.queue.add(ref)

    def _cluster_changed(self, old: tuple[str, str] | None, new: tuple[str, str] | None) -> None:
        if new is not None:
            self._add(ref for ref, seen in self._here(new[0]) if seen.asking)

    def _carried_changed(self, old: _Carried | None, new: _Carried | None) -> None:
        changed = new or old
        if changed is None:
            return
        namespace = changed.ref.namespace
        expected = self._carrier.expected.get(namespace)
        spoilt = expected is not None and (new is None or new.unreadable or new.spec != expected)
        self._add(ref for ref, seen in self._here(namespace) if seen.leaving or spoilt)

    def _base_changed(self) -> None:
        self._add(ref for namespace in [*self._sights] for ref, seen in self._here(namespace) if not seen.leaving)

    def _here(self, namespace: str) -> list[tuple[Ref, Sight]]:
        return [*self._sights.get(namespace, {}).items()]

    def _add(self, refs: Iterable[Ref]) -> None:
        for ref in refs:
            self.queue.add(ref)


def _seen(thing: Object) -> tuple[Ref, Sight] | None:
    seen = sight(thing)
    return None if seen is None else (ref_of(thing), seen)


def _version(thing: Object) -> tuple[str, str]:
    return thing["metadata"]["name"], thing["metadata"]["resourceVersion"]


def _carried(thing: Object) -> _Carried:
    said = {kind: (one.get("status"), one.get("message")) for kind, one in conditions(thing).items()}
    state = "deletionTimestamp" in thing["metadata"], (thing.get("status") or {}).get("observedGeneration"), said
    return _Carried(ref_of(thing), thing.get("spec"), is_unreadable(thing), state)


_NOBODY = (Ref("", ""), None)
