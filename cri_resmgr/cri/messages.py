"""CRI messages as bytes on one side, our frozen values on the other.

The intercepted calls run through here: one parse for each message, no copy beyond the values, and nothing is ever
encoded again (`patches` appends to the kubelet's own bytes).  A message that is none raises `Undecodable`; that is
the runtime's business to refuse, so whoever asked passes the call on.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods, verbose
from cri_resmgr.errors import Error
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod, State

M = TypeVar("M", bound=Message)


class Undecodable(Error):  # noqa: N818 - says what the message is
    """Not a message of the expected kind: whoever asked passes the call on as it is."""


@dataclass(frozen=True, slots=True)
class Version:
    """What the runtime says it is, such as `containerd`, `v2.1.4`, `v1`."""

    runtime: str
    version: str
    api: str


@dataclass(frozen=True, slots=True)
class Mount:
    """A path of the host that a container sees; `host_path` is "" where something else than the host provides it."""

    host_path: str
    container_path: str
    readonly: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """A device node of the host that a container may use; `permissions` are letters of `rwm`."""

    host_path: str
    container_path: str
    permissions: str


# ---- requests and replies of intercepted calls ---------------------------------------------------------------------


def pod_of_run(request: bytes, reply: bytes) -> Pod:
    """The pod that a RunPodSandbox has made."""
    asked = parsed(api.RunPodSandboxRequest, request)
    config, metadata = asked.config, asked.config.metadata
    return Pod(
        id=parsed(api.RunPodSandboxResponse, reply).pod_sandbox_id,
        name=metadata.name,
        namespace=metadata.namespace,
        uid=metadata.uid,
        cgroup_parent=config.linux.cgroup_parent,
        runtime_handler=asked.runtime_handler,
        labels=_plain(config.labels),
        annotations=_plain(config.annotations),
    )


def container_of_create(request: bytes) -> Container:
    """The container that a CreateContainer asks for: without an id, `asked` filled."""
    asked = parsed(api.CreateContainerRequest, request)
    config, metadata = asked.config, asked.config.metadata
    return Container(
        pod_id=asked.pod_sandbox_id,
        name=metadata.name,
        attempt=metadata.attempt,
        labels=_plain(config.labels),
        annotations=_plain(config.annotations),
        asked=_resources(config.linux.resources),
    )


def paths_of_create(request: bytes) -> tuple[tuple[Mount, ...], tuple[Device, ...]]:
    """The mounts and devices of a CreateContainer."""
    config = parsed(api.CreateContainerRequest, request).config
    mounts = tuple(Mount(said.host_path, said.container_path, said.readonly) for said in config.mounts)
    return mounts, tuple(Device(said.host_path, said.container_path, said.permissions) for said in config.devices)


def container_id_of_created(reply: bytes) -> str:
    """The id that the runtime has given in a reply to CreateContainer."""
    return parsed(api.CreateContainerResponse, reply).container_id


def id_of(method: str, request: bytes) -> str:
    """The pod or container that a Start, Stop, Remove, Update or Status request names; `method` is a full path."""
    types = methods.types_of(method)
    if types is None:
        raise Undecodable(f"{method} is not in the schema; cri_resmgr/cri/api.proto may be too old")
    asked = parsed(types[0], request)
    for name in ("container_id", "pod_sandbox_id"):
        if name in types[0].DESCRIPTOR.fields_by_name:
            return str(getattr(asked, name))
    raise Undecodable(f"a request of {method} names no pod or container")


def update_of(request: bytes) -> tuple[str, Resources]:
    """The container of an UpdateContainerResources and what it sets; 0 and "" are left as they are."""
    asked = parsed(api.UpdateContainerResourcesRequest, request)
    return asked.container_id, _resources(asked.linux)


# ---- what the runtime tells ----------------------------------------------------------------------------------------


def is_unfiltered_list(path: str, request: bytes) -> bool:
    """Whether the reply will name every pod or container; an encoding that we have not foreseen counts as a filter."""
    return path in methods.TAPPED and request in _UNFILTERED


def pods_listed(reply: bytes) -> tuple[Pod, ...]:
    """The pods of a ListPodSandbox; their cgroup parent is not told, see `pod_of_status`."""
    return tuple(_pod(item) for item in parsed(api.ListPodSandboxResponse, reply).items)


def containers_listed(reply: bytes) -> tuple[Container, ...]:
    """The containers of a ListContainers; their resources are not told, see `resources_of_status`."""
    return tuple(_container(item) for item in parsed(api.ListContainersResponse, reply).containers)


def pod_ids_listed(reply: bytes) -> frozenset[str]:
    """Only the ids of a ListPodSandbox: what the tap needs each second."""
    return frozenset(item.id for item in parsed(api.ListPodSandboxResponse, reply).items)


def states_listed(reply: bytes) -> dict[str, State]:
    """Only ids and states of a ListContainers: what the tap needs each second."""
    return {item.id: _state(item.state) for item in parsed(api.ListContainersResponse, reply).containers}


def pod_of_status(reply: bytes) -> Pod:
    """The pod of a verbose PodSandboxStatus, with its cgroup parent if the runtime says it."""
    said = parsed(api.PodSandboxStatusResponse, reply)
    return _pod(said.status, verbose.cgroup_parent(said.info))


def resources_of_status(reply: bytes) -> Resources | None:
    """What a container has, from a verbose ContainerStatus: its OCI spec, else what CRI says; None if neither does."""
    said = parsed(api.ContainerStatusResponse, reply)
    found = verbose.resources(said.info)
    if found is None and said.status.resources.HasField("linux"):
        found = _resources(said.status.resources.linux)
    return found


def resources_told(reply: bytes) -> Resources | None:
    """What CRI's own fields in a ContainerStatus say that a container has; None if the runtime leaves them out."""
    said = parsed(api.ContainerStatusResponse, reply).status.resources
    return _resources(said.linux) if said.HasField("linux") else None


def pid_of_status(reply: bytes) -> int:
    """The first process of a running container, from a verbose ContainerStatus; 0 if it has none or is not running."""
    said = parsed(api.ContainerStatusResponse, reply)
    return verbose.pid(said.info) if said.status.state == api.CONTAINER_RUNNING else 0


def version_of(reply: bytes) -> Version:
    """What a Version reply says."""
    said = parsed(api.VersionResponse, reply)
    return Version(said.runtime_name, said.runtime_version, said.runtime_api_version)


# ---- our own requests ----------------------------------------------------------------------------------------------

EVERYTHING = b""  # a list request without a filter; also Version, which needs no argument


def pod_status_request(pod_id: str) -> bytes:
    """A verbose PodSandboxStatus."""
    return api.PodSandboxStatusRequest(pod_sandbox_id=pod_id, verbose=True).SerializeToString()


def container_status_request(container_id: str) -> bytes:
    """A verbose ContainerStatus."""
    return api.ContainerStatusRequest(container_id=container_id, verbose=True).SerializeToString()


# ---- pieces --------------------------------------------------------------------------------------------------------

_UNFILTERED = frozenset({b"", b"\n\x00"})  # no filter, or one that is empty


def parsed(kind: type[M], data: bytes) -> M:
    """The message of `kind` in `data`; for those who need more than the values here. Raises Undecodable."""
    try:
        return kind.FromString(data)
    except DecodeError as error:
        raise Undecodable(f"{len(data)} bytes are no {kind.DESCRIPTOR.name}; they are passed on unread") from error


def _plain(said: Mapping[str, str]) -> dict[str, str]:
    return {key: said[key] for key in said}  # a third faster than dict() on protobuf's maps


def _resources(said: api.LinuxContainerResources) -> Resources:
    return Resources(
        cpu_period_us=said.cpu_period,
        cpu_quota_us=said.cpu_quota,
        cpu_shares=said.cpu_shares,
        memory_limit_bytes=said.memory_limit_in_bytes,
        oom_score_adj=said.oom_score_adj,
        cpuset_cpus=said.cpuset_cpus,
        cpuset_mems=said.cpuset_mems,
        memory_swap_limit_bytes=said.memory_swap_limit_in_bytes,
    )


def _pod(said: api.PodSandbox | api.PodSandboxStatus, cgroup_parent: str = "") -> Pod:
    metadata = said.metadata
    return Pod(
        id=said.id,
        name=metadata.name,
        namespace=metadata.namespace,
        uid=metadata.uid,
        cgroup_parent=cgroup_parent,
        runtime_handler=said.runtime_handler,
        labels=_plain(said.labels),
        annotations=_plain(said.annotations),
    )


def _container(said: api.Container) -> Container:
    return Container(
        pod_id=said.pod_sandbox_id,
        name=said.metadata.name,
        attempt=said.metadata.attempt,
        id=said.id,
        state=_state(said.state),
        labels=_plain(said.labels),
        annotations=_plain(said.annotations),
    )


def _state(said: int) -> State:
    """A state that the runtime does not know, or that we do not, counts as running: its CPUs may be in use."""
    if said == api.CONTAINER_EXITED:
        return State.EXITED
    return State.CREATED if said == api.CONTAINER_CREATED else State.RUNNING
