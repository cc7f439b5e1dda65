"""The ledger: which pods and containers there are, what was asked for them, what was decided and why.

It lives in memory and belongs to the event loop: no locks, no I/O, every operation independent of how much it holds.
The store behind it is told by `writer`, which takes the changes from here.

A container is filed under its key (pod, name, attempt), which is known before the runtime has named it and never
passes to another instance.  A restarted container is therefore another row, and removing the old instance cannot
touch the running one, whose resources the predecessor released in that case (core spec §13.2-1).  A change to an
instance that is gone changes nothing: calls overtake each other, and the last removal wins.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from cri_resmgr.state.tracking import Pending, Tracked
from cri_resmgr.values.adjustments import Adjusted
from cri_resmgr.values.decisions import HOLDING_NOTHING, Change, Decision
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State


@dataclass(frozen=True, slots=True)
class Changes:
    """What a write must tell the store; false when there is nothing."""

    pods: Pending[Pod]
    containers: Pending[Container]

    def __len__(self) -> int:
        return len(self.pods.rows) + len(self.containers.rows)


class Ledger:
    """Pods by sandbox id and containers by key; begins with what the store had.

    The mappings are live views for reading: `pods`, `containers`, `holders`, which are the containers that have not
    ended, and `owed`, those of them of whose last decision the runtime does not know yet.
    """

    __slots__ = (
        "_containers",
        "_holders",
        "_keys_by_id",
        "_keys_of_pod",
        "_owed",
        "_pods",
        "containers",
        "holders",
        "owed",
        "pods",
    )

    def __init__(self, pods: Iterable[Pod] = (), containers: Iterable[Container] = ()) -> None:
        self._pods = Tracked((pod.id, pod) for pod in pods)
        self._containers = Tracked((container.key, container) for container in containers)
        self.pods: Mapping[str, Pod] = MappingProxyType(self._pods.rows)
        self.containers: Mapping[str, Container] = MappingProxyType(self._containers.rows)
        self._holders: dict[str, Container] = {}
        self.holders: Mapping[str, Container] = MappingProxyType(self._holders)
        self._owed: dict[str, Container] = {}
        self.owed: Mapping[str, Container] = MappingProxyType(self._owed)
        self._keys_by_id: dict[str, str] = {}
        self._keys_of_pod: dict[str, dict[str, None]] = {}  # a dict keeps the order of arrival
        for container in self.containers.values():
            self._index(container)

    # -- reading

    def by_id(self, container_id: str) -> Container | None:
        """The instance that the runtime calls so."""
        key = self._keys_by_id.get(container_id)
        return None if key is None else self.containers[key]

    def of_pod(self, pod_id: str) -> tuple[Container, ...]:
        """A pod's containers in the order of their arrival, ended ones and those of unknown pods included."""
        return tuple(self.containers[key] for key in self._keys_of_pod.get(pod_id, ()))

    def running(self) -> tuple[Container, ...]:
        """The containers that run now: a snapshot, so the caller may wait while walking."""
        return tuple(c for c in self.containers.values() if c.state is State.RUNNING)

    # -- changing

    def put_pod(self, pod: Pod) -> Pod | None:
        """Insert or replace a pod; returns what stood there."""
        return self._pods.put(pod.id, pod)

    def drop_pod(self, pod_id: str) -> tuple[Container, ...]:
        """Remove a pod and its containers; returns the containers that went with it."""
        self._pods.drop(pod_id)
        gone = self.of_pod(pod_id)
        for container in gone:
            self.drop(container.key)
        return gone

    def put(self, container: Container) -> Container | None:
        """Insert or replace a container; returns what stood under its key, for whoever must undo this."""
        key = container.key
        namesake = self._keys_by_id.get(container.id, key)
        if namesake != key:  # the runtime names one instance so: the older record is a mistake
            self.drop(namesake)
        old = self._containers.put(key, container)
        if old is not None:
            self._keys_by_id.pop(old.id, None)
        self._index(container)
        return old

    def drop(self, key: str) -> Container | None:
        """Remove a container and every trace of it; returns it."""
        old = self._containers.drop(key)
        if old is None:
            return None
        self._keys_by_id.pop(old.id, None)
        self._holders.pop(key, None)
        self._owed.pop(key, None)
        siblings = self._keys_of_pod[old.pod_id]
        del siblings[key]
        if not siblings:
            del self._keys_of_pod[old.pod_id]
        return old

    def created(self, key: str, container_id: str) -> Container | None:
        """The runtime has created the container and named it; one that has ended meanwhile stays so."""
        old = self.containers.get(key)
        if old is None:
            return None
        state = State.CREATED if old.state is State.CREATING else old.state
        return self._replaced(replace(old, id=container_id, state=state))

    def moved(self, key: str, state: State) -> Container | None:
        """The container has gone on in its life; what has ended holds nothing."""
        old = self.containers.get(key)
        if old is None:
            return None
        holding = HOLDING_NOTHING if state is State.EXITED else old.holding
        return self._replaced(replace(old, state=state, holding=holding))

    def decided(self, key: str, decision: Decision) -> Container | None:
        """The policy has decided about the container itself."""
        old = self.containers.get(key)
        return old and self._replaced(with_decision(old, decision))

    def placed(self, key: str, change: Change) -> Container | None:
        """The policy has changed what the container has because of another one."""
        old = self.containers.get(key)
        if old is None:
            return None
        reasons = change.reasons or old.reasons
        return self._replaced(replace(old, given=change.assignment, holding=change.holding, reasons=reasons))

    def told(self, key: str, assignment: Assignment) -> Container | None:
        """The runtime has been told of a decision."""
        old = self.containers.get(key)
        if old is None or old.told == assignment:
            return old
        return self._replaced(replace(old, told=assignment))

    def asked(self, key: str, resources: Resources) -> Container | None:
        """The kubelet has said what it wants for the container."""
        old = self.containers.get(key)
        if old is None or old.asked == resources:
            return old
        return self._replaced(replace(old, asked=resources))

    def adjusted(self, key: str, adjustment: Adjusted) -> Container | None:
        """Somebody else wants something for the container, or nothing any more."""
        old = self.containers.get(key)
        if old is None or old.adjustment == adjustment:
            return old
        return self._replaced(replace(old, adjustment=adjustment))

    # -- telling the store

    def take_changes(self) -> Changes:
        """Everything that changed since the last time; the caller writes it or puts it back."""
        return Changes(self._pods.take(), self._containers.take())

    def put_back(self, changes: Changes) -> None:
        """Keep for the next write what could not be written; changes made since then win."""
        self._pods.put_back(changes.pods)
        self._containers.put_back(changes.containers)

    def take_back_all(self) -> None:
        """Let the next write tell everything: the store is being replaced by an empty one."""
        self._pods.take_back_all()
        self._containers.take_back_all()

    def _replaced(self, container: Container) -> Container:
        self.put(container)
        return container

    def _index(self, container: Container) -> None:
        key = container.key
        if container.id:
            self._keys_by_id[container.id] = key
        ended = container.state is State.EXITED
        if ended:
            self._holders.pop(key, None)
        else:
            self._holders[key] = container
        if ended or container.told == container.due:
            self._owed.pop(key, None)
        else:
            self._owed[key] = container
        self._keys_of_pod.setdefault(container.pod_id, {})[key] = None


def with_decision(container: Container, decision: Decision, *, told: Assignment | None = None) -> Container:
    """The container with what was decided about it; `told`, if that changes, is what the runtime knows."""
    return replace(
        container,
        told=container.told if told is None else told,
        given=decision.assignment,
        holding=decision.holding,
        reasons=decision.reasons,
        candidates=decision.candidates,
        revisit_after_start_s=decision.revisit_after_start_s,
    )
