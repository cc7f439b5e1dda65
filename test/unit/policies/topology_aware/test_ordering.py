"""The order of pools is the predecessor's, whose comparison is written down here as it is told in its documents."""

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_resmgr.host.grids import grid
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.contract import PINNABLE_HANDLERS, Context
from cri_resmgr.policies.topology_aware import asking
from cri_resmgr.policies.topology_aware.growing import grown
from cri_resmgr.policies.topology_aware.limits import limits
from cri_resmgr.policies.topology_aware.ordering import RULES, decisive, merit, ranked
from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.scoring import Fit, Score
from cri_resmgr.policies.topology_aware.settings import Settings
from cri_resmgr.values.workloads import Container, Pod
from unit.policies.topology_aware.nodes import O1, annotated, resources

MACHINE = grid(packages=2, nodes=2, cores=2, threads=2, isolated=0b1100)
TREE = grown(MACHINE, limits(Context(MACHINE, reserved=O1), Allocator(MACHINE)), Allocator(MACHINE))


def request(millicpu: int, annotations: dict[str, str] | None = None) -> Request:
    terms = asking.terms(Settings(), MACHINE, tree=TREE, pinnable_handlers=PINNABLE_HANDLERS)
    pod = Pod("p", "p", "default", "p", "/kubepods/podp", annotations=annotations or {})
    return asking.request(Container("p", "c", 0, asked=resources(cpu=millicpu, limit=millicpu)), pod, terms)


SEEDS = st.integers(0, 2**32)
REQUESTS = {
    "isolated": request(1000),
    "exclusive": request(2000),
    "shared": request(300),
    "mixed": request(1500, annotated("prefer-isolated-cpus", "false")),
}


def random_scores(seed: int, *, isolate: bool) -> list[Score]:
    """One score for each pool; what the predecessor calls sufficient or not is all that it knows of a fit."""
    choose = Random(seed).choice
    products = choose([[(0.0, 0.0)], [(0.0, 0.0), (0.0, 0.9), (0.9, 0.9), (1.0, 1.0)]])
    return [
        Score(
            pool,
            Fit.WELL,
            0,
            0,
            shared_millicpu=choose([-500, 0, 500, 1000]),
            isolated=choose([-1, 0, 1, 2]) if isolate else 0,
            affinity=choose([0.0, 0.0, 1.0]),
            typed=choose([True, True, False]),
            hints=every,
            some_hints=some,
            tenants=choose([0, 1, 2]),
        )
        for pool, (every, some) in ((pool, choose(products)) for pool in TREE.pools)
    ]


def less(a: Score, b: Score, wanted: Request) -> bool:  # noqa: PLR0911 - a rule each
    """Whether a is better than b: section 11.9 of the specification, rule by rule."""
    if (b.isolated < 0 <= a.isolated) or (b.shared_millicpu <= 0 < a.shared_millicpu):
        return True
    if (a.isolated < 0 <= b.isolated) or (a.shared_millicpu <= 0 < b.shared_millicpu):
        return False
    if a.affinity != b.affinity:
        return a.affinity > b.affinity
    if a.typed != b.typed:
        return a.typed
    if a.hints != b.hints:
        return a.hints > b.hints
    if a.some_hints != b.some_hints:
        return a.some_hints > b.some_hints
    if a.pool.depth != b.pool.depth:
        return a.pool.depth > b.pool.depth
    if a.some_hints:
        return a.pool.index < b.pool.index
    if wanted.isolate and (a.isolated > 0 or b.isolated > 0):
        return (-a.isolated, a.pool.index) < (-b.isolated, b.pool.index)
    if wanted.whole and (a.shared_millicpu > 0 or b.shared_millicpu > 0):
        return (-a.shared_millicpu, a.pool.index) < (-b.shared_millicpu, b.pool.index)
    return (a.tenants, -a.shared_millicpu, a.pool.index) < (b.tenants, -b.shared_millicpu, b.pool.index)


def inserted(scores: list[Score], wanted: Request) -> list[Score]:
    """Sorted by insertion, as Go sorts short lists."""
    found = list(scores)
    for i in range(1, len(found)):
        j = i
        while j and less(found[j], found[j - 1], wanted):
            found[j], found[j - 1] = found[j - 1], found[j]
            j -= 1
    return found


@pytest.mark.parametrize("kind", REQUESTS)
@settings(max_examples=500)
@given(seed=SEEDS)
def test_pools_are_in_the_predecessors_order_wherever_that_does_not_contradict_itself(kind, seed):
    wanted = REQUESTS[kind]
    scores = random_scores(seed, isolate=wanted.isolate)
    if not any(less(a, b, wanted) and less(b, a, wanted) for a in scores for b in scores):
        assert ranked(scores, wanted) == inserted(scores, wanted)


def test_where_it_does_the_isolated_cpus_decide():
    plain = Score(TREE.pools[0], Fit.WELL, 0, 0, 0, 0, 0.0, typed=True, hints=0.0, some_hints=0.0, tenants=0)
    isolated = replace(plain, isolated=0, shared_millicpu=0)
    sharing = replace(plain, pool=TREE.pools[1], isolated=-1, shared_millicpu=1000)
    wanted = REQUESTS["isolated"]
    assert less(isolated, sharing, wanted)
    assert less(sharing, isolated, wanted)
    assert ranked([sharing, isolated], wanted) == [isolated, sharing]


@pytest.mark.parametrize("kind", REQUESTS)
@given(seed=SEEDS)
def test_the_order_is_total_and_each_step_of_it_has_a_rule(kind, seed):
    wanted = REQUESTS[kind]
    first, *others = ranked(random_scores(seed, isolate=wanted.isolate), wanted)
    for score in others:
        assert merit(first, wanted) < merit(score, wanted)
        assert decisive(first, score, wanted) in RULES
        first = score


@given(seed=SEEDS, fits=st.lists(st.sampled_from(Fit), min_size=len(TREE.pools), max_size=len(TREE.pools)))
def test_what_cannot_hold_it_comes_last_whatever_speaks_for_it(seed, fits):
    wanted = REQUESTS["exclusive"]
    scores = random_scores(seed, isolate=False)
    found = ranked([replace(score, fit=fit) for score, fit in zip(scores, fits, strict=True)], wanted)
    assert [score.fit for score in found] == sorted(fits)
