"""How close each pool is to the devices and volumes of a container, as hints say where those are.

A pool scores for each hint; the product of all scores counts first, and where that is zero for everybody the product
of those that are not.
"""

from collections.abc import Sequence

from cri_resmgr.policies.topology_aware.tree import Pool
from cri_resmgr.values.hints import Hint

_KUBELET = "kubelet"  # a pseudo hint, made from sets in the kubelet's own request


def scores(hints: Sequence[Hint], pool: Pool) -> tuple[float, float]:
    """Both products, between 0 and 1; zeros without any hint."""
    every, some = 1.0, 0.0
    counted = [score(hint, pool) for hint in hints if hint.provider != _KUBELET]
    for value in counted:
        every *= value
        if value:
            some = some * value if some else value
    return (every if counted else 0.0), some


def score(hint: Hint, pool: Pool) -> float:
    """By the first of the hint's sets that is not empty."""
    locality = pool.locality
    if hint.cpus:
        return (hint.cpus & locality.cpus).bit_count() / hint.cpus.bit_count()
    if hint.nodes:
        return locality.node_score if hint.nodes & locality.nodes else 0.0
    return locality.package_score if hint.packages & locality.packages else 0.0
