"""From what people write, `[NAMESPACE/]POD[:CONTAINER]`, to the containers that they mean."""

from difflib import get_close_matches

from cri_resmgr.cli.inspecting.stored import Stored
from cri_resmgr.errors import BadInput
from cri_resmgr.values.workloads import Container, Pod, State

_SHOWN = 5


def containers(stored: Stored, target: str) -> tuple[Container, ...]:
    """The containers by that name that have not ended, of each name that has none the latest that has.

    Raises BadInput with the names that are nearest to one that nobody has.
    """
    pod_name, colon, container_name = target.partition(":")
    pods = {pod.id for pod in stored.pods.values() if pod_name in (pod.name, f"{pod.namespace}/{pod.name}")}
    if not pods:
        raise _unknown("pod", pod_name, [name for pod in stored.pods.values() for name in _names(pod, pod_name)])
    inside = [c for c in stored.containers.values() if c.pod_id in pods]
    meant = [c for c in inside if c.name == container_name] if colon else inside
    if not meant:
        raise _unknown(f"container in {pod_name}", container_name, [c.name for c in inside])
    return _instances(stored, meant)


def _instances(stored: Stored, meant: list[Container]) -> tuple[Container, ...]:
    alive = [c for c in meant if c.state is not State.EXITED]
    there = {stored.name(c) for c in alive}
    latest = {stored.name(c): c for c in meant if stored.name(c) not in there}
    return (*alive, *latest.values())


def _names(pod: Pod, like: str) -> tuple[str, ...]:
    return (f"{pod.namespace}/{pod.name}",) if "/" in like else (pod.name,)


def _unknown(what: str, name: str, known: list[str]) -> BadInput:
    near = get_close_matches(name, sorted(set(known)), n=_SHOWN, cutoff=0.5)
    some = ", ".join(near or sorted(set(known))[:_SHOWN])
    hint = f"nearest: {some}" if near else f"there are {len(set(known))}: {some}" if known else "there is none at all"
    return BadInput(f"there is no {what} '{name}' on this node; {hint}; 'cri-resmgr status' has all names")
