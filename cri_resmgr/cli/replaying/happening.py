"""What has happened, by the recording's own word: no policy is asked."""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from cri_resmgr.observe.recording_events import (
    Began,
    Configured,
    Created,
    Event,
    Outcome,
    PodGone,
    Rebalanced,
    Released,
    Revisited,
    Started,
    There,
    Undone,
    Updated,
)
from cri_resmgr.state.ledger import with_decision
from cri_resmgr.values.decisions import Change, Decision
from cri_resmgr.values.workloads import Container, State


class Happened:
    """The containers that have not ended, by key, as the daemon had decided about them."""

    def __init__(self) -> None:
        self._containers: dict[str, Container] = {}
        self._before: dict[str, Container] = {}
        self.containers: Mapping[str, Container] = MappingProxyType(self._containers)

    def take(self, event: Event) -> str:
        """The event has happened; why what it wanted was refused, or ""."""
        if isinstance(event, Created | Updated | Released | Revisited | Rebalanced):
            self._before = dict(self._containers)
            self._decided(event)
            return event.outcome.refused
        match event:
            case There(container=container):
                self._containers[container.key] = container
            case Undone():
                self._containers.clear()
                self._containers.update(self._before)
            case Started(key=key) if key in self._containers:
                self._containers[key] = replace(self._containers[key], state=State.RUNNING)
            case PodGone(pod_id=pod_id):
                for key in [key for key, c in self._containers.items() if c.pod_id == pod_id]:
                    del self._containers[key]
            case Began(running=running, changes=changes):
                self._containers.clear()
                self._containers.update({one.container.key: one.container for one in running})
                self._begun(changes or {})
            case Configured(changes=changes):
                self._begun(changes or {})
        return ""

    def _decided(self, event: Created | Updated | Released | Revisited | Rebalanced) -> None:
        match event:
            case Created(container=container, outcome=outcome) | Updated(container=container, outcome=outcome):
                if not outcome.refused:
                    self._containers[container.key] = container
                self._own(container.key, outcome)
            case Released(key=key):
                self._containers.pop(key, None)
            case Revisited(key=key, outcome=outcome):
                self._own(key, outcome)
        if event.outcome.decision is not None:
            self._change(event.outcome.decision.neighbours)

    def _own(self, key: str, outcome: Outcome) -> None:
        if outcome.decision is not None and key in self._containers:
            self._containers[key] = with_decision(self._containers[key], outcome.decision)

    def _begun(self, changes: Mapping[str, Decision]) -> None:
        for key, decision in changes.items():
            self._own(key, Outcome(decision))

    def _change(self, neighbours: Mapping[str, Change]) -> None:
        for key, change in neighbours.items():
            if key in self._containers:
                old = self._containers[key]
                reasons = change.reasons or old.reasons
                self._containers[key] = replace(old, given=change.assignment, holding=change.holding, reasons=reasons)
