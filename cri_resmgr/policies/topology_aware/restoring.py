"""The state that follows from what runs.

Everybody keeps his holding where it still fits, in the order of creation.  Then those who cannot are placed, the
demanding first, where they were if possible.  What fits nowhere runs all the same: it shares in the root, and nothing
is promised to it.  Whoever was resized while nobody looked is resized now.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from cri_resmgr.policies.contract import PolicyRefusal
from cri_resmgr.policies.requirements import Qos
from cri_resmgr.policies.topology_aware import remembering
from cri_resmgr.policies.topology_aware.capacity import need
from cri_resmgr.policies.topology_aware.lifting import crowded_tiers
from cri_resmgr.policies.topology_aware.placing import Placed, tolerate
from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.resizing import resize
from cri_resmgr.policies.topology_aware.state import Draft, Grant
from cri_resmgr.values.decisions import Holding

_BY_DEMAND = (Qos.GUARANTEED, Qos.BURSTABLE, Qos.BEST_EFFORT)


@dataclass(frozen=True, slots=True)
class Former:
    """A container that runs: what it wants, and what it had."""

    key: str
    request: Request
    holding: Holding


def restore(draft: Draft, formers: Sequence[Former]) -> dict[str, Placed]:
    """Fill an empty draft with what runs, in the order of creation; returns how each came to what it has."""
    kept: dict[str, Placed] = {}
    for former in formers:
        grant = remembering.remembered(former.holding, former.request, draft.tree)
        if grant is not None and _reinstated(draft, former.key, grant):
            kept[former.key] = Placed(grant)
    homeless = sorted((former for former in formers if former.key not in kept), key=_demand)
    placed = kept | {former.key: _placed(draft, former) for former in homeless}
    for former in formers:
        if placed[former.key].grant.request is not former.request:
            placed[former.key] = _resized(draft, former)
    draft.grants = {former.key: draft.grants[former.key] for former in formers}
    return placed


def _reinstated(draft: Draft, key: str, grant: Grant) -> bool:
    """Whether the grant could be booked as it is."""
    if grant.exclusive & ~draft.free(grant.pool) or grant.isolated & (draft.taken | ~grant.pool.isolated):
        return False
    draft.put(key, grant)
    if _is_sound(draft):
        return True
    draft.drop(key)
    return False


def _is_sound(draft: Draft) -> bool:
    """Whether every promise can be kept."""
    if draft.reserved_millicpu > 1000 * draft.tree.root.reserved.bit_count():
        return False
    return not any(
        need(draft, pool) > 1000 * draft.free(pool).bit_count() or crowded_tiers(draft, pool)
        for pool in draft.tree.pools
    )


def _placed(draft: Draft, former: Former) -> Placed:
    said = remembering.read(former.holding)
    hint = draft.tree.named(former.holding.pool) if said else None
    warm = "cold" not in said.get("marks", ())
    return tolerate(draft, former.key, former.request, warm=warm, hint=hint)


def _resized(draft: Draft, former: Former) -> Placed:
    """What came of a resize that nobody decided about; nothing, if it does not fit."""
    old = draft.grants[former.key]
    try:
        return resize(draft, former.key, former.request)
    except PolicyRefusal:
        draft.put(former.key, old)
        return Placed(old)


def _demand(former: Former) -> tuple[int | str, ...]:
    required, pod = former.request.requirements, former.request.pod
    return (
        _BY_DEMAND.index(required.qos),
        -required.memory_request_bytes,
        -required.memory_limit_bytes,
        -required.cpu_request_millicpu,
        -required.cpu_limit_millicpu,
        pod.name,
        former.request.container.name,
        former.key,
    )
