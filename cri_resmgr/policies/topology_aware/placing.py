"""What a container gets in the pool that is chosen for it.

Whether it fits was looked at before, in CPUs and in memory, so nothing here fails.  A container is refused only when
no pool can hold it.
"""

from dataclasses import dataclass, replace

from cri_resmgr.policies.contract import PolicyRefusal
from cri_resmgr.policies.topology_aware import explaining, lifting, slicing, tiers
from cri_resmgr.policies.topology_aware.capacity import memory
from cri_resmgr.policies.topology_aware.choosing import Choice, choose
from cri_resmgr.policies.topology_aware.requests import Request, Wish
from cri_resmgr.policies.topology_aware.scoring import reserve_holds
from cri_resmgr.policies.topology_aware.state import Draft, Grant
from cri_resmgr.policies.topology_aware.tree import Pool


@dataclass(frozen=True, slots=True)
class Placed:
    """A grant that is booked, and the choice that led to it, if there was one."""

    grant: Grant
    choice: Choice | None = None


def place(draft: Draft, key: str, request: Request, *, warm: bool = False) -> Placed:
    """Choose a pool for a container that holds nothing yet, and give it what it wants. Raises PolicyRefusal."""
    choice = choose(draft, request, warm=warm)
    if not choice.fits:
        raise PolicyRefusal(explaining.refusal(choice, request))
    return Placed(fulfil(draft, key, request, choice=choice), choice)


def tolerate(draft: Draft, key: str, request: Request, *, warm: bool, hint: Pool | None = None) -> Placed:
    """The same for a container that runs already: where it fits nowhere it shares, and nothing is promised to it."""
    choice = choose(draft, request, warm=warm, hint=hint)
    if choice.fits:
        return Placed(fulfil(draft, key, request, choice=choice), choice)
    root = draft.tree.root
    draft.put(key, Grant(request, root, root, reserved=request.reserved or not draft.free(root), unplaced=True))
    return Placed(draft.grants[key], choice)


def fulfil(draft: Draft, key: str, request: Request, *, choice: Choice) -> Grant:
    """Give the container what it wants in the best pool of a choice that fits."""
    pool = choice.best.pool
    grant = Grant(request, pool, draft.tree.pools[pool.home], part_millicpu=request.rest_millicpu)
    if reserve_holds(draft, request):
        grant = replace(grant, reserved=True)
    elif request.whole:
        isolate = request.isolate and choice.best.isolated >= 0
        grant = with_cpus(draft, grant, request.whole, isolate=isolate)
    return settle(draft, key, with_memory(draft, grant, choice.wish))


def with_cpus(draft: Draft, grant: Grant, count: int, *, isolate: bool) -> Grant:
    """The grant with so many more CPUs of its pool to itself."""
    if isolate:
        free = grant.pool.isolated & ~draft.taken
        return replace(grant, isolated=grant.isolated | draft.tree.chosen(free, count, beside=grant.own))
    cpus = slicing.sliced(draft, grant.pool, count, beside=grant.own)
    return replace(grant, exclusive=grant.exclusive | cpus)


def with_memory(draft: Draft, grant: Grant, wish: Wish) -> Grant:
    """The grant with the wished memory from its home."""
    available = memory(draft)[grant.home.index]
    return replace(grant, memory_bytes=tiers.taken(wish.bytes, available, wish.tiers), cold=wish.cold)


def settle(draft: Draft, key: str, grant: Grant) -> Grant:
    """Book the grant, and let others make room for it; returns it as it is then, for its memory may have moved, too."""
    draft.put(key, grant)
    slicing.make_room(draft, grant.pool)
    lifting.make_room(draft, grant.home)
    return draft.grants[key]


def set_aside(draft: Draft, key: str, *, exclusive: int = 0, isolated: int = 0) -> Grant:
    """Take everything from a container but these CPUs, which it keeps in the meantime; returns what it had."""
    old = draft.grants[key]
    # As if it were on reserved CPUs, with nothing promised: so it counts nowhere.
    aside = Grant(old.request, old.pool, old.home, exclusive=exclusive, isolated=isolated, reserved=True)
    draft.put(key, aside)
    return old
