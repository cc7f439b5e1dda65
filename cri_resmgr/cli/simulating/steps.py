"""The steps of a scenario, and the pods in them, as plain values: valid, and independent of how they were written."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_resmgr.policies.contract import Policy
from cri_resmgr.policies.declarations import Declared


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """A container as its pod's spec has it; a request that was not said is the limit, as the API server makes it."""

    name: str
    resources: Declared
    sidecar: bool = False
    """An init container that goes on running."""


@dataclass(frozen=True, slots=True)
class PodSpec:
    """A pod as its spec has it."""

    name: str
    namespace: str
    containers: tuple[ContainerSpec, ...]
    init_containers: tuple[ContainerSpec, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    runtime_handler: str = ""

    @property
    def lasting(self) -> tuple[ContainerSpec, ...]:
        """The containers that do not run to an end."""
        return (*(c for c in self.init_containers if c.sidecar), *self.containers)


@dataclass(frozen=True, slots=True)
class Create:
    """A pod comes: its init containers run one after another, then its containers are created."""

    pod: PodSpec


@dataclass(frozen=True, slots=True)
class Start:
    """What has been created starts; a container that is named and is not there is created first, as anew."""

    pod: str
    container: str = ""


@dataclass(frozen=True, slots=True)
class Exit:
    """A container ends."""

    pod: str
    container: str


@dataclass(frozen=True, slots=True)
class Delete:
    """A pod goes, and everything in it."""

    pod: str


@dataclass(frozen=True, slots=True)
class Resize:
    """A container's resources change in place; what is not said (None) stays."""

    pod: str
    container: str
    cpu_request_millicpu: int | None = None
    cpu_limit_millicpu: int | None = None
    memory_request_bytes: int | None = None
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Configure:
    """The daemon starts again with another configuration, which makes this policy."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class Restart:
    """The daemon starts again."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Time passes, for those whom their policy wants to look at again."""

    time_s: float


Step = Create | Start | Exit | Delete | Resize | Configure | Restart | Wait
