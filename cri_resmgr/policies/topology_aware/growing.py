"""How the tree of pools follows from a machine.

    root                     where there are several packages; otherwise the package is the root of all
    socket #0                a package
    die #0/1                 where a package has several, and none of them shares a NUMA node with another
    NUMA node #3             where a die, or a package without pools for its dies, has several

A node's memory belongs to the smallest pool that has all of the node's CPUs.  A node without CPUs goes to the closest
node with CPUs; among several that are equally close, to the pool that has the fewest of that kind so far, nodes being
looked at by their number.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.topology_aware import tiers
from cri_resmgr.policies.topology_aware.limits import Limits
from cri_resmgr.policies.topology_aware.tree import Locality, Pool, Tree
from cri_resmgr.values.machines import Machine, MemoryKind, Node, Package

_ANY = -1  # every number is in this set


@dataclass(frozen=True, slots=True)
class _Branch:
    """A pool that has no number yet; of its CPUs all that are online count."""

    name: str
    cpus: int
    locality: Locality
    branches: Sequence["_Branch"] = ()


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a branch is among the numbered ones, and the memory that it has."""

    branch: _Branch
    depth: int
    ancestors: tuple[int, ...]
    first: int
    memory: Sequence[Node]


def grown(machine: Machine, limits: Limits, allocator: Allocator) -> Tree:
    """The tree of a machine, of whose CPUs only those within the limits are used."""
    places = _places(machine, list(_numbered(_trunk(machine), 0)))
    pools = []
    for index, place in enumerate(places):
        inside = place.branch.cpus & limits.allowed
        sharable = inside & ~limits.isolated & ~limits.reserved
        pool = Pool(
            index=index,
            name=place.branch.name,
            depth=place.depth,
            parent=next(iter(place.ancestors), -1),
            ancestors=place.ancestors,
            first=place.first,
            sharable=sharable,
            isolated=inside & limits.isolated,
            reserved=inside & limits.reserved,
            apart=sharable & ~_union(below.cpus for below in place.branch.branches),
            nodes=_by_tier(place.memory, lambda node: 1 << node.id),
            memory_bytes=_by_tier(place.memory, lambda node: node.memory_bytes),
            home=next((i for i in (index, *place.ancestors) if places[i].memory), index),
            locality=place.branch.locality,
        )
        pools.append(pool)
    return Tree(tuple(pools), tuple(core.cpus for core in machine.cores), allocator)


def _trunk(machine: Machine) -> _Branch:
    sockets = [_socket(machine, package) for package in machine.packages]
    if len(sockets) == 1:
        return sockets[0]
    everywhere = Locality(machine.online, nodes=_ANY, node_score=0.81, packages=_ANY, package_score=0.9)
    return _Branch("root", machine.online, everywhere, sockets)


def _socket(machine: Machine, package: Package) -> _Branch:
    nodes = [node for node in machine.nodes if node.cpus & package.cpus]
    dies = [die for die in machine.dies if die.package == package.id]
    apart = all(any(_inside(node, die.cpus) for die in dies) for node in nodes)
    branches = _nodes(nodes, package.cpus, package)
    if len(dies) > 1 and apart:
        branches = [
            _Branch(
                f"die #{package.id}/{die.id}",
                die.cpus,
                Locality(package.cpus, die.nodes, 0.9, 1 << package.id, 1 / max(1, die.nodes.bit_count())),
                _nodes(nodes, die.cpus, package),
            )
            for die in dies
        ]
    locality = Locality(package.cpus, package.nodes, 0.9, 1 << package.id, 1.0)
    return _Branch(f"socket #{package.id}", package.cpus, locality, branches)


def _nodes(nodes: Iterable[Node], cpus: int, package: Package) -> Sequence[_Branch]:
    score = 1 / max(1, package.nodes.bit_count())
    branches = [
        _Branch(f"NUMA node #{node.id}", node.cpus, Locality(node.cpus, 1 << node.id, 1.0, 1 << package.id, score))
        for node in nodes
        if _inside(node, cpus)
    ]
    return branches if len(branches) > 1 else ()


def _inside(node: Node, cpus: int) -> bool:
    return bool(node.cpus) and not node.cpus & ~cpus


def _numbered(branch: _Branch, depth: int) -> Iterator[tuple[_Branch, int]]:
    for child in branch.branches:
        yield from _numbered(child, depth + 1)
    yield branch, depth


def _places(machine: Machine, numbered: Sequence[tuple[_Branch, int]]) -> list[_Place]:
    owners = _owners(machine.nodes, [branch.cpus for branch, _ in numbered])
    depths = [depth for _, depth in numbered]
    places = []
    for index, (branch, depth) in enumerate(numbered):
        outside = (i for i in reversed(range(index)) if depths[i] <= depth)
        first = next(outside, -1) + 1
        memory = [node for node in machine.nodes if first <= owners.get(node.id, -1) <= index]
        places.append(_Place(branch, depth, tuple(_ancestors(depths, index)), first, memory))
    return places


def _ancestors(depths: Sequence[int], index: int) -> Iterator[int]:
    depth = depths[index]
    for i in range(index + 1, len(depths)):
        if depths[i] < depth:
            yield i
            depth = depths[i]


def _owners(nodes: Sequence[Node], cpus: Sequence[int]) -> Mapping[int, int]:
    """The number of the pool that each node with memory belongs to; `cpus` are those of each pool."""
    around = {
        node.id: next(index for index, inside in enumerate(cpus) if _inside(node, inside))
        for node in nodes
        if node.cpus
    }
    owners: dict[int, int] = {}
    joined: Counter[tuple[int, MemoryKind]] = Counter()
    for node in nodes:
        if node.memory_bytes and node.cpus:
            owners[node.id] = around[node.id]
        elif node.memory_bytes:
            closest = min((node.distances[other] for other in around), default=0)
            near = [pool for other, pool in around.items() if node.distances[other] == closest] or [len(cpus) - 1]
            owners[node.id] = min(near, key=lambda pool: joined[pool, node.kind])
            joined[owners[node.id], node.kind] += 1
    return owners


def _union(sets: Iterable[int]) -> int:
    found = 0
    for members in sets:
        found |= members
    return found


def _by_tier(nodes: Iterable[Node], measure: Callable[[Node], int]) -> tiers.Amounts:
    amounts = [0, 0, 0]
    for node in nodes:
        amounts[tiers.KINDS.index(node.kind)] += measure(node)
    return amounts[0], amounts[1], amounts[2]
