"""A policy decides about the events of a recording, on a stage, as the daemon's did.

Follows in one of two ways.  The recorded configuration decides again: where the daemon's policy began anew, this one
begins with what the daemon had.  Or another one decides all the way: it keeps what it has given, configurations of the
recording do not count, and what it refused is not there in what follows.  Somebody whom the daemon refused and this
one takes stays until his pod is gone: how long he would have lived nobody knows.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

from cri_resmgr.observe.recording_events import (
    Began,
    Configured,
    Created,
    Event,
    PodGone,
    Rebalanced,
    Released,
    Revisited,
    Started,
    There,
    Undone,
    Updated,
)
from cri_resmgr.policies.contract import Policy, PolicyRefusal
from cri_resmgr.policies.staging import Mark, Stage
from cri_resmgr.values.workloads import Container

PolicyOf = Callable[[Configured], Policy]


class Replayed:
    """The containers that there would be now, by key; `policy_of` makes recorded configurations' policies.

    Without it the policy decides all the way.
    """

    def __init__(self, policy: Policy, there: tuple[There, ...], *, policy_of: PolicyOf | None = None) -> None:
        self._stage = Stage(policy, [(one.container, one.pod) for one in there])
        self._policy_of = policy_of
        self._mark: Mark | None = None
        self._only_here: set[str] = set()  # keys of those whom the daemon refused

    @property
    def containers(self) -> Mapping[str, Container]:
        """Live."""
        return self._stage.containers

    @property
    def policy_name(self) -> str:
        """Who decides now."""
        return self._stage.policy.name

    def take(self, event: Event) -> str:
        """Let the event happen; why what it wants is refused, or ""."""
        if isinstance(event, Created | Updated | Released | Revisited | Rebalanced):
            self._mark = self._stage.mark()
            try:
                self._asked(event)
            except PolicyRefusal as refusal:
                return str(refusal)
            return ""
        match event:
            case Undone() if self._mark is not None:
                self._stage.go_back(self._mark)
            case Started(key=key) if key in self.containers:
                self._stage.start(key)
            case PodGone(pod_id=pod_id):
                self._stage.delete_pod(pod_id)
            case Began():
                self._begin(event)
            case Configured() if self._policy_of is not None:
                self._stage.restore(self._policy_of(event))
        return ""

    def _asked(self, event: Created | Updated | Released | Revisited | Rebalanced) -> None:
        match event:
            case Created(container=container, pod=pod):
                if container.key not in self.containers:  # else the daemon refused it, and it is asked for once more
                    self._stage.create(container, pod)
                    if event.outcome.refused:
                        self._only_here.add(container.key)
            case Updated(container=wish) if wish.key in self.containers:
                self._stage.wish(_wished(self.containers[wish.key], wish))
            case Released(key=key) if key in self.containers:
                self._stage.exit(key)
            case Revisited(key=key) if key in self.containers:
                self._stage.revisit(key)
            case Rebalanced():
                self._stage.rebalance()

    def _begin(self, event: Began) -> None:
        running = {one.container.key: one for one in event.running}
        for key in [key for key in self.containers if key not in running and key not in self._only_here]:
            self._stage.drop(key)
        for key, one in running.items():
            if self._policy_of is not None or key not in self.containers:
                self._stage.take_over(one.container, one.pod)
        self._stage.restore()


def _wished(now: Container, wish: Container) -> Container:
    """The wish, by somebody who has what he has here."""
    has = {name: getattr(now, name) for name in ("given", "holding", "reasons", "candidates", "revisit_after_start_s")}
    return replace(wish, state=now.state, **has)
