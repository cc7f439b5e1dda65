"""What a kubelet makes of a pod's spec: its class, its cgroup, and the resources that it asks the runtime for.

The arithmetic is that of Kubernetes (ComputePodQOS, calculateLinuxResources, GetContainerOOMScoreAdjust), the cgroup
driver cgroupfs.  There is no webhook: of a Burstable container's memory request the policy learns as much as on a
node without one, unless the scenario gives the pod the annotation.
"""

from cri_resmgr.cli.simulating.steps import ContainerSpec, PodSpec
from cri_resmgr.policies.declarations import Declared
from cri_resmgr.policies.requirements import Qos
from cri_resmgr.values import quantities
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod

_CGROUPS = {Qos.GUARANTEED: "", Qos.BURSTABLE: "burstable/", Qos.BEST_EFFORT: "besteffort/"}
_OOM_GUARANTEED, _OOM_BURSTABLE_LEAST, _OOM_BURSTABLE_MOST, _OOM_BEST_EFFORT = -997, 3, 999, 1000


def qos(pod: PodSpec) -> Qos:
    """The pod's class."""
    amounts = [a for c in (*pod.init_containers, *pod.containers) for a in (c.resources.cpu, c.resources.memory)]
    if not any(amount.request or amount.limit for amount in amounts):
        return Qos.BEST_EFFORT
    guaranteed = all(amount.limit and amount.request == amount.limit for amount in amounts)
    return Qos.GUARANTEED if guaranteed else Qos.BURSTABLE


def sandbox(spec: PodSpec, uid: str) -> Pod:
    """The pod as the runtime is told of it."""
    return Pod(
        id=uid,
        name=spec.name,
        namespace=spec.namespace,
        uid=uid,
        cgroup_parent=f"/kubepods/{_CGROUPS[qos(spec)]}pod{uid}",
        runtime_handler=spec.runtime_handler,
        labels={**spec.labels, **_labels(spec.name, spec.namespace, uid)},
        annotations=spec.annotations,
    )


def container(spec: ContainerSpec, pod: Pod, attempt: int, asked: Resources) -> Container:
    """One instance of a container as the runtime is told of it."""
    labels = {"io.kubernetes.container.name": spec.name, **_labels(pod.name, pod.namespace, pod.uid)}
    return Container(pod.id, spec.name, attempt, labels=labels, asked=asked)


def asked(resources: Declared, qos: Qos, *, memory_bytes: int) -> Resources:
    """What is asked for a container in a pod of this class; `memory_bytes` is what the machine has."""
    cpu, memory = resources.cpu, resources.memory
    return Resources(
        cpu_period_us=quantities.PERIOD_US,
        cpu_quota_us=quantities.quota_of(cpu.limit),
        cpu_shares=quantities.shares_of(cpu.request),
        memory_limit_bytes=memory.limit,
        oom_score_adj=_oom_score_adj(qos, memory.request, memory_bytes=memory_bytes),
    )


def _oom_score_adj(qos: Qos, request_bytes: int, *, memory_bytes: int) -> int:
    if qos is Qos.GUARANTEED:
        return _OOM_GUARANTEED
    if qos is Qos.BEST_EFFORT:
        return _OOM_BEST_EFFORT
    share = 1000 * request_bytes // memory_bytes if memory_bytes else 0
    return min(max(1000 - share, _OOM_BURSTABLE_LEAST), _OOM_BURSTABLE_MOST)


def _labels(name: str, namespace: str, uid: str) -> dict[str, str]:
    return {"io.kubernetes.pod.name": name, "io.kubernetes.pod.namespace": namespace, "io.kubernetes.pod.uid": uid}
