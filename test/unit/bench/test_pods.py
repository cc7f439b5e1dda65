"""A burst of pods on a real runtime: what is claimed of it, and that neighbours are moved in it at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench import build, pods
from bench.pods_rig import MACHINE, Burst, PodsRig
from bench.rig import DAEMON, Bench
from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Context, CpuLimit
from cri_resmgr.policies.staging import Stage
from cri_resmgr.values import cpusets
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod, State
from node.test_faults import get

SHARING, ALONE, WIDE = (
    ("burstable/", Resources(cpu_shares=20, memory_limit_bytes=100 << 20)),
    ("", Resources(cpu_shares=1024, memory_limit_bytes=32 << 20)),
    ("", Resources(cpu_shares=20, memory_limit_bytes=1 << 40)),
)
DIRECT = Burst(
    elapsed_s=4.0,
    runtime_cpu_s=3.2,
    relay_cpu_s=0.0,
    create_p50_ms=100.0,
    version_p99_ms=10.0,
    calls_made=1000,
    errors=0,
    first_error="",
)
RELAYED = replace(DIRECT, elapsed_s=4.4, runtime_cpu_s=4.8, relay_cpu_s=0.5, create_p50_ms=120.0, version_p99_ms=11.0)


def test_times_and_processor_time_are_held_against_the_same_burst_without_us():
    rows = {row.name: row for row in pods.summarise([(DIRECT, RELAYED)] * 3)}
    assert {name: (row.direct.median, row.relayed.median) for name, row in rows.items()} == {
        "pods": (4000, 4400),
        "pods-cpu": (100, 150),
        "pods-create": (100, 120),
        "pods-version": (10, 11),
    }
    assert {name: row.met for name, row in rows.items()} == {
        "pods": True,
        "pods-cpu": False,
        "pods-create": True,
        "pods-version": True,
    }
    assert rows["pods"].relay_cpu_us == 500


def test_what_others_wait_for_is_a_difference_of_each_round():
    slow = replace(DIRECT, version_p99_ms=50.0), replace(RELAYED, version_p99_ms=51.5)
    (claim,) = pods.summarise([slow, (DIRECT, replace(RELAYED, version_p99_ms=13.0)), slow])[-1].claims
    assert (str(claim), claim.value, claim.met) == ("more ≤ 2 ms", 1.5, True)


def test_a_call_that_failed_breaks_every_row():
    failed = replace(RELAYED, errors=1, first_error="RunPodSandbox: no")
    rows = pods.summarise([(DIRECT, RELAYED), (DIRECT, failed)])
    assert all((row.met, row.errors, row.first_error) == (False, 1, "RunPodSandbox: no") for row in rows)


def pod(name: str, kind: tuple[str, Resources], **more: object) -> tuple[Container, Pod]:
    parent = f"/kubepods/{kind[0]}pod{name}"
    return Container(name, "main", 0, asked=kind[1], **more), Pod(name, name, "default", name, parent)


def test_on_the_machine_that_is_shown_only_those_who_share_all_cpus_are_moved():
    context = Context(MACHINE, reserved=CpuLimit(cpus=cpusets.parse("2-3")), options={"pin_memory": False})
    residents = [
        pod(f"p{n}", WIDE if n % 8 == 0 else SHARING, id=f"c{n}", state=State.RUNNING, adopted=True) for n in range(30)
    ]
    stage = Stage(registry.find("topology-aware").make(context), residents)

    def where() -> list[str]:
        return [stage.containers[container.key].given.cpuset_cpus for container, _ in residents]

    before = ["0-1" if n % 8 == 0 else "0" for n in range(30)]
    assert where() == before
    for n in range(7):
        assert stage.create(*pod(f"b{n}", SHARING)).assignment.cpuset_cpus == "0"
    assert where() == before
    alone, its_pod = pod("alone", ALONE)
    assert stage.create(alone, its_pod).assignment.cpuset_cpus == "1"
    assert where() == ["0"] * 30
    stage.exit(alone.key)
    assert where() == before


@pytest.mark.needs_root
@pytest.mark.needs_go
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_in_a_real_burst_they_are_moved_and_no_call_fails(tmp_path: Path):
    watched = tmp_path / "watched.sock"

    def sent() -> float:
        lines = get(watched, "/metrics")[1].splitlines()
        return float(next(line.split()[1] for line in lines if line.startswith("cri_resmgr_updates_sent_total ")))

    with PodsRig.running(Bench(build.programs(), f"{DAEMON} --metrics-address unix://{watched}")) as rig:
        rig.burst(rig.relayed)
        before = sent()
        burst = rig.burst(rig.relayed)
        assert (burst.errors, burst.first_error) == (0, "")
        assert 4 <= sent() - before <= 16  # four are moved when each of two comes, and when he goes
        assert burst.runtime_cpu_s > burst.relay_cpu_s > 0
