"""From loose facts, read or invented, to a `Machine` whose parts agree with each other.

Its numbers are for people and for tie-breaks: packages and nodes keep the kernel's, dies count from 0 in each package
(the kernel numbers them per package or throughout, by vendor), cores count from 0 in the order of their lowest CPU, as
`lscpu` shows them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from cri_resmgr.values.machines import Cache, Core, Die, Machine, Node, Package, Priority

DieKey = tuple[int, int]
"""Package, and the die in it by whatever number the source uses."""


def assembled(  # noqa: PLR0913 - the facts that make a machine
    *,
    dies: Mapping[DieKey, int],
    cores: Iterable[int],
    nodes: Iterable[Node],
    caches: Iterable[Cache] = (),
    isolated: int = 0,
    offline: int = 0,
    core_kinds: Mapping[str, int] | None = None,
    priorities: Mapping[Priority, int] | None = None,
) -> Machine:
    """The machine with these parts; `dies` are a partition of the online CPUs, and so are `cores`.

    A node with CPUs gets package and die from the lowest of them: one may span several dies, and with interleaved
    memory or without NUMA even packages.
    """
    useful = _useful(nodes)
    made = _dies(dies, useful)
    online = _union(dies.values())
    return Machine(
        online=online,
        packages=_packages(made),
        dies=made,
        nodes=tuple(_placed(node, made) for node in useful),
        cores=_cores(cores, made),
        caches=tuple(sorted(caches, key=lambda cache: (cache.level, cache.kind, _lowest(cache.cpus)))),
        isolated=isolated & online,
        offline=offline,
        core_kinds=core_kinds or {},
        priorities=priorities or {},
    )


def _useful(nodes: Iterable[Node]) -> list[Node]:
    """The nodes that have anything, by id, and only the distances between them: kernels keep nodes of empty sockets."""
    found = sorted((node for node in nodes if node.cpus or node.memory_bytes), key=lambda node: node.id)
    ids = [node.id for node in found]
    return [replace(node, distances={id_: node.distances[id_] for id_ in ids}) for node in found]


def _dies(dies: Mapping[DieKey, int], nodes: Iterable[Node]) -> tuple[Die, ...]:
    made, count = [], dict.fromkeys((package for package, _ in dies), 0)
    for (package, _), cpus in sorted(dies.items()):
        inside = _union(1 << node.id for node in nodes if node.cpus & cpus)
        made.append(Die(count[package], package, cpus, inside))
        count[package] += 1
    return tuple(made)


def _packages(dies: Iterable[Die]) -> tuple[Package, ...]:
    found: dict[int, list[Die]] = {}
    for die in dies:
        found.setdefault(die.package, []).append(die)
    return tuple(
        Package(
            package, _union(die.cpus for die in own), _union(die.nodes for die in own), tuple(die.id for die in own)
        )
        for package, own in found.items()
    )


def _placed(node: Node, dies: Iterable[Die]) -> Node:
    if not node.cpus:
        return node
    die = _holder(node.cpus, dies)
    return replace(node, package=die.package, die=die.id)


def _cores(cores: Iterable[int], dies: Iterable[Die]) -> tuple[Core, ...]:
    made = []
    for number, cpus in enumerate(sorted(cores, key=_lowest)):
        die = _holder(cpus, dies)
        made.append(Core(number, die.package, die.id, cpus))
    return tuple(made)


def _holder(cpus: int, dies: Iterable[Die]) -> Die:
    return next(die for die in dies if die.cpus & cpus & -cpus)


def _lowest(cpus: int) -> int:
    return cpus & -cpus


def _union(sets: Iterable[int]) -> int:
    found = 0
    for members in sets:
        found |= members
    return found
