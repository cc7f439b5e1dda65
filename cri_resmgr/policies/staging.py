"""A stage: a policy that acts in memory, driven exactly as the manager drives it.

It keeps what the ledger would: pods, containers in the order of their creation, and the policy's own state; every
decision is applied to its container and to the neighbours.  There is no runtime, so whatever is decided happens, and
no clock, so a revisit takes place when somebody asks for it.  `simulate`, `plan` and `replay` stand on it, and so do
the tests of policies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

from cri_resmgr.policies.contract import Policy
from cri_resmgr.policies.contract import State as PolicyState
from cri_resmgr.values.decisions import Change, Decision
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod, State


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment of a stage."""

    state: PolicyState
    containers: Mapping[str, Container]


class Stage:
    """What runs under one policy; begins with the containers that run already, restored.

    The mappings are live views: `containers` by key, in the order of creation, those that have ended left out; `pods`
    by id.
    """

    __slots__ = ("_containers", "_pods", "containers", "pods", "policy", "state")

    def __init__(self, policy: Policy, running: Sequence[tuple[Container, Pod]] = ()) -> None:
        self.policy = policy
        self._pods = {pod.id: pod for _, pod in running}
        self._containers = {container.key: container for container, _ in running}
        self.pods: Mapping[str, Pod] = MappingProxyType(self._pods)
        self.containers: Mapping[str, Container] = MappingProxyType(self._containers)
        self.state: PolicyState = None
        self.restore()

    def create(self, container: Container, pod: Pod) -> Decision:
        """A container comes to be, or the policy refuses it: PolicyRefusal, and nothing has changed."""
        decision, self.state = self.policy.create(self.state, container, pod)
        self._pods[pod.id] = pod
        self._containers[container.key] = replace(container, state=State.CREATED)
        return self._apply(container.key, decision)

    def start(self, key: str) -> None:
        """A container runs."""
        self._containers[key] = replace(self._containers[key], state=State.RUNNING)

    def update(self, key: str, asked: Resources) -> Decision:
        """The kubelet resizes a container; fields that are not set stay.  PolicyRefusal: nothing has changed."""
        container = self._containers[key]
        return self.wish(replace(container, asked=container.asked.merged(asked)))

    def wish(self, container: Container) -> Decision:
        """Something else is wished for a container from now on.  PolicyRefusal: nothing has changed."""
        decision, self.state = self.policy.update(self.state, container, self._pods[container.pod_id])
        self._containers[container.key] = container
        return self._apply(container.key, decision)

    def revisit(self, key: str) -> Decision:
        """The time that a container's decision asked for has passed."""
        container = self._containers[key]
        decision, self.state = self.policy.revisit(self.state, container, self._pods[container.pod_id])
        return self._apply(key, decision)

    def exit(self, key: str) -> Decision:
        """A container ends and holds nothing any more."""
        decision, self.state = self.policy.release(self.state, key)
        del self._containers[key]
        self._change(decision.neighbours)
        return decision

    def delete_pod(self, pod_id: str) -> tuple[Decision, ...]:
        """A pod goes and takes its containers with it; what each of their ends has led to."""
        keys = [key for key, container in self._containers.items() if container.pod_id == pod_id]
        ends = tuple(map(self.exit, keys))
        self._pods.pop(pod_id, None)
        return ends

    def take_over(self, container: Container, pod: Pod) -> None:
        """A container is there with what it has, and the policy learns of it when it is restored."""
        self._pods[pod.id] = pod
        self._containers[container.key] = container

    def drop(self, key: str) -> None:
        """A container is not there, and the policy learns of it when it is restored."""
        self._containers.pop(key, None)

    def mark(self) -> "Mark":
        """This moment, to go back to."""
        return Mark(self.state, dict(self._containers))

    def go_back(self, mark: "Mark") -> None:
        """Nothing has happened since."""
        self.state = mark.state
        self._containers.clear()
        self._containers.update(mark.containers)

    def rebalance(self) -> Decision:
        """The policy puts right what has grown crooked."""
        decision, self.state = self.policy.rebalance(self.state)
        self._change(decision.neighbours)
        return decision

    def restore(self, policy: Policy | None = None) -> Mapping[str, Decision]:
        """The daemon starts again: the state is thrown away and made from the holdings, by `policy` if there is one.

        Returns what was decided anew, by key.
        """
        self.policy = policy or self.policy
        restored = self.policy.restore([(c, self._pods[c.pod_id]) for c in self._containers.values()])
        self.state = restored.state
        for key, decision in restored.changes.items():
            self._apply(key, decision)
        return restored.changes

    def _apply(self, key: str, decision: Decision) -> Decision:
        self._containers[key] = replace(
            self._containers[key],
            given=decision.assignment,
            holding=decision.holding,
            reasons=decision.reasons,
            candidates=decision.candidates,
            revisit_after_start_s=decision.revisit_after_start_s,
        )
        self._change(decision.neighbours)
        return decision

    def _change(self, neighbours: Mapping[str, Change]) -> None:
        for key, change in neighbours.items():
            old = self._containers[key]
            reasons = change.reasons or old.reasons
            self._containers[key] = replace(old, given=change.assignment, holding=change.holding, reasons=reasons)
