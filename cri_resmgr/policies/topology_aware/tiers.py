"""Amounts of memory by tier, the kind of memory that a node is made of.

There are three tiers, and memory is taken from them in this order: the large first, the scarce last.  An `Amounts`
has bytes for each of them; a set of tiers is a tuple of their numbers, ascending.
"""

from collections.abc import Iterable

from cri_resmgr.values.machines import MemoryKind

KINDS = (MemoryKind.PMEM, MemoryKind.DRAM, MemoryKind.HBM)
PMEM, DRAM, HBM = range(3)
ALL = (PMEM, DRAM, HBM)

Amounts = tuple[int, int, int]
NOTHING: Amounts = (0, 0, 0)


def numbers(kinds: Iterable[MemoryKind]) -> tuple[int, ...]:
    """The tiers of these kinds."""
    return tuple(sorted(KINDS.index(kind) for kind in kinds))


def added(one: Amounts, other: Amounts) -> Amounts:
    """The sum of both."""
    return one[0] + other[0], one[1] + other[1], one[2] + other[2]


def less(one: Amounts, other: Amounts) -> Amounts:
    """What is left of `one` without `other`."""
    return one[0] - other[0], one[1] - other[1], one[2] - other[2]


def least(one: Amounts, other: Amounts) -> Amounts:
    """The lesser of both, tier by tier."""
    return min(one[0], other[0]), min(one[1], other[1]), min(one[2], other[2])


def taken(wanted_bytes: int, available: Amounts, tiers: Iterable[int]) -> Amounts:
    """So much of what is available in these tiers, in their order; less than wanted if there is less."""
    amounts = [0, 0, 0]
    for tier in tiers:
        amounts[tier] = max(0, min(wanted_bytes, available[tier]))
        wanted_bytes -= amounts[tier]
    return amounts[0], amounts[1], amounts[2]
