"""What expressions look at: a property of a container or of its pod, or several of them joined.

    name  namespace  qosclass  id  uid    of the container; a pod's namespace, class and uid are its containers', too
    labels/KEY  tags/KEY                  KEY may contain a slash
    KEY                                   with a dot in it, a label
    pod/…                                 any of these of the pod, but for tags
    :KEY:KEY…                             joined by `:`; where one is missing there is nothing between the joints
    :,-KEY,KEY…                           the same with signs of one's own: `,` between the keys, `-` as joint

A key *resolves* if it has a value; a joined one, if any of its keys has.
"""

from dataclasses import dataclass

from cri_resmgr.policies.requirements import qos_of
from cri_resmgr.values.workloads import Container, Pod

_PROPERTIES = ("name", "namespace", "qosclass", "id", "uid")
_MAPPINGS = ("labels", "tags")
_SHORTEST_JOINED = 4


@dataclass(frozen=True, slots=True)
class Path:
    """One property; `label` is the key within labels or tags."""

    of_pod: bool
    property: str
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
    values = [_value(path, container, pod) for path in key.paths]
    if key.joint is None:
        return values[0]
    return key.joint.join(value or "" for value in values) if any(value is not None for value in values) else None


def _is_sign(character: str) -> bool:
    return not character.isalnum() and character not in "/."


def _path(text: str) -> Path:
    parts = [part for part in text.split("/") if part not in {"", "."}]
    of_pod = parts[:1] == ["pod"]
    first, *rest = (parts[1:] if of_pod else parts) or [""]
    if first in _PROPERTIES:
        return Path(of_pod, first)
    if first in _MAPPINGS and rest and not (of_pod and first == "tags"):
        return Path(of_pod, first, "/".join(rest))
    if "." in first:
        return Path(of_pod, "labels", "/".join((first, *rest)))
    raise ValueError(f"'{text[:60]}' is no key; write one of {', '.join(_PROPERTIES)}, labels/KEY, or pod/ before it")


def _value(path: Path, container: Container, pod: Pod) -> str | None:
    found: str | None = None
    match path.property:
        case "labels":
            return _label(path, container, pod)  # an empty label is a value
        case "name":
            found = pod.name if path.of_pod else container.name
        case "namespace":
            found = pod.namespace
        case "id":
            found = pod.id if path.of_pod else container.id
        case "uid":
            found = pod.uid
        case "qosclass" if qos := qos_of(pod):
            found = qos.value
    return found or None  # nothing for tags: nobody makes any


def _label(path: Path, container: Container, pod: Pod) -> str | None:
    labels = pod.labels if path.of_pod else container.labels
    if path.label in labels:
        return labels[path.label]
    return {  # the kubelet's own, where nobody has written them down
        "io.kubernetes.pod.name": pod.name,
        "io.kubernetes.pod.namespace": pod.namespace,
        "io.kubernetes.pod.uid": pod.uid,
        "io.kubernetes.container.name": None if path.of_pod else container.name,
    }.get(path.label)
