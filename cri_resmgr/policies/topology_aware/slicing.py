"""Which CPUs a container gets for itself, and how those who share make room.

A pool without pools below it gives any of its shared CPUs.  A pool with such gives, as long as that is enough, only
what each part below does not need itself.  Where it is too little, CPUs are taken as they come, and whoever shares in
a part that can no longer keep its promises moves up to the pool around that part, as far as the pool that gave.  That
pool can keep them all: its own promises include those below it.
"""

from collections.abc import Sequence
from dataclasses import replace

from cri_resmgr.policies.topology_aware.capacity import loose, need
from cri_resmgr.policies.topology_aware.state import Draft, Grant
from cri_resmgr.policies.topology_aware.tree import Pool


def sliced(draft: Draft, pool: Pool, count: int, *, beside: int) -> int:
    """So many CPUs of a pool's shared set, which must have them; first from cores that `beside` has begun."""
    counts = loose(draft)
    enough = counts[pool.index] >= count
    offered = _offered(draft, pool, counts, beside=beside) if enough else draft.free(pool)
    return draft.tree.chosen(offered, count, beside=beside)


def make_room(draft: Draft, pool: Pool) -> None:
    """Let those below the pool whose shared set has become too small move up."""
    for below in draft.tree.pools[pool.first : pool.index]:
        for key, grant in _sharers(draft, below) if _crowded(draft, below) else ():
            if not _crowded(draft, below):
                break
            draft.put(key, replace(grant, pool=draft.tree.pools[below.parent]))


def _offered(draft: Draft, pool: Pool, counts: Sequence[int], *, beside: int) -> int:
    """What the parts of a pool can do without."""
    offered = pool.apart & ~draft.taken
    for part in draft.tree.pools[pool.first : pool.index]:
        if part.parent == pool.index:
            given = _offered(draft, part, counts, beside=beside)
            most = min(counts[part.index], given.bit_count())
            offered |= draft.tree.chosen(given, most, beside=beside)
    return offered


def _crowded(draft: Draft, pool: Pool) -> bool:
    return need(draft, pool) > 1000 * draft.free(pool).bit_count()


def _sharers(draft: Draft, pool: Pool) -> list[tuple[str, Grant]]:
    """Who shares in exactly this pool, the heaviest first, so that few have to move."""
    found = [(key, grant) for key, grant in draft.grants.items() if grant.pool.index == pool.index and grant.shares]
    return sorted(found, key=lambda entry: (-entry[1].part_millicpu, entry[0]))
