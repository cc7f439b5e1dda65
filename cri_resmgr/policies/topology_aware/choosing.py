"""Which pool a request goes to: all of them looked at, the best first."""

from collections.abc import Sequence
from dataclasses import dataclass

from cri_resmgr.policies.topology_aware import attracting
from cri_resmgr.policies.topology_aware.capacity import capacity
from cri_resmgr.policies.topology_aware.ordering import ranked
from cri_resmgr.policies.topology_aware.requests import Request, Wish
from cri_resmgr.policies.topology_aware.scoring import Fit, Score, scores
from cri_resmgr.policies.topology_aware.state import Draft
from cri_resmgr.policies.topology_aware.tree import Pool


@dataclass(frozen=True, slots=True)
class Choice:
    """All pools that came into question, the best first, and the wish for memory that goes with it."""

    ranking: Sequence[Score]
    wish: Wish

    @property
    def best(self) -> Score:
        """The pool that is chosen, if it can hold the request."""
        return self.ranking[0]

    @property
    def fits(self) -> bool:
        """Whether any pool can hold the request."""
        return self.best.fit is not Fit.NOT


def choose(draft: Draft, request: Request, *, warm: bool = False, hint: Pool | None = None) -> Choice:
    """The choice for a request that holds nothing in the draft.

    The pool of the `hint` is the best if it can hold the request.  A `warm` container does not start cold again.
    """
    now, pulls = capacity(draft), attracting.pulls(draft, request)
    for wish in request.wishes(warm=warm):
        found = scores(draft, request, wish, capacity=now, pulls=pulls)
        choice = Choice(ranked(found, request), wish)
        if choice.fits:
            return _hinted(choice, hint) if hint else choice
    return choice


def _hinted(choice: Choice, hint: Pool) -> Choice:
    wanted = [score for score in choice.ranking if score.pool.index == hint.index and score.fit is not Fit.NOT]
    return Choice([*wanted, *(score for score in choice.ranking if score not in wanted)], choice.wish)
