"""What an operator must know, as values: kept by the manager, shown by `status`, published by the node agent.

As text they are one JSON list, oldest first, under `META_KEY` beside the ledger.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

META_KEY = "events"


class Kind(StrEnum):
    """What happened, in the words of Kubernetes' event reasons."""

    POLICY_REFUSED = "PolicyRefused"  # a container does not fit and was not made, or not resized
    POLICY_REJECTED = "PolicyRejected"  # the policy broke, and what it was asked about was rejected
    POLICY_PASSED = "PolicyPassed"  # the policy gave no decision, and the container runs as the kubelet asked
    UPDATE_FAILED = "UpdateFailed"  # the runtime does not take what was decided
    CPUSET_DRIFT = "CpusetDrift"  # somebody else has changed a container's CPUs or memory nodes
    EXPORT_FAILED = "ExportFailed"  # a container cannot read its `resources.sh`
    KUBELET_PINS = "KubeletPins"  # the kubelet gives CPUs or memory nodes to containers, too
    CONFIG_REJECTED = "ConfigRejected"  # a configuration cannot be used; the one before stays
    ADJUSTMENTS_REJECTED = "AdjustmentsRejected"  # adjustments contradict each other, or do not fit
    POLICY_WARNING = "PolicyWarning"  # the configuration does not go with what runs here


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, `count` times from `first_s` to `last_s` (Unix time, seconds).

    It is about a container, a pod when `container` is "", or the node when `pod` is "" as well.
    """

    kind: str
    text: str
    first_s: float
    last_s: float
    count: int = 1
    namespace: str = ""
    pod: str = ""
    pod_uid: str = ""
    container: str = ""

    @property
    def subject(self) -> str:
        """`NAMESPACE/POD:CONTAINER`, `NAMESPACE/POD`, or "" for the node."""
        pod = "/".join(filter(None, (self.namespace, self.pod)))
        return ":".join(filter(None, (pod, self.container)))


def written(events: Iterable[Event]) -> str:
    """The events as text; `read` gives equal values."""
    return json.dumps([asdict(event) for event in events], separators=(",", ":"))


def read(text: str | None) -> tuple[Event, ...]:
    """The events in a text, none if there is no text, or none that this version understands."""
    try:
        found = tuple(Event(**fields) for fields in json.loads(text or "[]"))
    except (TypeError, ValueError, RecursionError):
        return ()
    return found if all(map(_sound, found)) else ()


def _sound(event: Event) -> bool:
    words = (event.kind, event.text, event.namespace, event.pod, event.pod_uid, event.container)
    numbers = (event.first_s, event.last_s, event.count)
    return all(isinstance(word, str) for word in words) and all(isinstance(n, int | float) for n in numbers)
