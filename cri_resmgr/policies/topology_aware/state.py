"""What is given to whom, and what follows from it for each pool.

A `State` is a value.  A decision opens it as a `Draft`, books grants there and takes them back, and closes the draft
into the next state, or throws it away; a draft never leaves the function that opened it.

What keeps the books honest, for every pool and at every moment:
  - a CPU that somebody has to himself is in no pool's shared set, neither below nor above;
  - the shared set has as much as was promised to those who share, in the pool and below it, and is never empty while
    one of them needs it, however little;
  - memory that was promised in a pool may be used in any part of it.  So a grant below leaves room for all of what
    was promised above: in each pool where a grant is at home, its own and those above it fit together.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from cri_resmgr.policies.topology_aware import tiers
from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.tree import Pool, Tree


@dataclass(frozen=True, slots=True)
class Grant:
    """What one container has."""

    request: Request
    pool: Pool
    """Where its CPUs come from."""
    home: Pool
    """Where its memory comes from."""
    exclusive: int = 0
    """CPUs of its own, off the shared set."""
    isolated: int = 0
    """Kernel-isolated CPUs of its own."""
    part_millicpu: int = 0
    """What it was promised of the shared set, or of the reserved one."""
    reserved: bool = False
    """It runs on the reserved CPUs."""
    memory_bytes: tiers.Amounts = tiers.NOTHING
    cold: bool = False
    """It has not warmed up: only PMEM for now."""
    unplaced: bool = False
    """It ran already and fits nowhere: it shares, and nothing was promised to it."""

    @property
    def own(self) -> int:
        """All CPUs that it has to itself."""
        return self.exclusive | self.isolated

    @property
    def shares(self) -> bool:
        """Whether it runs on the shared set of its pool."""
        return not self.reserved and (self.part_millicpu > 0 or not self.own)

    @property
    def mems(self) -> int:
        """Its memory nodes."""
        return self.home.mems((tiers.PMEM,) if self.cold else self.request.tiers)


@dataclass(frozen=True, slots=True)
class State:
    """All grants by `Container.key`, and sums by pool."""

    grants: Mapping[str, Grant]
    taken: int
    """CPUs that somebody has to himself."""
    promised_millicpu: tuple[int, ...]
    """What is promised of the shared sets, in each pool and below."""
    idlers: tuple[int, ...]
    """How many need the shared set though nothing was promised to them, in each pool and below."""
    tenants: tuple[int, ...]
    """How many have their CPUs from exactly this pool, those on reserved CPUs apart."""
    reserved_millicpu: int
    """What is promised of the reserved CPUs."""
    memory_bytes: tuple[tiers.Amounts, ...]
    """What is promised of the memory of exactly this pool."""


def empty(tree: Tree) -> State:
    """Nothing is given to anybody."""
    zeros = (0,) * len(tree.pools)
    return State({}, 0, zeros, zeros, zeros, 0, (tiers.NOTHING,) * len(tree.pools))


class Draft:
    """A state that is being changed; the fields are those of `State`."""

    __slots__ = (
        "grants",
        "idlers",
        "memory_bytes",
        "promised_millicpu",
        "reserved_millicpu",
        "taken",
        "tenants",
        "touched",
        "tree",
    )

    def __init__(self, tree: Tree, state: State) -> None:
        self.tree = tree
        self.grants = dict(state.grants)
        self.taken = state.taken
        self.promised_millicpu = list(state.promised_millicpu)
        self.idlers = list(state.idlers)
        self.tenants = list(state.tenants)
        self.reserved_millicpu = state.reserved_millicpu
        self.memory_bytes = list(state.memory_bytes)
        self.touched: set[str] = set()
        """Whose grant may not be what it was."""

    def closed(self) -> State:
        """The state that has come of it."""
        return State(
            self.grants,
            self.taken,
            tuple(self.promised_millicpu),
            tuple(self.idlers),
            tuple(self.tenants),
            self.reserved_millicpu,
            tuple(self.memory_bytes),
        )

    def put(self, key: str, grant: Grant) -> None:
        """Give this instead of what the container had, if it had anything."""
        old = self.grants.get(key)
        if old is not None:
            self._book(old, -1)
        self._book(grant, 1)
        self.grants[key] = grant
        self.touched.add(key)

    def drop(self, key: str) -> Grant | None:
        """Take back what the container had."""
        old = self.grants.pop(key, None)
        if old is not None:
            self._book(old, -1)
        return old

    def free(self, pool: Pool) -> int:
        """The shared set of a pool now."""
        return pool.sharable & ~self.taken

    def _book(self, grant: Grant, sign: int) -> None:
        self.taken ^= grant.own
        if any(grant.memory_bytes):
            self._book_memory(grant, sign)
        if grant.reserved:
            self.reserved_millicpu += sign * grant.part_millicpu
            return
        pool = grant.pool
        self.tenants[pool.index] += sign
        if grant.part_millicpu:
            for index in (pool.index, *pool.ancestors):
                self.promised_millicpu[index] += sign * grant.part_millicpu
        elif not grant.own:
            for index in (pool.index, *pool.ancestors):
                self.idlers[index] += sign

    def _book_memory(self, grant: Grant, sign: int) -> None:
        book = tiers.added if sign > 0 else tiers.less
        index = grant.home.index
        self.memory_bytes[index] = book(self.memory_bytes[index], grant.memory_bytes)
