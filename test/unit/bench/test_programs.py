"""The Go programs do what the numbers rest on: the back end tells the truth, the load generator counts what it does."""

import json
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from bench import build, run
from bench.rig import Bench, Rig
from cri_resmgr.cri import api_pb2
from equipment.cri import CriClient, pod_config

pytestmark = [pytest.mark.needs_go, pytest.mark.timeout(600)]


@pytest.fixture
def rig() -> Iterator[Rig]:
    with Bench(build.programs()).rig(relay=False) as made:
        yield made


def test_what_was_left_alive_is_listed_as_running(rig: Rig) -> None:
    assert rig.drive(rig.direct, "-count", "1", "-alive", "7").errors == 0
    with CriClient(rig.direct) as cri:
        assert [pod.state for pod in cri("ListPodSandbox").items] == [api_pb2.SANDBOX_READY] * 7
        listed = cri("ListContainers").containers
        assert [container.state for container in listed] == [api_pb2.CONTAINER_RUNNING] * 7
        status = cri("ContainerStatus", container_id=listed[0].id, verbose=True)
        assert status.status.resources.linux.cpu_shares == 102
        assert json.loads(status.info["info"])["runtimeSpec"]["linux"]["resources"]["cpu"]["shares"] == 102


def test_a_pods_life_leaves_nothing_behind_and_is_seven_calls(rig: Rig) -> None:
    drive = rig.drive(rig.direct, "-mode", "pod", "-callers", "4", "-count", "20")
    assert (drive.done, drive.calls_made, drive.errors) == (20, 140, 0)
    assert len(drive.call_p50_ms) == 7
    with CriClient(rig.direct) as cri:
        assert not cri("ListPodSandbox").items
        assert not cri("ListContainers").containers


def test_lists_follow_their_filters(rig: Rig) -> None:
    rig.drive(rig.direct, "-count", "1", "-alive", "3")
    with CriClient(rig.direct) as cri:
        one = cri("ListContainers").containers[1]
        assert [c.id for c in cri("ListContainers", filter={"id": one.id}).containers] == [one.id]
        assert [c.id for c in cri("ListContainers", filter={"pod_sandbox_id": one.pod_sandbox_id}).containers] == [
            one.id
        ]
        uid = {"io.kubernetes.pod.uid": one.labels["io.kubernetes.pod.uid"]}
        assert [c.id for c in cri("ListContainers", filter={"label_selector": uid}).containers] == [one.id]
        exited = {"state": {"state": api_pb2.CONTAINER_EXITED}}
        assert not cri("ListContainers", filter=exited).containers
        cri("StopContainer", container_id=one.id)
        assert [c.id for c in cri("ListContainers", filter=exited).containers] == [one.id]
        assert 190_000 < cri("ListContainers", filter={"id": "bulk"}).ByteSize() < 230_000


def test_a_container_of_no_pod_is_refused_by_the_back_end(rig: Rig) -> None:
    with CriClient(rig.direct) as cri, pytest.raises(grpc.RpcError) as refused:
        cri("CreateContainer", pod_sandbox_id="none", sandbox_config=pod_config("p"))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


def test_calls_that_fail_are_counted_and_one_is_shown(rig: Rig) -> None:
    drive = rig.drive(rig.direct, "-mode", "version", "-count", "10", "-timeout", "1ns")
    assert (drive.done, drive.errors) == (0, 10)
    assert "Version" in drive.first_error
    assert "DeadlineExceeded" in drive.first_error


def test_a_socket_that_nobody_serves_is_an_error_not_a_hang(rig: Rig, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="no answer in 200ms"):
        rig.drive(tmp_path / "nobody", "-mode", "first", "-length", "200ms")


def test_the_daemon_is_measured_without_a_failed_call(capsys: pytest.CaptureFixture[str]) -> None:
    names = ("pod-16", "burst", "start", "create-300")
    chosen = [word for name in names for word in ("--only", name)]
    assert run.main([*chosen, "--rounds", "1", "--seconds", "0.2", "--output", "json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert [(result["name"], result["errors"], result["first_error"]) for result in results] == [
        (name, 0, "") for name in names
    ]
    assert all(result["relayed"]["median"] > 0 for result in results)
