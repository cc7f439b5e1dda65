"""What a pod's annotations prefer for one of its containers.

A preference NAME is looked up under `NAME.DOMAIN/container.CONTAINER`, `NAME.DOMAIN/pod` and `NAME.DOMAIN`, and the
first that is there counts.  Where there is none, some have an older form, `DOMAIN/NAME`, whose value is for the whole
pod, or a YAML mapping from the names of containers to their values.

    prefer-isolated-cpus, prefer-shared-cpus, prefer-reserved-cpus, topologyhints    true or false
    memory-type                                                                      dram,pmem,hbm or mixed: all
    cold-start                                                                       duration: 60s

Not being annotated is not the same as having the default value: policies treat somebody who asks differently.  A
value that cannot be used counts as not annotated, whatever less specific annotations say, and is among the problems.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from cri_resmgr.values import durations, plain_yaml
from cri_resmgr.values.machines import MemoryKind
from cri_resmgr.values.workloads import Pod

DOMAIN = "cri-resource-manager.intel.com"
LONGEST_COLD_START_S = 3600.0

_TRUE = frozenset({"1", "t", "true", "y", "yes", "on"})
_FALSE = frozenset({"0", "f", "false", "n", "no", "off"})
_KINDS = {kind.value: frozenset({kind}) for kind in MemoryKind} | {"mixed": frozenset(MemoryKind)}
_WITH_OLDER_FORM = frozenset({"prefer-isolated-cpus", "prefer-shared-cpus", "memory-type", "cold-start"})

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Preferences:
    """What is annotated for a container; None is *not annotated*.

    `problems` are sentences about values that were ignored.
    """

    isolated: bool | None = None
    shared: bool | None = None
    reserved: bool | None = None
    memory_kinds: frozenset[MemoryKind] | None = None
    cold_start_s: float | None = None
    """From 0, which is none, to an hour."""
    topology_hints: bool | None = None
    problems: tuple[str, ...] = ()


def effective(annotations: Mapping[str, str], key: str, container_name: str) -> tuple[str, str] | None:
    """The most specific annotation for a container, as its whole key and its value; `key` is `NAME.DOMAIN`."""
    for whole in (f"{key}/container.{container_name}", f"{key}/pod", key):
        if whole in annotations:
            return whole, annotations[whole]
    return None


def preferences(pod: Pod, container_name: str) -> Preferences:
    """The preferences for a container of a pod."""
    problems: list[str] = []

    def said(name: str, read: Callable[[plain_yaml.Value], T | None], *, is_yaml: bool = False) -> T | None:
        whole = f"{DOMAIN}/{name}"
        try:
            if found := effective(pod.annotations, f"{name}.{DOMAIN}", container_name):
                whole, text = found
                return read(plain_yaml.load(text) if is_yaml else text)
            if name in _WITH_OLDER_FORM and whole in pod.annotations:
                older = _of_container(plain_yaml.load(pod.annotations[whole]), container_name)
                return None if older is None else read(older)
        except ValueError as error:
            problems.append(f"annotation {whole} is ignored: {error}")
        return None

    return Preferences(
        isolated=said("prefer-isolated-cpus", _truth),
        shared=said("prefer-shared-cpus", _truth),
        reserved=said("prefer-reserved-cpus", _truth),
        memory_kinds=said("memory-type", _memory_kinds),
        cold_start_s=said("cold-start", _cold_start_s, is_yaml=True),
        topology_hints=said("topologyhints", _truth),
        problems=tuple(problems),
    )


def _of_container(value: plain_yaml.Value, container_name: str) -> plain_yaml.Value | None:
    return value.get(container_name) if isinstance(value, dict) else value


def _truth(value: plain_yaml.Value) -> bool:
    word = value.strip().lower() if isinstance(value, str) else ""
    if word in _TRUE or word in _FALSE:
        return word in _TRUE
    raise ValueError(f"{_shown(value)} is neither true nor false")


def _memory_kinds(value: plain_yaml.Value) -> frozenset[MemoryKind] | None:
    """The kinds in a list; None for an empty one."""
    if not value:
        return None
    found: frozenset[MemoryKind] = frozenset()
    for word in value.split(",") if isinstance(value, str) else value if isinstance(value, list) else [value]:
        kinds = _KINDS.get(word.strip().lower()) if isinstance(word, str) else None
        if kinds is None:
            raise ValueError(f"{_shown(word)} is no kind of memory; write some of {', '.join(_KINDS)}")
        found |= kinds
    return found


def _cold_start_s(value: plain_yaml.Value) -> float:
    said = value.get("duration") if isinstance(value, dict) and len(value) == 1 else None
    found_s = durations.seconds(said) if isinstance(said, str) else None
    if found_s is None:
        raise ValueError(f"{_shown(value)} is no cold start; write 'duration: 60s'")
    if not 0 <= found_s <= LONGEST_COLD_START_S:
        raise ValueError(f"{_shown(said)} is not between 0 and 1h")
    return found_s


def _shown(value: plain_yaml.Value | None) -> str:
    return f"'{value}'"[:60]
