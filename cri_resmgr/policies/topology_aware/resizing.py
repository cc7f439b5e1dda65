"""A container stays where it is: what the kubelet resizes keeps as much as it can of what it has.

Its CPUs stay its own, up to the number that it wants now.  What is more comes from its pool, or from a pool around
that if it has too little; what it gives up goes by topology.  Its memory stays where it is, or moves up.  Only where
none of this is possible it is placed anew, as if it had just been created.
"""

from dataclasses import replace

from cri_resmgr.policies.topology_aware.capacity import capacity, memory
from cri_resmgr.policies.topology_aware.placing import (
    Placed,
    place,
    set_aside,
    settle,
    tolerate,
    with_cpus,
    with_memory,
)
from cri_resmgr.policies.topology_aware.requests import Request, Wish
from cri_resmgr.policies.topology_aware.scoring import Score, bytes_short, scores
from cri_resmgr.policies.topology_aware.state import Draft, Grant
from cri_resmgr.values.machines import Priority


def resize(draft: Draft, key: str, request: Request) -> Placed:
    """Give the container what it wants now instead of what it has. Raises PolicyRefusal."""
    old = draft.grants[key]
    if _wants_the_same(old, request):
        draft.put(key, replace(old, request=request))
        return Placed(draft.grants[key])
    exclusive, isolated = _kept(draft, old, request)
    set_aside(draft, key, exclusive=exclusive, isolated=isolated)
    if stays := _in_place(draft, key, old, request=request):
        return Placed(settle(draft, key, stays))
    set_aside(draft, key)
    if old.unplaced:
        return tolerate(draft, key, request, warm=not old.cold)
    return place(draft, key, request, warm=not old.cold)


def _wants_the_same(old: Grant, request: Request) -> bool:
    same_cpus = (old.request.whole, old.request.rest_millicpu) == (request.whole, request.rest_millicpu)
    return same_cpus and _wants_the_same_memory(old, request) and not old.unplaced


def _wants_the_same_memory(old: Grant, request: Request) -> bool:
    before, now = old.request.requirements, request.requirements
    return (before.memory_request_bytes, before.memory_limit_bytes) == (
        now.memory_request_bytes,
        now.memory_limit_bytes,
    )


def _kept(draft: Draft, old: Grant, request: Request) -> tuple[int, int]:
    """Which of its CPUs it keeps, ordinary and kernel-isolated ones."""
    if old.isolated and not request.isolate:
        return 0, 0
    surplus = max(0, old.own.bit_count() - request.whole)
    given_up = draft.tree.allocator.shrink(old.own, surplus, prefer=Priority.HIGH)
    return old.exclusive & ~given_up, old.isolated & ~given_up


def _in_place(draft: Draft, key: str, old: Grant, *, request: Request) -> Grant | None:
    """The grant that comes of the old one, not booked yet; None if the container must move."""
    if old.unplaced or request.reserved:
        return None
    kept = replace(draft.grants[key], request=request, reserved=False, part_millicpu=request.rest_millicpu)
    more = request.whole - kept.own.bit_count()
    grant, score = _with_memory(draft, old, kept), _roomy(draft, kept, more)
    if grant is None or score is None:
        return None
    grant = replace(grant, pool=score.pool)
    isolate = request.isolate and not grant.exclusive and score.isolated >= 0
    return with_cpus(draft, grant, more, isolate=isolate) if more else grant


def _with_memory(draft: Draft, old: Grant, grant: Grant) -> Grant | None:
    """The grant with what it had if it wants no other, or else with its wish from the nearest home that has it."""
    if _wants_the_same_memory(old, grant.request):
        return replace(grant, memory_bytes=old.memory_bytes, cold=old.cold)
    left = memory(draft)
    for wish in grant.request.wishes(warm=not old.cold):
        for index in (old.home.index, *old.home.ancestors):
            if bytes_short(wish, left[index]) <= 0:
                return with_memory(draft, replace(grant, home=draft.tree.pools[index]), wish)
    return None


def _roomy(draft: Draft, grant: Grant, more: int) -> Score | None:
    """The nearest pool with room for the rest and for so many CPUs more; rather one where nobody has to move."""
    near = (grant.pool.index, *(grant.pool.ancestors if grant.own else ()))
    delta = replace(grant.request, whole=more, isolate=grant.request.isolate and not grant.exclusive)
    now = capacity(draft)
    found = scores(draft, delta, Wish(0, grant.request.tiers), capacity=now, pulls=())
    holding = [found[index] for index in near if _holds(grant, found[index], delta)]
    return min(holding, key=lambda score: now.loose[score.pool.index] < more, default=None)


def _holds(grant: Grant, score: Score, delta: Request) -> bool:
    if grant.isolated and score.isolated < 0:  # isolated and ordinary CPUs do not mix
        return False
    return score.short_millicpu <= 0 or (grant.own != 0 and not delta.millicpu)
