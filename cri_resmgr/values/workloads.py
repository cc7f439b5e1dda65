"""Pods and containers as the ledger remembers them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from cri_resmgr.values.adjustments import UNADJUSTED, Adjusted, due
from cri_resmgr.values.decisions import HOLDING_NOTHING, Candidate, Holding
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.resources import NOTHING, Assignment, Resources


class State(Enum):
    """Where a container is in its life; the values are what the store keeps."""

    CREATING = "creating"  # CreateContainer has been decided and not yet answered
    CREATED = "created"
    RUNNING = "running"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Pod:
    """A sandbox. `id` is the runtime's; labels and annotations are the kubelet's."""

    id: str
    name: str
    namespace: str
    uid: str
    cgroup_parent: str = ""
    runtime_handler: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Container:
    """One instance of a container: a restart of it is another instance with a higher `attempt`.

    `id` is the runtime's, "" while it is being created; `asked` is the kubelet's word, remembered
    beside `given`, what was decided, so that everything can be given back.  `told` is what the runtime
    has been told of what is `due`: where it differs from that it must be told again.
    """

    pod_id: str
    name: str
    attempt: int
    id: str = ""
    state: State = State.CREATING
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    asked: Resources = field(default_factory=Resources)
    given: Assignment = NOTHING
    holding: Holding = HOLDING_NOTHING
    hints: tuple[Hint, ...] = ()  # where its devices and volumes are
    reasons: tuple[str, ...] = ()
    candidates: tuple[Candidate, ...] = ()  # what the policy looked at when it decided, for `explain`
    adopted: bool = False  # it was there before us
    told: Assignment = NOTHING
    revisit_after_start_s: float = 0.0  # when the policy wants to be asked again, 0 for never
    adjustment: Adjusted = UNADJUSTED  # what somebody else wants for it
    key: str = field(init=False)  # what identifies an instance before the runtime has named it, and for ever after

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", f"{self.pod_id}/{self.name}/{self.attempt}")

    @property
    def wanted(self) -> Resources:
        """What is asked for it, adjusted: what a policy decides about."""
        return self.asked if self.adjustment is UNADJUSTED else self.adjustment.over(self.asked)

    @property
    def due(self) -> Assignment:
        """What the runtime must be told: what the policy has given, and what the adjustment changes beside it."""
        return self.given if self.adjustment is UNADJUSTED else due(self.given, self.adjustment, self.asked)
