"""The pools of a machine, from NUMA nodes up to the whole; `growing` makes them.

Pools are numbered with children before their parents, so that what is below pool i is `range(i.first, i.index)`, and
the root is the last.  Lists of something for each pool go by these numbers everywhere.

A pool never changes.  What is free of it is the business of `state`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.topology_aware import tiers
from cri_resmgr.values.machines import Priority


@dataclass(frozen=True, slots=True)
class Locality:
    """What hints are measured against: a set of CPUs, and scores for being near to nodes and to packages."""

    cpus: int
    nodes: int
    node_score: float
    packages: int
    package_score: float


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool: sets of CPUs that may be used, disjoint by kind, and memory nodes with their sizes by tier."""

    index: int
    name: str
    depth: int
    """0 for the root."""
    parent: int
    """-1 for the root."""
    ancestors: tuple[int, ...]
    """Its parent first, the root last."""
    first: int
    """The lowest number below it, its own if nothing is."""
    sharable: int
    """CPUs for the shared set, and for slices off it."""
    isolated: int
    reserved: int
    apart: int
    """Sharable CPUs that are in no pool below."""
    nodes: tiers.Amounts
    """Sets of memory nodes."""
    memory_bytes: tiers.Amounts
    home: int
    """The pool from which its containers get memory: itself, or the nearest around it that has any."""
    locality: Locality

    @property
    def cpus(self) -> int:
        """All of its CPUs."""
        return self.sharable | self.isolated | self.reserved

    def mems(self, wanted: Iterable[int]) -> int:
        """Its memory nodes of these tiers; without any its DRAM, and without that whatever there is."""
        found = 0
        for tier in wanted:
            found |= self.nodes[tier]
        return found or self.nodes[tiers.DRAM] or self.nodes[tiers.PMEM] | self.nodes[tiers.HBM]


@dataclass(frozen=True, slots=True)
class Tree:
    """All pools by number, the cores, and who chooses among CPUs."""

    pools: tuple[Pool, ...]
    cores: tuple[int, ...]
    allocator: Allocator

    @property
    def root(self) -> Pool:
        """The pool around all others."""
        return self.pools[-1]

    def chosen(self, free: int, count: int, *, beside: int = 0) -> int:
        """So many of the free CPUs; first those that share a core with the ones that they are to be `beside`."""
        begun = 0
        for core in self.cores if beside else ():
            begun |= core if core & beside else 0
        siblings = free & begun
        first = self.allocator.allocate(siblings, min(count, siblings.bit_count()), prefer=Priority.HIGH)
        return first | self.allocator.allocate(free & ~first, count - first.bit_count(), prefer=Priority.HIGH)

    def named(self, name: str) -> Pool | None:
        """The pool of that name."""
        return next((pool for pool in self.pools if pool.name == name), None)
