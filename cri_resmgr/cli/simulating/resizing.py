"""What becomes of a pod's spec when a container's resources change in place, and what the API server says to that."""

from dataclasses import replace

from cri_resmgr.cli.simulating.steps import ContainerSpec, PodSpec, Resize
from cri_resmgr.policies.declarations import Amounts, Declared
from cri_resmgr.policies.requirements import Qos


def resized(pod: PodSpec, step: Resize) -> PodSpec:
    """The pod after the step."""
    return replace(
        pod,
        containers=tuple(_container(spec, step) for spec in pod.containers),
        init_containers=tuple(_container(spec, step) for spec in pod.init_containers),
    )


def objection(resources: Declared, before: Qos, after: Qos) -> str:
    """Why the API server refuses a resize, or ""."""
    for what, amounts in (("CPU", resources.cpu), ("memory", resources.memory)):
        if amounts.limit and amounts.request > amounts.limit:
            return f"would request more {what} than its limit; Kubernetes refuses that"
    if before is not after:
        return f"the pod would become {after.value} and is {before.value}; Kubernetes refuses that"
    return ""


def _container(spec: ContainerSpec, step: Resize) -> ContainerSpec:
    if spec.name != step.container:
        return spec
    cpu, memory = spec.resources.cpu, spec.resources.memory
    return replace(
        spec,
        resources=Declared(
            Amounts(_or(step.cpu_request_millicpu, cpu.request), _or(step.cpu_limit_millicpu, cpu.limit)),
            Amounts(_or(step.memory_request_bytes, memory.request), _or(step.memory_limit_bytes, memory.limit)),
        ),
    )


def _or(said: int | None, before: int) -> int:
    return before if said is None else said
