"""How memory makes room: grants that stand in the way of one above them move up.

Memory that is promised in a pool may be used in any part of it.  So the grants in a part must leave room for all that
is promised around it.  Where they do not, all of them move, each to the nearest pool around that has room for it; one
alone would not help, for wherever it goes it is promised around the part it came from.  The root always has room,
since the machine as a whole never promises more than it has: that was looked at before.  CPUs do not move, and nothing
moves down by itself when memory is freed.
"""

from collections.abc import Sequence
from dataclasses import replace

from cri_resmgr.policies.topology_aware import tiers
from cri_resmgr.policies.topology_aware.state import Draft
from cri_resmgr.policies.topology_aware.tree import Pool


def make_room(draft: Draft, home: Pool) -> None:
    """Let those below a pool that has promised more move up."""
    for below in draft.tree.pools[home.first : home.index]:
        if crowded := crowded_tiers(draft, below):
            for above in _lifted(draft, below, crowded):
                make_room(draft, above)


def crowded_tiers(draft: Draft, pool: Pool) -> Sequence[int]:
    """The tiers in which what is at home in a pool leaves too little room for what is promised around it."""
    own = draft.memory_bytes[pool.index]
    if not any(own):
        return ()
    left = _left(draft, pool)
    return [tier for tier in tiers.ALL if own[tier] and left[tier] < 0]


def _lifted(draft: Draft, pool: Pool, crowded: Sequence[int]) -> list[Pool]:
    """Move those up who have memory of these tiers in exactly this pool, the eldest first; returns where they went."""
    moving = [
        (key, grant)
        for key, grant in draft.grants.items()
        if grant.home.index == pool.index and any(grant.memory_bytes[tier] for tier in crowded)
    ]
    homes = []
    for key, grant in moving:
        around = (draft.tree.pools[index] for index in pool.ancestors)
        homes.append(next(above for above in around if _holds(draft, above, grant.memory_bytes)))
        draft.put(key, replace(grant, home=homes[-1]))
    return homes


def _left(draft: Draft, pool: Pool) -> tiers.Amounts:
    left = pool.memory_bytes
    for index in (pool.index, *pool.ancestors):
        left = tiers.less(left, draft.memory_bytes[index])
    return left


def _holds(draft: Draft, pool: Pool, amounts: tiers.Amounts) -> bool:
    return all(left >= amount for left, amount in zip(_left(draft, pool), amounts, strict=True) if amount)
