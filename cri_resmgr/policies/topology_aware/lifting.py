"""How memory makes room: a grant that stands in the way of one above it moves up.

Memory that is promised in a pool may be used in any part of it.  So a grant in a part must leave room for all that is
promised around it; where it does not, it moves to the nearest pool around that has room for it.  The root always has,
for the machine as a whole never promises more than there is: that was looked at before.  CPUs do not move, and nothing
moves down by itself when memory is freed.
"""

from collections.abc import Sequence
from dataclasses import replace

from cri_resmgr.policies.topology_aware import tiers
from cri_resmgr.policies.topology_aware.state import Draft
from cri_resmgr.policies.topology_aware.tree import Pool


def make_room(draft: Draft, home: Pool) -> None:
    """Let those below a pool that has promised more move up."""
    pools = draft.tree.pools
    for below in pools[home.first : home.index]:
        while crowded := crowded_tiers(draft, below):
            key = _heaviest(draft, below, crowded)
            grant = draft.grants[key]
            above = next(pools[index] for index in below.ancestors if _holds(draft, pools[index], grant.memory_bytes))
            draft.put(key, replace(grant, home=above))
            make_room(draft, above)


def crowded_tiers(draft: Draft, pool: Pool) -> Sequence[int]:
    """The tiers in which what is at home in a pool leaves too little room for what is promised around it."""
    own = draft.memory_bytes[pool.index]
    if not any(own):
        return ()
    left = _left(draft, pool)
    return [tier for tier in tiers.ALL if own[tier] and left[tier] < 0]


def _left(draft: Draft, pool: Pool) -> tiers.Amounts:
    left = pool.memory_bytes
    for index in (pool.index, *pool.ancestors):
        left = tiers.less(left, draft.memory_bytes[index])
    return left


def _holds(draft: Draft, pool: Pool, amounts: tiers.Amounts) -> bool:
    return all(left >= amount for left, amount in zip(_left(draft, pool), amounts, strict=True) if amount)


def _heaviest(draft: Draft, pool: Pool, crowded: Sequence[int]) -> str:
    """Whose memory in these tiers is the most, so that few have to move."""
    weights = {
        key: sum(grant.memory_bytes[tier] for tier in crowded)
        for key, grant in draft.grants.items()
        if grant.home.index == pool.index
    }
    return min(weights, key=lambda key: (-weights[key], key))
