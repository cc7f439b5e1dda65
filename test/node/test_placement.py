"""Placement on a real runtime with two CPUs: what the kernel holds processes to is what the policy has decided.

CPU 0 is reserved, so CPU 1 is there to be shared, or to be had by one alone.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.cri.patches import mounted_create
from cri_resmgr.manager.exporting import Exporter
from cri_resmgr.values.workloads import Container
from equipment import cgroups
from equipment.cri import CriClient, pod_config
from equipment.processes import wait_for
from equipment.relay import Relay
from equipment.runtimes import Runtime
from equipment.stand_ins import BUSYBOX
from node.test_faults import get

pytestmark = pytest.mark.needs_root

PINNED = """
policy: {Active: topology-aware, ReservedResources: {CPU: 750m}}
resource-manager: {driftScanInterval: 1s}
"""
PASSING = PINNED.replace("1s", "1s, onPolicyError: pass")
BUILT = [pytest.mark.slow, pytest.mark.needs_go, pytest.mark.timeout(1800)]
UNPINNED = "policy: {Active: none}\n"
PARENT = "test-pods/kubepods"
FOR_EVER = ("sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1; done")
ONE_CPU = {"cpu_shares": 1024, "cpu_quota": 100_000, "cpu_period": 100_000, "memory_limit_in_bytes": 64 << 20}
BEST_EFFORT = {"cpu_shares": 2}


@dataclass(frozen=True)
class Pod:
    """A pod of one container; `id` is the container's."""

    sandbox: str
    id: str
    config: api.PodSandboxConfig


class Node:
    """The daemon before containerd, and a kubelet."""

    def __init__(self, runtime: Runtime, root: Path) -> None:
        self.root, self.config, self.watched = root, root / "forced.cfg", root / "watched.sock"
        flags = ("--force-config", str(self.config), "--metrics-address", f"unix://{self.watched}")
        self.relay = Relay(runtime.socket, root, *flags)
        self.runtime = runtime
        self.configure(PINNED)

    def configure(self, text: str) -> None:
        """For the next start."""
        self.config.write_text(text)

    def restarted(self) -> None:
        """Start the daemon that has ended, and wait until all of it is there."""
        self.relay.start()

        def watched() -> bool:
            with suppress(OSError):
                return get(self.watched, "/healthz")[0] == 200
            return False

        wait_for(watched, "the daemon to have compared ledger and runtime", 60)

    def create(self, name: str, qos: str, *, namespace: str = "default", **asked: int) -> Pod:
        """A pod whose container has been made and not started."""
        config = pod_config(name)
        config.metadata.namespace = namespace
        config.linux.cgroup_parent = "/" + "/".join(filter(None, (PARENT, qos, f"pod{name}")))
        container = api.ContainerConfig(
            metadata=api.ContainerMetadata(name="c"), image=api.ImageSpec(image=BUSYBOX), command=FOR_EVER
        )
        container.linux.resources.CopyFrom(api.LinuxContainerResources(**asked))
        with CriClient(self.relay.socket) as cri:
            sandbox = cri("RunPodSandbox", config=config).pod_sandbox_id
            made = cri("CreateContainer", pod_sandbox_id=sandbox, config=container, sandbox_config=config)
        return Pod(sandbox, made.container_id, config)

    def start(self, pod: Pod) -> Pod:
        with CriClient(self.relay.socket) as cri:
            cri("StartContainer", container_id=pod.id)
        return pod

    def exclusive(self, name: str = "mine") -> Pod:
        """A running container that wants a CPU for itself."""
        return self.start(self.create(name, "", **ONE_CPU))

    def shared(self, name: str = "shared", namespace: str = "default") -> Pod:
        """A running container that wants nothing for itself."""
        return self.start(self.create(name, "besteffort", namespace=namespace, **BEST_EFFORT))

    def stop(self, pod: Pod) -> None:
        with CriClient(self.relay.socket) as cri:
            cri("StopContainer", container_id=pod.id, timeout=5)

    def shell(self, pod: Pod, command: str) -> str:
        """What a command in the container prints."""
        with CriClient(self.relay.socket) as cri:
            done = cri("ExecSync", container_id=pod.id, cmd=("sh", "-euc", command), timeout=20)
        assert done.exit_code == 0, done.stderr
        return done.stdout.decode().strip()

    def metric(self, line: str) -> float:
        """The value of one sample, with its labels; 0 if there is none."""
        lines = get(self.watched, "/metrics")[1].splitlines()
        return next((float(each.rpartition(" ")[2]) for each in lines if each.startswith(f"{line} ")), 0.0)

    def release(self) -> dict[str, list]:
        """`cri-resmgr release --all`; what it answers."""
        where = ("--relay-dir", self.root / "relay", "--runtime-socket", self.runtime.socket)
        command = [Path(sys.executable).with_name("cri-resmgr"), "release", "--all", "--output", "json", *where]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
        return json.loads(done.stdout)


def cpus(pod: Pod) -> str:
    """Where the kernel lets its first process run."""
    return cgroups.container_cgroup(pod.id).cpus_allowed


def cpuset_of(pod: Pod) -> Path:
    """The directory of its control group that has the cpuset files."""
    lines = Path(f"/proc/{cgroups.container_pid(pod.id)}/cgroup").read_text().splitlines()
    of_v1 = next((line.split(":", 2)[2] for line in lines if "cpuset" in line.split(":")[1].split(",")), None)
    tree, path = (cgroups.MOUNT / "cpuset", of_v1) if of_v1 else (cgroups.MOUNT, lines[-1].partition("::")[2])
    return tree / path.lstrip("/")


@pytest.fixture
def node(containerd16: Runtime, tmp_path: Path) -> Iterator[Node]:
    made = Node(containerd16, tmp_path)
    with made.relay:
        yield made

    def removed() -> bool:
        with suppress(grpc.RpcError):
            containerd16.remove_pods()
            return True
        return False

    wait_for(removed, "the pods to go", 120)
    cgroups.remove_root(PARENT)


def test_a_guaranteed_container_has_its_cpu_to_itself_and_the_system_has_its_own(node: Node):
    system, mine = node.shared("dns", namespace="kube-system"), node.exclusive()
    assert (cpus(system), cpus(mine)) == ("0", "1")
    assert cgroups.container_cgroup(mine.id).cpuset_mems == "0"
    assert node.metric('cri_resmgr_pool_exclusive_cpus{pool="socket #0"}') == 1
    with pytest.raises(grpc.RpcError, match=r"policy topology-aware: .*short of"):
        node.shared("late")
    node.stop(mine)
    assert cpus(node.shared("later")) == "1"


def test_nobody_gets_the_last_cpu_that_others_share(node: Node):
    shared = node.shared()
    with pytest.raises(grpc.RpcError, match=r"policy topology-aware: .*short of"):
        node.exclusive()
    assert cpus(shared) == "1"


def test_a_neighbour_is_off_before_a_container_starts_on_its_own_cpu_and_comes_back_after_its_end(node: Node):
    node.relay.stop()
    node.configure(PASSING)
    node.restarted()
    first = node.exclusive("first")
    neighbour = node.exclusive("neighbour")  # it does not fit, and passes
    assert (cpus(first), cpus(neighbour)) == ("1", "0")
    node.stop(first)
    wait_for(lambda: cpus(neighbour) == "0-1", "the CPU to be given back", 30)
    second = node.create("second", "", **ONE_CPU)
    node.start(second)
    assert (cpus(second), cpus(neighbour)) == ("1", "0")
    node.stop(second)
    wait_for(lambda: cpus(neighbour) == "0-1", "the CPU to be given back once more", 30)
    assert node.metric('cri_resmgr_events_total{kind="PolicyPassed"}') == 1
    assert node.metric("cri_resmgr_updates_sent_total") == 3


@pytest.mark.parametrize("end", [Relay.stop, Relay.kill], ids=["stopped", "killed"])
def test_an_end_of_the_daemon_changes_nothing(node: Node, end):
    pods = node.shared("dns", namespace="kube-system"), node.exclusive()

    def has() -> list[cgroups.ContainerCgroup]:
        return [cgroups.container_cgroup(pod.id) for pod in pods]

    before = has()
    end(node.relay)
    assert has() == before
    node.restarted()
    wait_for(lambda: node.metric("cri_resmgr_drift_rounds_total") > 1, "two looks for drift", 30)
    assert has() == before
    assert (node.metric("cri_resmgr_updates_sent_total"), node.metric("cri_resmgr_drift_found_total")) == (0, 0)
    with pytest.raises(grpc.RpcError, match="policy topology-aware"):
        node.exclusive("other")
    node.stop(pods[1])
    assert cpus(node.exclusive("another")) == "1"


def test_a_container_reads_which_cpus_are_its_own(node: Node):
    mine = node.exclusive()
    assert node.shell(mine, '. /.cri-resmgr/resources.sh; echo "$EXCLUSIVE_CPUS $ALL_MEMS"') == "1 0"
    assert node.shell(mine, "touch /.cri-resmgr/x 2>&1 || true").endswith("Read-only file system")
    with CriClient(node.relay.socket) as cri:
        cri("StopContainer", container_id=mine.id, timeout=5)
        cri("RemoveContainer", container_id=mine.id)
    wait_for(lambda: not list((node.root / "relay" / "containers").iterdir()), "its file to go", 30)


def test_who_writes_a_cpuset_behind_our_back_is_put_right_and_reported(node: Node):
    mine = node.exclusive()
    (cpuset_of(mine) / "cpuset.cpus").write_text("0-1")
    assert cpus(mine) == "0-1"
    wait_for(lambda: cpus(mine) == "1", "the drift to be put right", 60)
    wait_for(lambda: node.metric('cri_resmgr_events_total{kind="CpusetDrift"}') == 1, "the event", 30)
    assert node.metric("cri_resmgr_drift_repaired_total") == 1


def test_everything_is_given_back_and_without_a_policy_it_stays_so(node: Node):
    system, mine = node.shared("dns", namespace="kube-system"), node.exclusive()
    node.relay.stop()
    answer = node.release()
    assert (sorted(answer["released"]), answer["failed"]) == (["default/mine:c", "kube-system/dns:c"], [])
    assert node.release() == {"released": [], "gone": [], "failed": []}

    def has(pod: Pod) -> tuple[str, int, int]:
        found = cgroups.container_cgroup(pod.id)
        return found.cpus_allowed, found.cpu_shares, found.cpu_quota_us

    expected = [("0-1", 2, -1), ("0-1", 1024, 100_000)]
    assert [has(pod) for pod in (system, mine)] == expected
    node.configure(UNPINNED)
    node.restarted()
    third = node.exclusive("third")
    assert [has(pod) for pod in (system, mine, third)] == [*expected, expected[1]]


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Path]:
    """A directory on a mount that shares nothing with any other."""
    directory = tmp_path / "private"
    directory.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", directory], check=True, timeout=30)
    subprocess.run(["mount", "--make-private", directory], check=True, timeout=30)
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", directory], check=True, timeout=30)


@pytest.mark.parametrize(
    "kind", ["containerd16", *(pytest.param(kind, marks=BUILT) for kind in ("containerd2", "crio"))]
)
def test_a_directory_of_ours_reaches_a_container_without_a_shared_mount(request, private: Path, kind: str):
    runtime: Runtime = request.getfixturevalue(kind)
    mount = Exporter(private).mount_for(Container("p", "c", 0), {"SHARED_CPUS": "0-1"})
    config = pod_config("exported")
    image = api.ImageSpec(image=BUSYBOX, user_specified_image=BUSYBOX)
    container = api.ContainerConfig(metadata=api.ContainerMetadata(name="c"), image=image, command=FOR_EVER)
    container.linux.security_context.run_as_user.value = 4711
    with CriClient(runtime.socket) as cri:
        sandbox = cri("RunPodSandbox", config=config).pod_sandbox_id
        asked = api.CreateContainerRequest(pod_sandbox_id=sandbox, config=container, sandbox_config=config)
        patched = mounted_create(
            asked.SerializeToString(), host_path=mount.host_path, container_path=mount.container_path
        )
        made = cri.channel.unary_unary(methods.CREATE_CONTAINER)(patched, timeout=30)
        id_ = api.CreateContainerResponse.FromString(made).container_id
        cri("StartContainer", container_id=id_)
        try:
            read = cri("ExecSync", container_id=id_, cmd=("cat", "/.cri-resmgr/resources.sh"), timeout=20)
        finally:
            runtime.remove_pods()
    assert read.stdout.decode() == 'SHARED_CPUS="0-1"\n'
