"""What is measured of a policy: a crowd that is the same each time, and numbers that mean what they say."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench import policy
from bench.policy_crowd import EXCLUSIVE_CPUS, NOTHING_ASKED, Crowd
from bench.rig import Bench
from cri_resmgr.policies.contract import Context, PolicyRefusal
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.policies.requirements import Qos, requirements
from cri_resmgr.values.machines import Machine

BENCH = Bench(Path(), rounds=2)


def crowd(*, cpus: int = 256, alive: int = 500, seed: int = 0, of: type[NonePolicy] = NonePolicy) -> Crowd:
    return Crowd(of(), cpus=cpus, alive=alive, seed=seed)


class Unwilling(NonePolicy):
    """Takes nobody."""

    def create(self, state, container, pod):
        raise PolicyRefusal("full")


def wishes(of: Crowd) -> list[tuple[str, object]]:
    return [(container.key, container.asked) for container in of.stage.containers.values()]


def after(steps: int, of: Crowd) -> list[tuple[str, object]]:
    for _ in range(steps):
        of.step()
    return wishes(of)


def test_the_same_seed_is_the_same_crowd_step_by_step():
    assert after(300, crowd()) == after(300, crowd())
    assert after(300, crowd()) != after(300, crowd(seed=1))


@pytest.mark.parametrize("cpus", [16, 256, 1024])
def test_a_third_of_the_machine_is_asked_for_in_whole_cpus_and_a_third_in_fractions(cpus: int):
    alive = 5_000  # chance evens out
    full = crowd(cpus=cpus * 10, alive=alive)
    asked = [requirements(c, full.stage.pods[c.pod_id]) for c in full.stage.containers.values()]
    whole = sum(own.cpu_request_millicpu for own in asked if own.qos is Qos.GUARANTEED)
    fractions = sum(own.cpu_request_millicpu for own in asked if own.qos is Qos.BURSTABLE)
    assert whole / (cpus * 10_000) == pytest.approx(1 / 3, rel=0.2)
    assert fractions / (cpus * 10_000) == pytest.approx(1 / 3, rel=0.2)
    assert {own.cpu_limit_millicpu for own in asked if own.qos is Qos.GUARANTEED} == {1000 * n for n in EXCLUSIVE_CPUS}
    assert sum(own.qos is Qos.BEST_EFFORT for own in asked) / alive == pytest.approx(0.2, rel=0.1)


def test_the_crowd_stays_about_as_large_as_it_was_made():
    full, sizes = crowd(alive=100), set()
    for _ in range(3_000):
        full.step()
        sizes.add(len(full.stage.containers))
    assert 88 <= min(sizes) < 100 < max(sizes) <= 112


def test_a_step_creates_deletes_or_resizes_and_each_of_them_happens():
    full, kinds = crowd(alive=100), set()
    for _ in range(100):
        before = dict(wishes(full))
        full.step()
        now = dict(wishes(full))
        kinds.add("resize" if before.keys() == now.keys() else "create" if before.keys() < now.keys() else "delete")
    assert kinds == {"create", "delete", "resize"}
    assert len(full.stage.pods) == len(full.stage.containers)


def test_a_resize_never_changes_the_class_of_a_pod():
    full = crowd(alive=100)
    for _ in range(500):
        full.step()
    for container in full.stage.containers.values():
        parent = full.stage.pods[container.pod_id].cgroup_parent
        assert ("besteffort" in parent) == (container.asked == NOTHING_ASKED)
        assert ("burstable" not in parent and "besteffort" not in parent) == (container.asked.cpu_quota_us > 0)


def test_refusals_are_counted_and_whoever_was_refused_is_not_there():
    full = crowd(alive=20, of=Unwilling)
    assert (full.asked, full.refused) == (20, 20)
    assert not full.stage.containers
    assert not full.create(*full.next())


def test_decisions_leave_the_crowd_as_it_was():
    full = crowd(alive=50)
    before = wishes(full)
    assert len(policy.decisions(full)) == policy.DECISIONS
    assert wishes(full) == before


def test_a_percentile_is_exceeded_by_the_rest():
    values = [float(n) for n in range(1, 1000)]
    assert policy.percentile(values, 50) == 500
    assert policy.percentile(values, 99) == 990


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch) -> list[Machine]:
    """The machines that the policy was made for; the policy is one that has nothing to do."""
    seen: list[Machine] = []

    class Entry:
        make: Callable = staticmethod(lambda context: seen.append(context.machine) or Pooled(context))

    monkeypatch.setattr(policy.registry, "find", lambda name: Entry() if name == "topology-aware" else None)
    monkeypatch.setattr(policy, "DECISIONS", 5)
    monkeypatch.setattr(policy, "STEPS", 30)
    return seen


class Pooled(NonePolicy):
    """Has as many pools as there are nodes."""

    def __init__(self, context: Context) -> None:
        self.nodes = context.machine.nodes

    def pools(self, state):
        return self.nodes


def test_each_size_is_what_its_title_says(machines: list[Machine]):
    for name in policy.SIZES:
        policy.on_one_machine(BENCH, name)
    said = [f"{machine.online.bit_count():,} CPUs, {len(machine.nodes)} nodes" for machine in machines]
    assert said == [size.title for size in policy.SIZES.values()]


def test_a_size_is_three_rows_and_the_targets_are_those_that_were_promised(machines: list[Machine]):
    rows = policy.on_one_machine(BENCH, "policy-256")
    assert [row.name for row in rows] == ["policy-256", "policy-256-p99", "policy-256-steps"]
    claims = [[(claim.what, claim.limit, claim.unit) for claim in row.claims] for row in rows]
    assert claims == [
        [("p50", 1, " ms")],
        [("p99", 5, " ms")],
        [("steps", 20, " s"), ("refused", 5, " %")],
    ]
    assert all(row.direct is None and row.relay_cpu_us is not None for row in rows)


def test_sizes_without_a_target_claim_only_that_the_load_fits(machines: list[Machine]):
    rows = policy.on_one_machine(BENCH, "policy-16")
    assert [[claim.what for claim in row.claims] for row in rows] == [[], [], ["refused"]]


def test_few_and_many_pools_lie_on_the_same_cpus_and_their_ratio_is_the_limit(machines: list[Machine]):
    row = policy.by_pools(BENCH)
    few, many = machines
    assert few.online == many.online
    assert row.title == f"allocation with {len(few.nodes)} pools, with {len(many.nodes)}"
    (claim,) = row.claims
    assert (claim.what, claim.at, claim.limit) == ("ratio", "most", len(many.nodes) / len(few.nodes))


def test_the_real_policy_takes_nearly_everybody_and_has_more_pools_on_more_nodes(monkeypatch: pytest.MonkeyPatch):
    for name, value in {"ALIVE": 60, "DECISIONS": 10, "STEPS": 100}.items():
        monkeypatch.setattr(policy, name, value)
    allocation, worst, steps = policy.on_one_machine(BENCH, "policy-16")
    assert 0 < allocation.relayed.median <= worst.relayed.median
    assert steps.met is True
    (claim,) = policy.by_pools(BENCH).claims
    assert 1 < claim.limit <= 8


def test_nobody_comes_who_asks_for_more_than_is_left():
    full = crowd(cpus=4, alive=40)
    for _ in range(1_000):
        full.step()
        asked = sum(c.asked.cpu_shares for c in full.stage.containers.values() if c.asked != NOTHING_ASKED)
        assert asked * 1000 / 1024 <= 0.8 * 4_000
