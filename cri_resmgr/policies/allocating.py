"""Which CPUs of those that are free: whole packages first, then whole cores, then threads.

This is the order of the predecessor's allocator, so a set that is chosen here is the one that its users know:

  1. every idle package that is not larger than what is still wanted,
  2. every idle core that is not larger,
  3. single threads: of packages that we have begun, of the package that fits most tightly, of the wished priority,
     of cores that others have begun, and the lowest number at last.

Idle means that all of its online CPUs are free.  Among equals the one with more CPUs of the wished priority comes
first, then with more of each lower priority, then with fewer of the higher ones, which somebody else may need.
NUMA nodes and caches play no part: whoever wants a node offers the CPUs of that node.

Sets are integers as in `values.cpusets`.  An `Allocator` is made once for a machine and has no state.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from cri_resmgr.values.machines import Machine, Priority

Merit = tuple[int, ...]
"""A key to sort by: the lowest is the best."""


class Shortage(ValueError):  # noqa: N818 - the word that callers use
    """There are fewer CPUs than wanted."""

    def __init__(self, wanted: int, available: int) -> None:
        super().__init__(f"{wanted} CPUs wanted, {available} available")
        self.wanted = wanted
        self.available = available


@dataclass(frozen=True, slots=True)
class _Taste:
    """What one wish for a priority makes of the machine."""

    ranks: tuple[int, ...]
    """All CPUs by how much they are liked, best first."""
    liked: tuple[int, ...] = ()
    """The CPUs of the wished priority, then those of each lower one; none if there is no wish."""
    spared: tuple[int, ...] = ()
    """Those of each higher one, the highest first."""
    packages: tuple[int, ...] = ()
    """All of them, best first."""
    cores: tuple[int, ...] = ()
    """All of them, best first."""

    def merit(self, cpus: int, wanted: int = 0) -> Merit:
        """How good a set is; of those that have all that is wanted, the smallest is the best."""
        if not self.liked:
            return ()
        wished, *lesser = [(cpus & mask).bit_count() for mask in self.liked]
        if 0 < wanted <= wished:
            return (0, wished)
        return (1, -wished, *(-n for n in lesser), *((cpus & mask).bit_count() for mask in self.spared))


class Allocator:
    """Chooses CPUs of one machine.

    CPUs that the machine does not have online are ignored wherever they are passed in: they are neither chosen nor
    counted, so a configured set may name CPUs that are off for now.
    """

    __slots__ = ("_cores", "_online", "_packages", "_tastes")

    def __init__(self, machine: Machine) -> None:
        self._online = machine.online
        self._packages = tuple(package.cpus for package in sorted(machine.packages, key=lambda package: package.id))
        cores = sorted((core.cpus for core in machine.cores), key=_lowest)
        self._cores = {package: [core for core in cores if core & package] for package in self._packages}
        self._tastes = {wish: _measured(taste, self._packages, cores) for wish, taste in _tastes(machine).items()}

    def allocate(self, free: int, count: int, *, prefer: Priority | None = Priority.NORMAL) -> int:
        """The `count` CPUs of `free` to take; with `prefer` None all CPUs are alike. Raises Shortage."""
        free &= self._online
        available = free.bit_count()
        if count > available:
            raise Shortage(count, available)
        if count == available:
            return free
        taste = self._tastes[prefer]
        taken = _idle(taste.packages, free, count)
        taken |= _idle(taste.cores, free & ~taken, count - taken.bit_count())
        for lot in self._threads(taste, free & ~taken, taken, count - taken.bit_count()):
            if taken.bit_count() == count:
                break
            taken |= _lowest_of(lot, count - taken.bit_count())
        return taken

    def shrink(self, held: int, count: int, *, prefer: Priority | None = Priority.NORMAL) -> int:
        """The `count` CPUs of `held` to give up: all but those that would be taken of it. Raises Shortage."""
        held &= self._online
        size = held.bit_count()
        if count > size:
            raise Shortage(count, size)
        return held & ~self.allocate(held, size - count, prefer=prefer)

    def _threads(self, taste: _Taste, free: int, taken: int, wanted: int) -> Iterator[int]:
        """Lots of free CPUs, best first; within a lot the lowest is the best."""
        offering = [package for package in self._packages if package & free]
        offering.sort(key=lambda package: (-(package & taken).bit_count(), taste.merit(package & free, wanted)))
        for package in offering:
            crowds = _by_free_siblings(self._cores[package], free)
            for rank in taste.ranks:
                yield from (crowd & rank for crowd in crowds)


def _tastes(machine: Machine) -> dict[Priority | None, _Taste]:
    high, low = (machine.priorities.get(priority, 0) & machine.online for priority in (Priority.HIGH, Priority.LOW))
    by_priority = (high, machine.online & ~high & ~low, low)
    tastes: dict[Priority | None, _Taste] = {None: _Taste(ranks=(machine.online,))}
    for wish in Priority:
        liked, spared = by_priority[wish.value :], by_priority[: wish.value]
        tastes[wish] = _Taste((*liked, *reversed(spared)), liked, spared)
    return tastes


def _measured(taste: _Taste, packages: Sequence[int], cores: Sequence[int]) -> _Taste:
    """With the order of what may be taken as a whole; both come by their number, which decides among equals."""
    return replace(
        taste, packages=tuple(sorted(packages, key=taste.merit)), cores=tuple(sorted(cores, key=taste.merit))
    )


def _idle(groups: Sequence[int], free: int, count: int) -> int:
    taken = 0
    for cpus in groups:
        if not count:
            break
        if cpus & free == cpus and (size := cpus.bit_count()) <= count:
            taken |= cpus
            count -= size
    return taken


def _by_free_siblings(cores: Sequence[int], free: int) -> list[int]:
    """The free CPUs, those with the fewest free ones in their core first."""
    crowds: dict[int, int] = {}
    for core in cores:
        if cpus := core & free:
            size = cpus.bit_count()
            crowds[size] = crowds.get(size, 0) | cpus
    return [crowds[size] for size in sorted(crowds)]


def _lowest(cpus: int) -> int:
    return cpus & -cpus


def _lowest_of(cpus: int, count: int) -> int:
    """The `count` lowest CPUs of a set, or all."""
    if cpus.bit_count() <= count:
        return cpus
    low, high = 0, cpus.bit_length()
    while low < high:
        middle = (low + high) // 2
        if (cpus & (1 << middle) - 1).bit_count() < count:
            low = middle + 1
        else:
            high = middle
    return cpus & (1 << low) - 1
