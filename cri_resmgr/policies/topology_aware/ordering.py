"""Which of two pools is better: a list of rules, of which the first that makes a difference decides.

All rules together are a key to sort by, so the order is total, costs little, and does not depend on where one begins.
The predecessor sorts by comparing pools in pairs; the order is the same but for one case.  Where one of two pools has
isolated CPUs for a request and nothing to share, and the other the reverse, its comparison contradicts itself, and
the order in which it looks decides; here the isolated CPUs do.
"""

from collections.abc import Sequence
from itertools import zip_longest

from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.scoring import Score

Merit = tuple[float, ...]
"""The lowest is the best; one number for each rule."""

LAST = "comes later"
RULES = (
    "would make others move",
    "has too few isolated CPUs",
    "would have no CPU left to share",
    "is less attractive by affinity",
    "has not all types of memory",
    "is farther by hints",
    "is farther by those hints that apply",
    "is larger",
    "has fewer isolated CPUs",
    "has fewer CPUs left to share",
    "has more containers",
    "has less left to share",
    LAST,
)
"""What is said of the worse pool, in the order of a merit's numbers."""


def ranked(scores: Sequence[Score], request: Request) -> list[Score]:
    """The best first."""
    return sorted(scores, key=lambda score: merit(score, request))


def merit(score: Score, request: Request) -> Merit:
    """How good a pool is for a request."""
    return (
        score.fit,
        score.isolated < 0,
        score.shared_millicpu <= 0,
        -score.affinity,
        not score.typed,
        -score.hints,
        -score.some_hints,
        -score.pool.depth,
        *_spare(score, request),
        score.pool.index,
    )


def decisive(better: Score, worse: Score, request: Request) -> str:
    """The rule by which one pool is worse than another."""
    pairs = zip_longest(merit(better, request), merit(worse, request))
    return next(rule for rule, (one, other) in zip(RULES, pairs, strict=True) if one != other)


def _spare(score: Score, request: Request) -> tuple[int, int, int, int]:
    """What decides among pools of the same size; where one number does, those after it must not."""
    if score.some_hints:
        return 0, 0, 0, 0
    if request.isolate and score.isolated > 0:
        return -score.isolated, 0, 0, 0
    if request.whole and score.shared_millicpu > 0:
        return 0, -score.shared_millicpu, 0, 0
    return 0, 0, score.tenants, -score.shared_millicpu
