"""Steps, resources and machines in a few words."""

from collections.abc import Iterator

from cri_resmgr.cli.simulating import drawing, kubelet
from cri_resmgr.cli.simulating.steps import (
    Configure,
    ContainerSpec,
    Create,
    Delete,
    Exit,
    PodSpec,
    Resize,
    Restart,
    Start,
    Step,
    Wait,
)
from cri_resmgr.policies.declarations import Amounts
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine


def step(taken: Step) -> str:
    """What a step does."""
    match taken:
        case Create(pod):
            said = f"create {_pod(pod)}"
        case Start(pod, container):
            said = f"start {pod}:{container}" if container else f"start {pod}"
        case Exit(pod, container):
            said = f"{pod}:{container} exits"
        case Delete(pod):
            said = f"delete {pod}"
        case Resize():
            said = f"resize {taken.pod}:{taken.container} to {', '.join(_resized(taken)) or 'what it has'}"
        case Configure(policy):
            said = f"configure anew: policy {policy.name}"
        case Restart():
            said = "the daemon starts again"
        case Wait(time_s):
            said = f"{time_s:g} s pass"
    return said


def machine(of: Machine) -> str:
    """What a machine consists of."""
    memory = drawing.size(sum(node.memory_bytes for node in of.nodes))
    parts = [
        _many(len(of.packages), "package"),
        _many(len(of.dies), "die") if len(of.dies) > len(of.packages) else "",
        _many(len(of.nodes), "node"),
        _many(len(of.cores), "core"),
        _many(of.online.bit_count(), "CPU"),
        memory,
        f"isolated {cpusets.text(of.isolated)}" if of.isolated else "",
        f"offline {cpusets.text(of.offline)}" if of.offline else "",
    ]
    return ", ".join(filter(None, parts))


def cpu(millicpu: int) -> str:
    """An amount of CPU as Kubernetes writes it: `2`, `1500m`."""
    return f"{millicpu}m" if millicpu % 1000 else str(millicpu // 1000)


def _pod(pod: PodSpec) -> str:
    namespace = "" if pod.namespace == "default" else f" in {pod.namespace}"
    init = [f"first {', then '.join(map(_container, pod.init_containers))}"] if pod.init_containers else []
    containers = "; ".join((*init, ", ".join(map(_container, pod.containers))))
    return f"{pod.name}{namespace}, {kubelet.qos(pod).value}: {containers}"


def _container(spec: ContainerSpec) -> str:
    said = ", ".join(_amounts(spec))
    return f"{spec.name} ({said})" if said else spec.name


def _amounts(spec: ContainerSpec) -> Iterator[str]:
    if spec.resources.cpu != Amounts():
        yield f"{_range(cpu(spec.resources.cpu.request), cpu(spec.resources.cpu.limit))} CPU"
    if spec.resources.memory != Amounts():
        memory = spec.resources.memory
        yield _range(drawing.size(memory.request), drawing.size(memory.limit))


def _range(request: str, limit: str) -> str:
    if request == limit:
        return request
    return f"{request} and more" if limit == "0" else f"{request} to {limit}"


def _resized(step: Resize) -> Iterator[str]:
    for what, request, limit in (
        ("CPU", step.cpu_request_millicpu, step.cpu_limit_millicpu),
        ("memory", step.memory_request_bytes, step.memory_limit_bytes),
    ):
        write = cpu if what == "CPU" else drawing.size
        if request is not None and request == limit:
            yield f"{write(request)} {what}"
            continue
        if request is not None:
            yield f"{what} request {write(request)}"
        if limit is not None:
            yield f"{what} limit {write(limit)}"


def _many(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count != 1 else ''}"
