"""Pods as a kubelet asks a runtime for them: QoS class, cgroup parent, shares, quota, OOM score."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_resmgr.cri import api_pb2
from equipment.cri import HOST_NETWORK
from equipment.stand_ins import BUSYBOX

PERIOD_US = 100_000
LEAST_SHARES = 2
MIB = 2**20
COMMAND = ("sleep", "2147483647")
_NAMESPACES = api_pb2.NamespaceOption(network=HOST_NETWORK, pid=api_pb2.CONTAINER)
_OOM_SCORES = {"guaranteed": -997, "burstable": 900, "besteffort": 1000}


@dataclass(frozen=True)
class Container:
    """Requests and limits; 0 is none."""

    name: str
    request_millicpu: int = 0
    limit_millicpu: int = 0
    request_bytes: int = 0
    limit_bytes: int = 0


@dataclass(frozen=True)
class Pod:
    """A pod on the host's network, which needs no CNI, and without a host name of its own, which that forbids."""

    name: str
    containers: tuple[Container, ...]
    namespace: str = "default"
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def uid(self) -> str:
        """As unique as the name, for a test."""
        return f"{self.name}-uid"

    @property
    def qos(self) -> str:
        """The class that follows from requests and limits."""
        asked = [(c.request_millicpu, c.request_bytes, c.limit_millicpu, c.limit_bytes) for c in self.containers]
        if not any(any(each) for each in asked):
            return "besteffort"
        return "guaranteed" if all(all(each) and each[:2] == each[2:] for each in asked) else "burstable"


def guaranteed(name: str, *millicpu: int, mib: int = 100, annotations: Mapping[str, str] | None = None) -> Pod:
    """A container NAMEc0, NAMEc1, … for each amount of CPU, with equal requests and limits."""
    containers = (Container(f"{name}c{n}", each, each, mib * MIB, mib * MIB) for n, each in enumerate(millicpu))
    return Pod(name, tuple(containers), annotations=annotations or {})


def burstable(name: str, *millicpu: int) -> Pod:
    """The same with requests of CPU only."""
    return Pod(name, tuple(Container(f"{name}c{n}", each) for n, each in enumerate(millicpu)))


def besteffort(name: str, *, namespace: str = "default") -> Pod:
    """One container NAMEc0 that asks for nothing."""
    return Pod(name, (Container(f"{name}c0"),), namespace)


def cgroup_parent(pod: Pod, driver: str) -> str:
    """Where the kubelet puts the pod with this cgroup driver, `systemd` or `cgroupfs`."""
    parts = ["kubepods", *([] if pod.qos == "guaranteed" else [pod.qos]), f"pod{pod.uid}"]
    if driver == "cgroupfs":
        return "/" + "/".join(parts)
    escaped = [part.replace("-", "_") for part in parts]
    return "/" + "/".join("-".join(escaped[: depth + 1]) + ".slice" for depth in range(len(escaped)))


def resources(container: Container, qos: str) -> api_pb2.LinuxContainerResources:
    """What the kubelet makes of requests and limits."""
    return api_pb2.LinuxContainerResources(
        cpu_period=PERIOD_US,
        cpu_quota=container.limit_millicpu * PERIOD_US // 1000,
        cpu_shares=max(LEAST_SHARES, container.request_millicpu * 1024 // 1000),
        memory_limit_in_bytes=container.limit_bytes,
        oom_score_adj=_OOM_SCORES[qos],
    )


def sandbox_config(pod: Pod, driver: str) -> api_pb2.PodSandboxConfig:
    """For RunPodSandbox."""
    context = api_pb2.LinuxSandboxSecurityContext(namespace_options=_NAMESPACES)
    return api_pb2.PodSandboxConfig(
        metadata=api_pb2.PodSandboxMetadata(name=pod.name, namespace=pod.namespace, uid=pod.uid),
        labels=_labels(pod),
        annotations=pod.annotations,
        linux=api_pb2.LinuxPodSandboxConfig(security_context=context, cgroup_parent=cgroup_parent(pod, driver)),
    )


def container_config(pod: Pod, container: Container) -> api_pb2.ContainerConfig:
    """For CreateContainer."""
    return api_pb2.ContainerConfig(
        metadata=api_pb2.ContainerMetadata(name=container.name),
        image=api_pb2.ImageSpec(image=BUSYBOX),
        command=COMMAND,
        labels=_labels(pod) | {"io.kubernetes.container.name": container.name},
        linux=api_pb2.LinuxContainerConfig(
            resources=resources(container, pod.qos),
            security_context=api_pb2.LinuxContainerSecurityContext(namespace_options=_NAMESPACES),
        ),
    )


def _labels(pod: Pod) -> dict[str, str]:
    return {
        "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": pod.namespace,
        "io.kubernetes.pod.uid": pod.uid,
    }
