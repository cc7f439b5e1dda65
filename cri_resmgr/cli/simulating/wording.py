"""Steps, resources and machines in a few words."""

from collections.abc import Iterator

from cri_resmgr.cli import amounts
from cri_resmgr.cli.simulating import kubelet
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
    memory = amounts.memory(sum(node.memory_bytes for node in of.nodes))
    parts = [
        amounts.many(len(of.packages), "package"),
        amounts.many(len(of.dies), "die") if len(of.dies) > len(of.packages) else "",
        amounts.many(len(of.nodes), "node"),
        amounts.many(len(of.cores), "core"),
        amounts.many(of.online.bit_count(), "CPU"),
        memory,
        f"isolated {cpusets.text(of.isolated)}" if of.isolated else "",
        f"offline {cpusets.text(of.offline)}" if of.offline else "",
    ]
    return ", ".join(filter(None, parts))


def _pod(pod: PodSpec) -> str:
    namespace = "" if pod.namespace == "default" else f" in {pod.namespace}"
    init = [f"first {', then '.join(map(_container, pod.init_containers))}"] if pod.init_containers else []
    containers = "; ".join((*init, ", ".join(map(_container, pod.containers))))
    return f"{pod.name}{namespace}, {kubelet.qos(pod).value}: {containers}"


def _container(spec: ContainerSpec) -> str:
    said = ", ".join(_amounts(spec))
    return f"{spec.name} ({said})" if said else spec.name


def _amounts(spec: ContainerSpec) -> Iterator[str]:
    cpu, memory = spec.resources.cpu, spec.resources.memory
    if cpu != Amounts():
        yield f"{amounts.between(amounts.cpu(cpu.request), amounts.cpu(cpu.limit))} CPU"
    if memory != Amounts():
        yield amounts.between(amounts.memory(memory.request), amounts.memory(memory.limit))


def _resized(step: Resize) -> Iterator[str]:
    for what, request, limit in (
        ("CPU", step.cpu_request_millicpu, step.cpu_limit_millicpu),
        ("memory", step.memory_request_bytes, step.memory_limit_bytes),
    ):
        write = amounts.cpu if what == "CPU" else amounts.memory
        if request is not None and request == limit:
            yield f"{write(request)} {what}"
            continue
        if request is not None:
            yield f"{what} request {write(request)}"
        if limit is not None:
            yield f"{what} limit {write(limit)}"
