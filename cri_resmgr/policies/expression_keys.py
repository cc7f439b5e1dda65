"""What expressions look at: a property of a container or of its pod, or several of them joined.

    name  namespace  qosclass  id  uid    of the container; a pod's namespace, class and uid are its containers', too
    labels/KEY  tags/KEY                  KEY may contain a slash
    KEY                                   with a dot in it, a label
    pod/…                                 any of these of the pod, but for tags
    :KEY:KEY…                             joined by `:`; where one is missing there is nothing between the joints
    :,-KEY,KEY…                           the same with signs of one's own: `,` between the keys, `-` as joint

A key *resolves* if it has a value; a joined one, if any of its keys has.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cri_resmgr.policies.requirements import qos_of
from cri_resmgr.values.workloads import Container, Pod

_SHORTEST_JOINED = 4


@dataclass(frozen=True, slots=True)
class Path:
    """Where one value is found; `label` is the key within labels or tags."""

    read: Callable[[Container, Pod, str], str | None]
    label: str = ""


@dataclass(frozen=True, slots=True)
class Key:
    """One path, or several and the joint between their values."""

    paths: tuple[Path, ...]
    joint: str | None = None


def parse(text: str) -> Key:
    """The key that a text stands for. Raises ValueError."""
    if not text.startswith(":") or len(text) < _SHORTEST_JOINED:
        return Key((_path(text),))
    separator, joint, rest = ":", ":", text[1:]
    if _is_sign(text[1]) and _is_sign(text[2]):
        separator, joint, rest = text[1], text[2], text[3:]
    return Key(tuple(_path(part) for part in rest.split(separator)), joint)


def resolve(key: Key, container: Container, pod: Pod) -> str | None:
    """The key's value; None if there is none."""
    if key.joint is None:
        (path,) = key.paths
        return path.read(container, pod, path.label)
    values = [path.read(container, pod, path.label) for path in key.paths]
    return key.joint.join(value or "" for value in values) if any(value is not None for value in values) else None


def _is_sign(character: str) -> bool:
    return not character.isalnum() and character not in "/."


def _path(text: str) -> Path:
    parts = [part for part in text.split("/") if part not in {"", "."}]
    of_pod = parts[:1] == ["pod"]
    first, *rest = (parts[1:] if of_pod else parts) or [""]
    readers = _OF_POD if of_pod else _OF_CONTAINER
    if first in readers:
        return Path(readers[first])
    if first == "labels" and rest:
        return Path(_pod_label if of_pod else _label, "/".join(rest))
    if first == "tags" and rest and not of_pod:
        return Path(_tag, "/".join(rest))
    if "." in first:
        return Path(_pod_label if of_pod else _label, "/".join((first, *rest)))
    raise ValueError(f"'{text[:60]}' is no key; write one of {', '.join(readers)}, labels/KEY, or pod/ before it")


def _name(container: Container, pod: Pod, label: str) -> str | None:
    return container.name


def _id(container: Container, pod: Pod, label: str) -> str | None:
    return container.id or None


def _pod_name(container: Container, pod: Pod, label: str) -> str | None:
    return pod.name


def _pod_id(container: Container, pod: Pod, label: str) -> str | None:
    return pod.id or None


def _uid(container: Container, pod: Pod, label: str) -> str | None:
    return pod.uid or None


def _namespace(container: Container, pod: Pod, label: str) -> str | None:
    return pod.namespace


def _qosclass(container: Container, pod: Pod, label: str) -> str | None:
    qos = qos_of(pod)
    return None if qos is None else qos.value


def _tag(container: Container, pod: Pod, label: str) -> str | None:
    return None  # nobody makes any


def _label(container: Container, pod: Pod, label: str) -> str | None:
    found = container.labels.get(label)
    if found is None and label == "io.kubernetes.container.name":
        return container.name
    return _kubelets_label(pod, label) if found is None else found


def _pod_label(container: Container, pod: Pod, label: str) -> str | None:
    found = pod.labels.get(label)
    return _kubelets_label(pod, label) if found is None else found


def _kubelets_label(pod: Pod, label: str) -> str | None:
    """What the kubelet would have written on pod and container."""
    return {
        "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": pod.namespace,
        "io.kubernetes.pod.uid": pod.uid,
    }.get(label)


_OF_CONTAINER = {"name": _name, "namespace": _namespace, "qosclass": _qosclass, "id": _id, "uid": _uid}
_OF_POD = {"name": _pod_name, "namespace": _namespace, "qosclass": _qosclass, "id": _pod_id, "uid": _uid}
