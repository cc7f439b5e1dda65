"""Adjustments on a real runtime: what the kernel holds processes to; and thousands of them beside the relay."""

import statistics
import threading
import time

import pytest

from cri_resmgr.values.adjustments import Adjustment, Effect, Scope, Statement
from equipment import cgroups
from equipment.agent import Agent
from equipment.cri import CriClient
from equipment.processes import wait_for
from node.test_switching import PINNED, SOURCE, SwitchingNode, _agent, _node, cpus, process  # noqa: F401 - fixtures

pytestmark = pytest.mark.needs_root

MI = 1 << 20
ASKED = {"cpu_shares": 204, "memory_limit_in_bytes": 64 * MI}
MANY = 5_000


def for_pods(name: str, *pods: str, **effect: int | str) -> Adjustment:
    return Adjustment(name, (Scope((), (Statement("pod/name", "In", pods),)),), Effect(**effect))


def limits(pod) -> tuple[int, int | None]:
    """Quota and limit of memory, as the kernel has them."""
    found = cgroups.container_cgroup(pod.id)
    return found.cpu_quota_us, found.memory_limit_bytes


def test_the_kernel_holds_a_running_container_to_its_adjustment_and_to_its_pods_word_afterwards(
    node: SwitchingNode, agent: Agent
):
    pod = node.start(node.create("burst", "burstable", **ASKED, memory_swap_limit_in_bytes=64 * MI))
    born, before = process(pod), limits(pod)
    assert before == (-1, 64 * MI)
    more = for_pods(
        "more", "burst", "late", cpu_limit_millicpu=500, cpu_request_millicpu=500, memory_limit_bytes=96 * MI
    )
    assert agent.adjust([more]) == {}
    wait_for(lambda: limits(pod) == (50_000, 96 * MI), "the adjustment to be in force", 30)
    late = node.start(node.create("late", "burstable", **ASKED, memory_swap_limit_in_bytes=64 * MI))
    assert limits(late) == (50_000, 96 * MI), "a limit above that of memory and swap takes that along"
    with CriClient(node.relay.socket) as cri:
        resized = {"cpu_shares": 307, "memory_limit_in_bytes": 80 * MI, "memory_swap_limit_in_bytes": 80 * MI}
        cri("UpdateContainerResources", container_id=pod.id, linux=resized)
        said = cri("ContainerStatus", container_id=pod.id).status.resources.linux
    assert limits(pod) == (50_000, 96 * MI)
    assert (said.cpu_shares, said.memory_limit_in_bytes) == (307, 80 * MI), "the kubelet reads its own word"
    node.relay.kill()
    node.relay.start()
    assert limits(pod) == (50_000, 96 * MI)
    assert agent.adjust([], "2") == {}
    wait_for(lambda: limits(pod) == (-1, 80 * MI), "the kubelet's last word to be in force", 30)
    wait_for(lambda: limits(late) == before, "and for the other one", 30)
    assert process(pod) == born


def test_a_policy_gives_a_cpu_to_whoever_is_adjusted_to_one_and_takes_it_back(node: SwitchingNode, agent: Agent):
    assert agent.push(PINNED, SOURCE).error == ""
    half = {"cpu_shares": 512, "cpu_quota": 50_000, "cpu_period": 100_000, "memory_limit_in_bytes": 64 * MI}
    pod = node.start(node.create("mine", "", **half))
    assert agent.adjust([for_pods("whole", "mine", cpu_limit_millicpu=1000, cpu_request_millicpu=1000)]) == {}
    wait_for(lambda: limits(pod) == (100_000, 64 * MI), "a whole CPU's quota", 30)
    assert cpus(pod) == "1"
    (event,) = [agent.status()["adjustments"]]
    assert event["in_force"] == 1
    errors = agent.adjust([for_pods("three", "mine", cpu_limit_millicpu=3000, cpu_request_millicpu=3000)], "2")
    assert "policy topology-aware: " in errors["three"][pod.id]
    assert limits(pod) == (100_000, 64 * MI), "what was in force stays"
    assert agent.adjust([], "3") == {}
    wait_for(lambda: limits(pod) == (50_000, 64 * MI), "the half again", 30)


def test_thousands_of_them_do_not_hold_up_the_relay(node: SwitchingNode, agent: Agent):
    pods = [node.shared(f"p{n}") for n in range(3)]
    many = [for_pods(f"a{n}", f"x{n}", rdt_class="gold") for n in range(MANY)]
    with CriClient(node.relay.socket) as cri:
        quiet = versions(cri, 1.5)
        pushing = threading.Thread(target=lambda: took.append(pushed_s(agent, many)))
        took: list[float] = []
        pushing.start()
        busy: list[float] = []
        while pushing.is_alive():
            busy += versions(cri, 0.05)
        pushing.join()
    print(
        f"Version over the relay: p50 {1e3 * statistics.median(quiet):.1f}, p99 {1e3 * p99(quiet):.1f},"
        f" longest {1e3 * max(quiet):.1f} ms; while {MANY} Adjustments come into force ({took[0]:.2f} s):"
        f" p50 {1e3 * statistics.median(busy):.1f}, p99 {1e3 * p99(busy):.1f}, longest {1e3 * max(busy):.1f} ms"
    )
    assert agent.status()["adjustments"]["in_force"] == MANY
    assert len(pods) == 3


def pushed_s(agent: Agent, many: list[Adjustment]) -> float:
    begun_s = time.perf_counter()
    agent.adjust(many)
    return time.perf_counter() - begun_s


def versions(cri: CriClient, lasting_s: float) -> list[float]:
    """How long calls of Version take, one after another, in seconds."""
    end_s, took = time.perf_counter() + lasting_s, []
    while time.perf_counter() < end_s:
        begun_s = time.perf_counter()
        cri("Version")
        took.append(time.perf_counter() - begun_s)
    return took


def p99(took: list[float]) -> float:
    return sorted(took)[int(0.99 * len(took))]
