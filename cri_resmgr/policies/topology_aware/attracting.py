"""How much containers that run already draw a new one to each pool, or push it away.

The pod's affinities say how much, or colocation does where it has none.  A peer is felt in the pool of its CPUs, in
all pools below that and in all around it, a quarter less with each step.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from cri_resmgr.policies.affinities import COLOCATION_WEIGHT, weights
from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.state import Draft, Grant

FADING = 0.75


def pulls(draft: Draft, request: Request) -> Sequence[float]:
    """The affinity of each pool; empty if nobody can be felt."""
    sources: Counter[int] = Counter()
    if request.affinities:
        others = ((grant.request.container, grant.request.pod) for grant in draft.grants.values())
        for key, weight in weights((request.container, request.pod), others, request.affinities).items():
            sources[draft.grants[key].pool.index] += weight
    elif request.near_pod or request.near_namespace:
        for grant, weight in _colocated(draft, request):
            sources[grant.pool.index] += weight
    else:
        return ()
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


def _colocated(draft: Draft, request: Request) -> Iterator[tuple[Grant, int]]:
    """All others of the pod and of the namespace, and how much they draw."""
    own = request.pod
    for grant in draft.grants.values():
        pod = grant.request.pod
        bonds = (request.near_pod and pod.id == own.id) + (request.near_namespace and pod.namespace == own.namespace)
        if bonds and grant.request.container.key != request.container.key:
            yield grant, bonds * COLOCATION_WEIGHT
