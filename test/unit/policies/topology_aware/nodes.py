"""A node under the policy, for tests: containers come, are resized and go in a line each."""

from collections.abc import Mapping

from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies.annotations import DOMAIN
from cri_resmgr.policies.contract import Context, CpuLimit, Policy
from cri_resmgr.policies.staging import Stage
from cri_resmgr.policies.topology_aware import policy as topology_aware
from cri_resmgr.values import cpusets, quantities
from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.machines import Machine, MemoryKind
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod

N4C16 = grid(packages=2, nodes=2, cores=2, threads=2)
"""2 packages of 2 NUMA nodes of 2 cores of 2 threads, 2 GiB each: CPUs 4k to 4k+3 are node k."""

C4PMEM4 = grid(
    packages=4,
    memory_nodes=[MemoryNode(4 << 30, MemoryKind.PMEM, near, distance=17) for near in (2, 3, 0, 1)],
)
"""4 packages of one CPU and 2 GiB; PMEM nodes 4 to 7, of 4 GiB, are near nodes 2, 3, 0, 1."""

O1 = CpuLimit(millicpu=750)
GUARANTEED, BURSTABLE, BEST_EFFORT = "", "burstable/", "besteffort/"


def cpuset(text: str) -> CpuLimit:
    return CpuLimit(cpus=cpusets.parse(text))


def annotated(name: str, value: str, scope: str = "") -> dict[str, str]:
    return {f"{name}.{DOMAIN}{scope}": value}


def resources(*, cpu: int = 0, limit: int = 0, memory: int = 0) -> Resources:
    """What the kubelet makes of a request and a limit, in thousandths of a CPU, and of a memory limit."""
    return Resources(
        cpu_shares=quantities.shares_of(cpu),
        cpu_quota_us=quantities.quota_of(limit),
        cpu_period_us=quantities.PERIOD_US,
        memory_limit_bytes=memory,
    )


class Node:
    """A stage with the policy on it; containers go by the name of their pod, or POD:CONTAINER."""

    def __init__(
        self,
        machine: Machine = N4C16,
        *,
        reserved: CpuLimit | None = O1,
        available: CpuLimit | None = None,
        **options: object,
    ) -> None:
        self.machine = machine
        self.stage = Stage(make(machine, reserved=reserved, available=available, **options))

    def run(
        self,
        name: str,
        *,
        cpu: int = 0,
        limit: int | None = None,
        memory: int = 0,
        namespace: str = "default",
        annotations: Mapping[str, str] | None = None,
        handler: str = "",
        hints: tuple[Hint, ...] = (),
        adopted: bool = False,
    ) -> Decision:
        """A container comes: Guaranteed if it has a CPU request and no other limit, BestEffort without any."""
        pod_name, _, container_name = name.partition(":")
        qos = BURSTABLE if limit is not None or (memory and not cpu) else GUARANTEED if cpu else BEST_EFFORT
        pod = Pod(
            id=pod_name,
            name=pod_name,
            namespace=namespace,
            uid=pod_name,
            cgroup_parent=f"/kubepods/{qos}pod{pod_name}",
            runtime_handler=handler,
            annotations=annotations or {},
        )
        asked = resources(cpu=cpu, limit=cpu if limit is None else limit, memory=memory)
        container = Container(pod.id, container_name or "c0", 0, asked=asked, hints=hints, adopted=adopted)
        return self.stage.create(container, pod)

    def resize(self, name: str, **asked: int) -> Decision:
        """The kubelet says what a container has from now on."""
        asked.setdefault("limit", asked.get("cpu", 0))
        return self.stage.update(key(name), resources(**asked))

    def restore(self, **context: object) -> None:
        """The daemon starts again with another configuration."""
        self.stage.restore(make(self.machine, **context))

    def end(self, *names: str) -> None:
        for name in names:
            self.stage.exit(key(name))

    def end_all(self) -> None:
        for found in list(self.stage.containers):
            self.stage.exit(found)

    def container(self, name: str) -> Container:
        return self.stage.containers[key(name)]

    def cpus(self, name: str) -> str:
        return self.container(name).given.cpuset_cpus or ""

    def mems(self, name: str) -> str:
        return self.container(name).given.cpuset_mems or ""

    def pool(self, name: str) -> str:
        return self.container(name).holding.pool

    def free_millicpu(self, pool_name: str) -> int:
        pools = self.stage.policy.pools(self.stage.state)
        return next(pool.free_millicpu for pool in pools if pool.name == pool_name)

    def own(self, name: str) -> str:
        holding = self.container(name).holding
        return holding.exclusive or holding.isolated


def key(name: str) -> str:
    pod_name, _, container_name = name.partition(":")
    return f"{pod_name}/{container_name or 'c0'}/0"


def make(
    machine: Machine = N4C16,
    *,
    reserved: CpuLimit | None = O1,
    available: CpuLimit | None = None,
    maker: str = "make",
    **options: object,
) -> Policy:
    context = Context(machine, available=available, reserved=reserved, options=options)
    return getattr(topology_aware, maker)(context)
