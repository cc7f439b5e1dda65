"""Which CPUs a set gets when it grows, and which it gives up, so that it stays together: what `balloons` is made of.

The machine is a tree of elements: packages, dies, NUMA nodes, cores, threads.  A set grows inside of the smallest
kind of element that has enough free CPUs; among those of one kind it goes

  1. to where it is already: more of its own CPUs in the package, then in the die, and so on down,
  2. when packing, to where fewer CPUs are free, and when balancing, to where more are; again from the package down,
  3. to the first one.

It shrinks one CPU at a time, and leaves first where it has the fewest CPUs, then where the fewest are free, and the
last one at last.

Spreading on cores makes one more kind of element below the NUMA node: the first threads of all of its cores, then
the second ones, and so on.  A set then takes one thread of many cores before it takes a second one of any.

Elements are in the order of their numbers, as numbers: CPU 2 comes before CPU 10.  Sets are integers as in
`values.cpusets`.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from cri_resmgr.policies.allocating import Shortage
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Core, Die, Machine


@dataclass(frozen=True, slots=True)
class _Element:
    """A part of the machine and its parts in order; all leaves, the threads, are at one depth."""

    cpus: int
    parts: tuple["_Element", ...] = ()


class Tree:
    """One machine, and how sets are to lie on it.

    With `balance` sets keep away from each other, without it they fill up what is begun.  With `spread_on_cores` each
    has as many cores to itself as it can.  CPUs that the machine does not have online are ignored.
    """

    __slots__ = ("_balance", "_levels", "_online", "_spread_on_cores")

    def __init__(self, machine: Machine, *, balance: bool = False, spread_on_cores: bool = False) -> None:
        self._online = machine.online
        self._balance = balance
        self._spread_on_cores = spread_on_cores
        self._levels = _levels(_root(machine, spread_on_cores=spread_on_cores))

    def grow(self, held: int, free: int, count: int) -> int:
        """CPUs of `free`, at least `count`, any of which go equally well with `held`. Raises Shortage."""
        free &= self._online
        if count > free.bit_count():
            raise Shortage(count, free.bit_count())
        if not count:
            return 0
        lot = self._closest(held, free, count)
        if not self._spread_on_cores or lot.bit_count() == count:
            return lot
        lot = 0  # of two threads of a core the second goes less well once the first is taken
        for _ in range(count):
            lot |= self._closest(held | lot, free & ~lot, 1)
        return lot

    def shrink(self, held: int, free: int, count: int) -> int:
        """The `count` CPUs of `held` to give up while `free` are nobody's. Raises Shortage."""
        held &= self._online
        if count > held.bit_count():
            raise Shortage(count, held.bit_count())
        given_up = 0
        for _ in range(count):
            given_up |= self._loneliest(held & ~given_up, free)
        return given_up

    def _closest(self, held: int, free: int, count: int) -> int:
        depth, among = self._large_enough(free, count)
        among = self._narrowed(among, depth, held, max)
        among = self._narrowed(among, depth, free, max if self._balance else min)
        return self._end(among, depth, step=1) & free

    def _loneliest(self, held: int, free: int) -> int:
        depth = len(self._levels) - 1
        among = self._narrowed(held, depth, held, min)
        among = self._narrowed(among, depth, free, min)
        return self._end(among, depth, step=-1)

    def _large_enough(self, free: int, count: int) -> tuple[int, int]:
        """The greatest depth at which anything has so many free CPUs, and all that have."""
        if count == 1:  # the elements are the free CPUs themselves
            return len(self._levels) - 1, free
        for depth in range(len(self._levels) - 2, 0, -1):
            enough = [e.cpus for e in self._levels[depth] if (e.cpus & free).bit_count() >= count]
            if enough:
                return depth, _union(enough)
        return 0, self._online

    def _narrowed(self, among: int, depth: int, members: int, best_of: Callable[[list[int]], int]) -> int:
        """What is left of the elements `among` if at each level the best go on, by how many of `members` they have."""
        row = self._levels[0]
        for _ in range(depth):
            row = tuple(part for element in row for part in element.parts if part.cpus & among)
            counts = [(element.cpus & members).bit_count() for element in row]
            best = best_of(counts)
            row = tuple(element for element, count in zip(row, counts, strict=True) if count == best)
            if not best:  # then nothing below has any, and all are equal
                break
        return among & _union(element.cpus for element in row)

    def _end(self, among: int, depth: int, *, step: int) -> int:
        """The first of the elements `among`, or with step -1 the last."""
        element = self._levels[0][0]
        for _ in range(depth):
            element = next(part for part in element.parts[::step] if part.cpus & among)
        return element.cpus


def _levels(root: _Element) -> tuple[tuple[_Element, ...], ...]:
    levels: list[tuple[_Element, ...]] = [(root,)]
    while parts := tuple(part for element in levels[-1] for part in element.parts):
        levels.append(parts)
    return tuple(levels)


def _root(machine: Machine, *, spread_on_cores: bool) -> _Element:
    def whole(parts: Iterable[_Element]) -> _Element:
        made = tuple(parts)
        return _Element(_union(part.cpus for part in made), made)

    def threads(cpus: int) -> _Element:
        return whole(_Element(1 << cpu) for cpu in cpusets.ids(cpus))

    def cores(cpus: int) -> list[int]:
        return [core.cpus & cpus for core in by_lowest if core.cpus & cpus]

    def node(cpus: int) -> _Element:
        if not spread_on_cores:
            return whole(map(threads, cores(cpus)))
        return whole(whole(map(threads, cores(sibling))) for sibling in _siblings(cores(cpus)))

    def die(made_of: Die) -> _Element:
        return whole(map(node, _nodes(machine, made_of)))

    def package(number: int) -> _Element:
        return whole(die(one) for one in dies if one.package == number)

    by_lowest: list[Core] = sorted(machine.cores, key=lambda core: core.cpus & -core.cpus)
    dies = sorted(machine.dies, key=lambda one: one.id)
    return whole(map(package, sorted(one.id for one in machine.packages)))


def _nodes(machine: Machine, die: Die) -> Iterator[int]:
    """The CPUs of each node in a die, and those of no node."""
    rest = die.cpus
    for node in sorted(machine.nodes, key=lambda node: node.id):
        if inside := node.cpus & rest:
            yield inside
            rest &= ~inside
    if rest:
        yield rest


def _siblings(cores: Iterable[int]) -> Iterator[int]:
    """The first threads of all cores, then the second ones, and so on."""
    left = list(cores)
    while left:
        yield _union(core & -core for core in left)
        left = [core & core - 1 for core in left if core & core - 1]


def _union(sets: Iterable[int]) -> int:
    found = 0
    for members in sets:
        found |= members
    return found
