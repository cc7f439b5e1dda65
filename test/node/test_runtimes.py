"""The runtimes of the tests themselves: pods run in them, and nothing is left of them however they end."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import equipment
from equipment import cgroups, mounts
from equipment.cri import CriClient, run_pod
from equipment.registry import Registry
from equipment.runtimes import Containerd2, Containerd16, Crio, Runtime, sweep
from equipment.stand_ins import BUSYBOX, PAUSE

needs_a_build = [pytest.mark.slow, pytest.mark.needs_go, pytest.mark.timeout(1800)]
pytestmark = pytest.mark.needs_root
KINDS = [
    pytest.param(Containerd16, id="containerd16"),
    pytest.param(Containerd2, id="containerd2", marks=needs_a_build),
    pytest.param(Crio, id="crio", marks=needs_a_build),
]
RUNNING = ("sleep", "2147483647")


@pytest.fixture
def runtime(make: Callable[[Registry], Runtime], registry: Registry):
    with make(registry) as started:
        yield started


def processes_of(root: Path) -> list[str]:
    """Command lines of processes that know of `root`, by argument or by root file system."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            line, seen = (process / "cmdline").read_bytes(), (process / "mountinfo").read_text().splitlines()
        except OSError:
            continue
        overlay = any(each.split()[4] == "/" and str(root) in each for each in seen)
        if str(root).encode() in line or overlay:
            found.append(line.replace(b"\0", b" ").decode())
    return found


def cgroups_of(container_ids: list[str]) -> list[Path]:
    trees = (directory for tree in cgroups.trees() for directory in tree.rglob("*") if directory.is_dir())
    return [directory for directory in trees if any(each in directory.name for each in container_ids)]


def bridges() -> set[str]:
    return {path.name for path in Path("/sys/class/net").iterdir() if re.fullmatch(r"crt\d+", path.name)}


def start_pods(runtime: Runtime) -> list[str]:
    """Two running pods; the ids of their sandboxes and containers."""
    with CriClient(runtime.socket) as cri:
        return [each for name in ("a", "b") for each in run_pod(cri, name, image=BUSYBOX, command=RUNNING)]


def assert_nothing_is_left(root: Path, container_ids: list[str], bridges_before: set[str]) -> None:
    assert not root.exists()
    assert mounts.mounts_below(root) == []
    assert processes_of(root) == []
    assert cgroups_of(container_ids) == []
    assert bridges() <= bridges_before


@pytest.mark.parametrize("make", KINDS)
def test_images_are_there_and_pods_outlive_a_restart_of_the_runtime(runtime: Runtime):
    ids = start_pods(runtime)
    before = runtime.pid
    runtime.restart()
    assert runtime.pid != before
    with CriClient(runtime.socket) as cri:
        for name in (PAUSE, BUSYBOX):
            assert cri("ImageStatus", image={"image": name}).image.id
        pods = {pod.id: pod.state for pod in cri("ListPodSandbox").items}
        containers = {each.id: each.state for each in cri("ListContainers").containers}
    assert pods == dict.fromkeys(ids[::2], 0)  # SANDBOX_READY
    assert containers == dict.fromkeys(ids[1::2], 1)  # CONTAINER_RUNNING


@pytest.mark.parametrize("make", KINDS)
def test_an_image_that_was_removed_is_pulled_from_the_registry_under_its_own_name(runtime: Runtime):
    with CriClient(runtime.socket) as cri:
        cri("RemoveImage", image={"image": BUSYBOX})
        assert not cri("ImageStatus", image={"image": BUSYBOX}).HasField("image")
        cri("PullImage", image={"image": BUSYBOX})
        assert cri("ImageStatus", image={"image": BUSYBOX}).image.repo_tags == [BUSYBOX]


@pytest.mark.parametrize("make", KINDS)
@pytest.mark.parametrize("crashed", [False, True], ids=["in order", "after a crash"])
def test_stopping_leaves_nothing_behind(make: Callable[[Registry], Runtime], registry: Registry, *, crashed: bool):
    bridges_before = bridges()
    with make(registry) as runtime:
        ids = start_pods(runtime)
        assert len(processes_of(runtime.root)) > 4
        assert cgroups_of(ids)
        if crashed:
            runtime.kill()
    assert_nothing_is_left(runtime.root, ids, bridges_before)
    runtime.stop()  # again is no error


A_RUN_THAT_IS_KILLED = """
import sys, time
from equipment.cri import CriClient, run_pod
from equipment.images import build
from equipment.registry import Registry
from equipment.runtimes import Containerd16
from equipment.stand_ins import BUSYBOX, stand_ins
runtime = Containerd16(Registry(build(stand_ins())))
runtime.start()
with CriClient(runtime.socket) as cri:
    print(runtime.root, *run_pod(cri, "left", image=BUSYBOX, command=("sleep", "2147483647")), flush=True)
time.sleep(600)
"""


def test_what_a_killed_run_left_is_swept_and_what_another_run_uses_is_not(containerd16: Runtime):
    bridges_before = bridges()
    command = [sys.executable, "-c", A_RUN_THAT_IS_KILLED]
    environment = {**os.environ, "PYTHONPATH": str(Path(equipment.__file__).parents[1])}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as run:
        name, *ids = run.stdout.readline().split()
        run.kill()
    assert len(processes_of(Path(name))) > 2
    assert cgroups_of(ids)
    sweep()
    assert_nothing_is_left(Path(name), ids, bridges_before)
    with CriClient(containerd16.socket) as cri:
        assert cri("Version").runtime_name == "containerd"


def test_a_runtime_that_does_not_come_up_shows_its_log_and_leaves_nothing(registry: Registry):
    before = bridges()
    broken = Containerd16(registry)
    (broken.root / "containerd.sock").mkdir()  # it cannot listen
    (broken.root / "containerd.sock" / "file").touch()
    with pytest.raises(RuntimeError, match="the process ended") as error, broken:
        pass
    assert "containerd.sock" in "".join(error.value.__notes__)
    assert_nothing_is_left(broken.root, [], before)
