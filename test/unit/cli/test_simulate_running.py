"""The steps of a scenario do on the stage what a kubelet and a daemon would do on a node."""

from dataclasses import replace

import pytest

from cri_resmgr.cli.simulating import steps
from cri_resmgr.cli.simulating.running import Simulation
from cri_resmgr.host.grids import grid
from cri_resmgr.policies.contract import PolicyRefusal, Restored
from cri_resmgr.policies.declarations import Amounts, Declared
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.resources import Assignment
from cri_resmgr.values.workloads import State

GIB = 1 << 30
NOTHING = Declared(Amounts(), Amounts())
WHOLE = Declared(Amounts(1000, 1000), Amounts(GIB, GIB))


class Watching:
    """Notes what it is asked; refuses whom `refused` names, and gives the CPU that has the number of the question."""

    name = "watching"

    def __init__(self, *refused, revisit_s=0.0):
        self.refused, self.asked, self.revisit_s = set(refused), [], revisit_s

    def restore(self, running):
        self.asked.append(("restore", *(c.name for c, _ in running)))
        return Restored(None)

    def create(self, state, container, pod):
        return self._answer("create", container), state

    def update(self, state, container, pod):
        return self._answer("update", container), state

    def release(self, state, key):
        self.asked.append(("release", key))
        return Decision(), state

    def revisit(self, state, container, pod):
        return replace(self._answer("revisit", container), revisit_after_start_s=0.0), state

    def pools(self, state):
        return ()

    def warnings(self, state):
        return ("take care",)

    def _answer(self, what, container):
        self.asked.append((what, container.name))
        if container.name in self.refused:
            raise PolicyRefusal("no room")
        return Decision(Assignment(cpuset_cpus=str(len(self.asked))), revisit_after_start_s=self.revisit_s)


def container(name="c", resources=WHOLE, **fields):
    return steps.ContainerSpec(name, resources, **fields)


def pod(*containers, name="web", init=()):
    return steps.Create(steps.PodSpec(name, "default", containers or (container(),), tuple(init)))


def simulated(*taken, policy=None):
    """The outcomes of the steps, and the policy that was asked."""
    policy = policy or Watching()
    simulation = Simulation(grid(cores=8), policy)
    return [simulation.take(step) for step in taken], policy


def last(*taken, policy=None):
    return simulated(*taken, policy=policy)[0][-1]


def test_a_pods_containers_are_created_in_order_and_wait_to_be_started():
    (outcome,), policy = simulated(pod(container("a"), container("b")))
    assert policy.asked == [("restore",), ("create", "a"), ("create", "b")]
    assert list(outcome.after) == ["web:a", "web:b"]
    assert {c.state for c in outcome.after.values()} == {State.CREATED}
    assert (outcome.number, outcome.errors, outcome.before) == (1, (), {})


def test_each_step_has_its_number_and_what_there_was_before():
    first, second = simulated(pod(), steps.Start("web"))[0]
    assert (first.number, second.number) == (1, 2)
    assert second.before == first.after
    assert second.after["web:c"].state is State.RUNNING


def test_init_containers_run_one_after_another_before_the_others_and_are_gone():
    (outcome,), policy = simulated(pod(container("app"), init=[container("one"), container("two")]))
    assert policy.asked == [
        ("restore",),
        ("create", "one"),
        ("release", "web-1/one/0"),
        ("create", "two"),
        ("release", "web-1/two/0"),
        ("create", "app"),
    ]
    assert list(outcome.after) == ["web:app"]


def test_a_sidecar_goes_on_beside_the_containers():
    outcome = last(pod(container("app"), init=[container("mesh", sidecar=True)]))
    assert [(name, c.state) for name, c in outcome.after.items()] == [
        ("web:mesh", State.RUNNING),
        ("web:app", State.CREATED),
    ]


def test_a_refused_container_is_the_steps_error_and_the_others_go_on():
    outcome = last(pod(container("a"), container("b"), container("c")), policy=Watching("b"))
    assert outcome.errors == ("web:b: no room",)
    assert list(outcome.after) == ["web:a", "web:c"]


def test_a_refused_init_container_keeps_its_pod_from_going_on():
    outcome = last(pod(container("a"), init=[container("i")]), policy=Watching("i"))
    assert outcome.errors == ("web:i: no room; the pod does not go on without its init container",)
    assert outcome.after == {}


def test_a_pod_whose_name_is_taken_is_an_error_and_changes_nothing():
    outcome = last(pod(), pod(container("other")))
    assert outcome.errors == ("pod web is there already; delete it first",)
    assert list(outcome.after) == ["web:c"]


def test_a_name_is_free_again_after_the_pod_has_gone():
    outcome = last(pod(), steps.Delete("web"), pod(container("other")))
    assert (outcome.errors, list(outcome.after)) == ((), ["web:other"])


def test_starting_a_pod_starts_what_has_been_created_and_one_container_alone():
    both = pod(container("a"), container("b"))
    assert {c.state for c in last(both, steps.Start("web")).after.values()} == {State.RUNNING}
    after = last(both, steps.Start("web", "b")).after
    assert [c.state for c in after.values()] == [State.CREATED, State.RUNNING]


def test_starting_a_container_that_has_ended_makes_a_new_instance_of_it():
    outcome = last(pod(), steps.Start("web"), steps.Exit("web", "c"), steps.Start("web", "c"))
    assert outcome.errors == ()
    assert outcome.after["web:c"].attempt == 1
    assert outcome.after["web:c"].state is State.RUNNING


def test_starting_a_pod_does_not_bring_back_what_has_ended():
    assert last(pod(), steps.Exit("web", "c"), steps.Start("web")).after == {}


def test_a_refused_container_is_tried_again_when_it_is_started():
    policy = Watching("c")
    simulation = Simulation(grid(cores=8), policy)
    simulation.take(pod())
    assert simulation.take(steps.Start("web", "c")).errors == ("web:c: no room",)
    policy.refused.clear()
    outcome = simulation.take(steps.Start("web", "c"))
    assert (outcome.errors, outcome.after["web:c"].state) == ((), State.RUNNING)


def test_a_container_that_exits_is_released_and_the_rest_of_the_pod_stays():
    outcomes, policy = simulated(pod(container("a"), container("b")), steps.Exit("web", "a"))
    assert policy.asked[-1] == ("release", "web-1/a/0")
    assert list(outcomes[-1].after) == ["web:b"]


def test_a_deleted_pod_takes_everything_with_it_and_nobody_else():
    outcome = last(pod(container("a"), container("b")), pod(name="db"), steps.Delete("web"))
    assert list(outcome.after) == ["db:c"]


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (steps.Start("web"), "pod web is not there"),
        (steps.Exit("web", "c"), "web:c is not there"),
        (steps.Delete("web"), "pod web is not there"),
        (steps.Resize("web", "c"), "web:c is not there"),
    ],
)
def test_a_step_about_a_pod_that_has_gone_is_an_error(step, error):
    assert last(pod(), steps.Delete("web"), step).errors == (error,)


def test_a_step_about_a_container_that_has_ended_is_an_error():
    gone = steps.Exit("web", "c")
    assert last(pod(), gone, gone).errors == ("web:c is not there",)
    assert last(pod(), gone, steps.Resize("web", "c")).errors == ("web:c is not there",)


def test_a_container_of_an_earlier_pod_of_that_name_is_an_error():
    outcome = last(pod(), steps.Delete("web"), pod(container("other")), steps.Start("web", "c"))
    assert outcome.errors == ("pod web has no container c this time",)


def test_a_resize_changes_what_is_asked_and_leaves_what_is_not_said():
    taken = pod(), steps.Resize("web", "c", cpu_request_millicpu=3000, cpu_limit_millicpu=3000)
    outcomes, policy = simulated(*taken)
    assert policy.asked[-1] == ("update", "c")
    asked = outcomes[-1].after["web:c"].asked
    assert (asked.cpu_shares, asked.cpu_quota_us, asked.memory_limit_bytes) == (3072, 300_000, GIB)


def test_resizes_add_up():
    burstable = container(resources=Declared(Amounts(1000, 0), Amounts()))
    first = steps.Resize("web", "c", cpu_limit_millicpu=4000)
    outcome = last(pod(burstable), first, steps.Resize("web", "c", memory_limit_bytes=7))
    asked = outcome.after["web:c"].asked
    assert (asked.cpu_shares, asked.cpu_quota_us, asked.memory_limit_bytes) == (1024, 400_000, 7)


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (
            steps.Resize("web", "c", cpu_request_millicpu=500),
            "web:c: the pod would become Burstable and is Guaranteed; Kubernetes refuses that",
        ),
        (
            steps.Resize("web", "c", cpu_request_millicpu=2000),
            "web:c: would request more CPU than its limit; Kubernetes refuses that",
        ),
        (
            steps.Resize("web", "c", memory_limit_bytes=1),
            "web:c: would request more memory than its limit; Kubernetes refuses that",
        ),
    ],
)
def test_a_resize_that_the_api_server_refuses_never_reaches_the_policy(step, error):
    outcomes, policy = simulated(pod(), step)
    assert outcomes[-1].errors == (error,)
    assert outcomes[-1].after == outcomes[0].after
    assert policy.asked[-1] == ("create", "c")


def test_a_refused_resize_leaves_the_container_and_its_spec_as_they_were():
    policy = Watching()
    simulation = Simulation(grid(cores=8), policy)
    before = simulation.take(pod()).after
    policy.refused.add("c")
    grown = steps.Resize("web", "c", cpu_request_millicpu=2000, cpu_limit_millicpu=2000)
    outcome = simulation.take(grown)
    assert (outcome.errors, outcome.after) == (("web:c: no room",), before)
    policy.refused.clear()
    memory = steps.Resize("web", "c", memory_request_bytes=2 * GIB, memory_limit_bytes=2 * GIB)
    assert simulation.take(memory).after["web:c"].asked.cpu_shares == 1024


def test_a_restart_asks_the_same_policy_to_restore_and_a_configuration_the_new_one():
    policy, other = Watching(), Watching()
    simulation = Simulation(grid(cores=8), policy)
    for step in (pod(), steps.Restart(), steps.Configure(other), pod(name="db")):
        simulation.take(step)
    assert policy.asked == [("restore",), ("create", "c"), ("restore", "c")]
    assert other.asked == [("restore", "c"), ("create", "c")]
    simulation.take(steps.Configure(NonePolicy()))
    assert simulation.policy_name == "none"


def test_time_brings_on_a_revisit_that_long_after_the_start():
    outcomes, policy = simulated(
        pod(), steps.Wait(100), steps.Start("web"), steps.Wait(59), steps.Wait(1), policy=Watching(revisit_s=60)
    )
    assert policy.asked == [("restore",), ("create", "c"), ("revisit", "c")]
    assert outcomes[3].after == outcomes[2].after
    assert outcomes[4].after["web:c"].given == Assignment(cpuset_cpus="3")


def test_a_revisit_comes_once_and_to_nobody_who_has_gone():
    policy = Watching(revisit_s=60)
    simulated(
        pod(container("a"), container("b")),
        steps.Start("web"),
        steps.Exit("web", "a"),
        steps.Wait(60),
        steps.Wait(60),
        policy=policy,
    )
    assert [asked for asked in policy.asked if asked[0] == "revisit"] == [("revisit", "b")]


def test_revisits_come_in_the_order_of_their_time():
    policy = Watching(revisit_s=60)
    simulated(
        pod(container("a"), container("b")),
        steps.Start("web", "b"),
        steps.Wait(1),
        steps.Start("web", "a"),
        steps.Wait(100),
        policy=policy,
    )
    assert policy.asked[-2:] == [("revisit", "b"), ("revisit", "a")]


def test_a_restart_of_the_daemon_does_not_forget_a_revisit():
    policy = Watching(revisit_s=60)
    simulated(pod(), steps.Start("web"), steps.Restart(), steps.Wait(60), policy=policy)
    assert policy.asked[-1] == ("revisit", "c")


def test_what_the_policy_shows_to_people_can_be_read():
    simulation = Simulation(grid(), Watching())
    assert (simulation.policy_name, simulation.pools(), simulation.warnings()) == ("watching", (), ("take care",))
