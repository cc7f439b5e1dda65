"""How well each pool suits a request: whether it can hold it, what would be left, who is there, what is near.

Whether a pool can hold it is known here, before anything is booked: nothing that is chosen fails afterwards.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from cri_resmgr.policies.topology_aware import hinting, tiers
from cri_resmgr.policies.topology_aware.capacity import Capacity
from cri_resmgr.policies.topology_aware.requests import Request, Wish
from cri_resmgr.policies.topology_aware.state import Draft
from cri_resmgr.policies.topology_aware.tree import Pool


class Fit(IntEnum):
    """Whether a pool can hold a request; the lower, the better."""

    WELL = 0
    OTHERS_MOVE = 1
    """It can, when some who share CPUs below move up to it."""
    NOT = 2


@dataclass(frozen=True, slots=True)
class Score:
    """What one pool has to say for itself."""

    pool: Pool
    fit: Fit
    short_millicpu: int
    """What it lacks of CPU; 1000 if a CPU to share is all that it lacks."""
    short_bytes: int
    """What it lacks of memory."""
    shared_millicpu: int
    """What would be left of its shared set; 0 and less is undesirable, even where it fits."""
    isolated: int
    """How many kernel-isolated CPUs would be left, if they are wanted."""
    affinity: float
    typed: bool
    """Whether it has all the types of memory that are asked for."""
    hints: float
    some_hints: float
    """The two products of `hinting`."""
    tenants: int
    """How many have their CPUs from exactly this pool."""


def scores(draft: Draft, request: Request, wish: Wish, *, capacity: Capacity, pulls: Sequence[float]) -> list[Score]:
    """The scores of all pools that come into question; `pulls` are the affinities of all, or nothing."""
    pools = draft.tree.pools[-1:] if request.reserved else draft.tree.pools
    taste = 0 if request.whole or request.rest_millicpu else 1  # so that the lightest feel the heaviest load, too
    found = []
    for pool in pools:
        isolated = (pool.isolated & ~draft.taken).bit_count() - request.whole if request.isolate else 0
        sliced = 0 if request.isolate and isolated >= 0 else request.whole
        short_millicpu = _short_millicpu(draft, pool, request, sliced=sliced, capacity=capacity)
        short_bytes = bytes_short(wish, capacity.memory_bytes[pool.home])
        fit = Fit.OTHERS_MOVE if capacity.loose[pool.index] < sliced else Fit.WELL
        every, some = hinting.scores(request.hints, pool)
        score = Score(
            pool=pool,
            fit=Fit.NOT if short_millicpu > 0 or short_bytes > 0 else fit,
            short_millicpu=short_millicpu,
            short_bytes=short_bytes,
            shared_millicpu=capacity.shared_millicpu[pool.index] - 1000 * sliced - request.rest_millicpu - taste,
            isolated=isolated,
            affinity=pulls[pool.index] if pulls else 0.0,
            typed=not request.typed or all(draft.tree.pools[pool.home].nodes[tier] for tier in request.tiers),
            hints=every,
            some_hints=some,
            tenants=draft.tenants[pool.index],
        )
        found.append(score)
    return found


def reserve_holds(draft: Draft, request: Request) -> bool:
    """Whether the reserved CPUs have enough for a request that is meant for them."""
    reserve_millicpu = 1000 * draft.tree.root.reserved.bit_count()
    return request.reserved and draft.reserved_millicpu + request.rest_millicpu <= reserve_millicpu


def bytes_short(wish: Wish, available: tiers.Amounts) -> int:
    """What is lacking for a wish; nothing if it is 0 or less."""
    if not wish.bytes:  # it needs nothing, but a place that is promised to others already is none
        return -max(available[tier] for tier in wish.tiers)
    return wish.bytes - sum(tiers.taken(wish.bytes, available, wish.tiers))


def _short_millicpu(draft: Draft, pool: Pool, request: Request, *, sliced: int, capacity: Capacity) -> int:
    if reserve_holds(draft, request):
        return 0
    if sliced:
        sliceable = capacity.sliceable_millicpu[pool.index]
        unusable = 0 if request.rest_millicpu else sliceable % 1000  # for those who want whole CPUs only
        return 1000 * sliced + request.rest_millicpu - (sliceable - unusable)
    if request.rest_millicpu:
        return request.rest_millicpu - capacity.shared_millicpu[pool.index]
    return 0 if request.whole or draft.free(pool) else 1000
