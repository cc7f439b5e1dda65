"""Which ConfigMap configures this node: its own, else that of its group, else, without a group, the default.

A node of a group whose ConfigMap is not there gets none: its group was not meant to be as everybody else.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_resmgr.kube.resources import Object
from cri_resmgr.values import quantities


@dataclass(frozen=True, slots=True)
class Names:
    """Where to look."""

    node: str
    namespace: str
    prefix: str
    label: str
    """Of the Node, whose value is the group."""

    @property
    def own(self) -> str:
        """The ConfigMap of this node."""
        return f"{self.prefix}.node.{self.node}"

    def shared(self, group: str) -> str:
        """The one of its group, or the default."""
        return f"{self.prefix}.group.{group}" if group else f"{self.prefix}.default"


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What we want to know of the Node; `allocatable_millicpu` is 0 if nobody has said yet."""

    group: str
    allocatable_millicpu: int


@dataclass(frozen=True, slots=True)
class ConfigMap:
    """One that is there; another version with the same data is the same."""

    source: str
    """NAMESPACE/NAME."""
    data: Mapping[str, str]
    version: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    """There is none for this node; `tried` is what there could be."""

    tried: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Undecided:
    """It is not known yet what there is, and why not."""

    reason: str


Choice = ConfigMap | Nothing | Undecided


def facts(node: Object, label: str) -> NodeFacts:
    """What we want to know of a Node."""
    allocatable = (node.get("status") or {}).get("allocatable") or {}
    try:
        millicpu = quantities.cpu_millicpu(str(allocatable.get("cpu", "0")))
    except ValueError:
        millicpu = 0
    return NodeFacts((node["metadata"].get("labels") or {}).get(label, ""), millicpu)


def configmap(found: Object) -> ConfigMap:
    """A ConfigMap as we want it."""
    metadata = found["metadata"]
    source = f"{metadata['namespace']}/{metadata['name']}"
    return ConfigMap(source, found.get("data") or {}, metadata.get("resourceVersion", ""))
