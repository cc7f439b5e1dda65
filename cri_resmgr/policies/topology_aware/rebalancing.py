"""Putting right what has grown crooked: containers that share move where they would be placed better today.

Whoever has CPUs of his own keeps them; nobody of a Guaranteed pod moves unless nothing could be promised to him when
he was found.  A container moves only for a reason: any of the rules by which pools are compared but the last, which
merely avoids a tie.  So a second time right after the first changes nothing for it.
"""

from cri_resmgr.policies.requirements import Qos
from cri_resmgr.policies.topology_aware.choosing import Choice, choose
from cri_resmgr.policies.topology_aware.ordering import LAST, decisive
from cri_resmgr.policies.topology_aware.placing import fulfil, set_aside
from cri_resmgr.policies.topology_aware.scoring import reserve_holds
from cri_resmgr.policies.topology_aware.state import Draft, Grant


def rebalance(draft: Draft) -> None:
    """Place anew who gains by it."""
    for key in list(draft.grants):
        if not _is_movable(draft.grants[key]):
            continue
        old = set_aside(draft, key)
        choice = choose(draft, old.request, warm=not old.cold)
        if choice.fits and _gains(draft, old, choice):
            fulfil(draft, key, old.request, choice=choice)
        else:
            draft.put(key, old)


def _is_movable(grant: Grant) -> bool:
    shares = grant.request.requirements.qos is not Qos.GUARANTEED
    return grant.unplaced or (shares and not grant.reserved and not grant.own)


def _gains(draft: Draft, old: Grant, choice: Choice) -> bool:
    """Whether what would be chosen today is better than what it has."""
    best = choice.best
    if old.unplaced or reserve_holds(draft, old.request):
        return True
    if best.pool.index == old.pool.index:
        return best.pool.home != old.home.index
    current = next((score for score in choice.ranking if score.pool.index == old.pool.index), None)
    return current is not None and decisive(best, current, old.request) != LAST
