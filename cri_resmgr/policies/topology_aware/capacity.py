"""What each pool could still give, worked out in one pass over all pools.

A pool cannot promise more than any pool around it can, whose shared set contains its own.  So `shared_millicpu` is the
least of what is left in a pool and in its ancestors.  `sliceable_millicpu` is what can be sliced off as whole CPUs:
the same, but something stays for those who need the shared set though nothing was promised to them.

`loose` looks downwards: how many CPUs can go without anybody below having to move.  Each part gives what it does not
need itself: one that has promised 200m of its four CPUs gives three.

Memory is what is left of a pool and not promised above, for a promise that is kept anywhere above may be kept here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cri_resmgr.policies.topology_aware import tiers
from cri_resmgr.policies.topology_aware.state import Draft
from cri_resmgr.policies.topology_aware.tree import Pool


@dataclass(frozen=True, slots=True)
class Capacity:
    """By pool; an amount below zero is what is short already."""

    shared_millicpu: Sequence[int]
    sliceable_millicpu: Sequence[int]
    loose: Sequence[int]
    memory_bytes: Sequence[tiers.Amounts]


def capacity(draft: Draft) -> Capacity:
    """The capacity of every pool."""
    pools = draft.tree.pools
    free = [1000 * draft.free(pool).bit_count() for pool in pools]
    unpromised = [have - due for have, due in zip(free, draft.promised_millicpu, strict=True)]
    unneeded = [have - need(draft, pool) for have, pool in zip(free, pools, strict=True)]
    return Capacity(_within(pools, unpromised), _within(pools, unneeded), loose(draft), memory(draft))


def need(draft: Draft, pool: Pool) -> int:
    """What must stay in the shared set of a pool, in thousandths of a CPU."""
    return draft.promised_millicpu[pool.index] or min(1, draft.idlers[pool.index])


def loose(draft: Draft) -> list[int]:
    """How many CPUs each pool can lose without anybody having to move."""
    counts = [(pool.apart & ~draft.taken).bit_count() for pool in draft.tree.pools]
    for pool in draft.tree.pools:
        unneeded = 1000 * draft.free(pool).bit_count() - need(draft, pool)
        counts[pool.index] = max(0, min(counts[pool.index], unneeded // 1000))
        if pool.ancestors:
            counts[pool.parent] += counts[pool.index]
    return counts


def memory(draft: Draft) -> list[tiers.Amounts]:
    """What each pool has left by tier, and no more than the machine has."""
    pools = draft.tree.pools
    everywhere = tiers.NOTHING
    for amounts in draft.memory_bytes:
        everywhere = tiers.added(everywhere, amounts)
    left = [tiers.less(draft.tree.root.memory_bytes, everywhere)] * len(pools)
    due = [tiers.NOTHING] * len(pools)
    for pool in reversed(pools):
        above = due[pool.parent] if pool.ancestors else tiers.NOTHING
        due[pool.index] = tiers.added(above, draft.memory_bytes[pool.index])
        here = tiers.less(pool.memory_bytes, due[pool.index])
        left[pool.index] = tiers.least(here, left[pool.index])
    return left


def _within(pools: Sequence[Pool], amounts: Sequence[int]) -> list[int]:
    """Each amount, or that of an ancestor where it is less."""
    least = list(amounts)
    for pool in reversed(pools):
        if pool.ancestors:
            least[pool.index] = min(least[pool.index], least[pool.parent])
    return least
