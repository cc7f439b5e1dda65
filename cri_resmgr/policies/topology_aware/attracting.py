"""How much containers that run already draw a new one to each pool, or push it away.

A peer is felt in the pool of its CPUs, in all pools below that and in all around it, a quarter less with each step.
"""

from collections import Counter
from collections.abc import Sequence

from cri_resmgr.policies import affinities
from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.state import Draft

FADING = 0.75


def pulls(draft: Draft, request: Request) -> Sequence[float]:
    """The affinity of each pool; empty if nobody is felt anywhere."""
    if not request.affinities:
        return ()
    others = ((grant.request.container, grant.request.pod) for grant in draft.grants.values())
    weights = affinities.weights((request.container, request.pod), others, request.affinities)
    sources: Counter[int] = Counter()
    for key, weight in weights.items():
        sources[draft.grants[key].pool.index] += weight
    return spread(draft, sources)


def spread(draft: Draft, sources: Counter[int]) -> Sequence[float]:
    """What is felt in each pool of the weights that are in some."""
    pools = draft.tree.pools
    felt = [0.0] * len(pools)
    for index, weight in sources.items():
        pool = pools[index]
        for other in (*pools[pool.first : index + 1], *(pools[ancestor] for ancestor in pool.ancestors)):
            felt[other.index] += weight * FADING ** abs(other.depth - pool.depth)
    return felt
