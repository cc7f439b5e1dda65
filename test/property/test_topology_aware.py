"""Whatever comes, is resized, restarted and ends, on whatever machine: what is promised is kept, and nothing is lost.

The promises are checked from outside, by what containers were given and what their holdings say.
"""

import json
from collections.abc import Mapping
from dataclasses import replace

from hypothesis import assume, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies import contract
from cri_resmgr.policies.annotations import DOMAIN, preferences
from cri_resmgr.policies.contract import Context, CpuLimit, Policy, PolicyRefusal
from cri_resmgr.policies.staging import Stage
from cri_resmgr.policies.topology_aware import policy as topology_aware
from cri_resmgr.values import cpusets, quantities
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.machines import Machine, MemoryKind
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod
from unit.policies.topology_aware.nodes import BEST_EFFORT, BURSTABLE, GUARANTEED, resources

POD_NAMES = ("a", "b", "c", "d", "e", "f", "g", "h")
TRUTHS = st.sampled_from(["true", "false"])
WISHES: Mapping[str, st.SearchStrategy[str]] = {
    f"prefer-isolated-cpus.{DOMAIN}": TRUTHS,
    f"prefer-shared-cpus.{DOMAIN}": TRUTHS,
    f"prefer-reserved-cpus.{DOMAIN}": TRUTHS,
    f"memory-type.{DOMAIN}": st.sampled_from(["dram", "pmem", "hbm", "pmem,dram", "mixed"]),
    f"cold-start.{DOMAIN}": st.just("duration: 60s"),
    f"{DOMAIN}/affinity": st.sampled_from(["x: [y]", "x: [{match: {key: name, operator: Exists}}]"]),
    f"{DOMAIN}/anti-affinity": st.just(
        "x: [{scope: {operator: AlwaysTrue}, match: {key: name, operator: In, values: [x]}}]"
    ),
}
MILLICPU = st.one_of(st.integers(1, 6).map(lambda n: n * 1000), st.integers(0, 400), st.integers(0, 4000))
BYTES = st.one_of(st.just(0), st.integers(1, 120), st.integers(1, 600))


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    counts = {
        "packages": draw(st.integers(1, 3)),
        "dies": draw(st.integers(1, 2)),
        "nodes": draw(st.integers(1, 2)),
        "cores": draw(st.integers(1, 3)),
        "threads": draw(st.integers(1, 2)),
    }
    cpu_nodes = counts["packages"] * counts["dies"] * counts["nodes"]
    count = cpu_nodes * counts["cores"] * counts["threads"]
    memory_node = st.builds(
        MemoryNode,
        memory_bytes=st.integers(50, 300),
        kind=st.sampled_from(MemoryKind),
        near=st.integers(0, cpu_nodes - 1),
        distance=st.sampled_from([17, 28]),
    )
    offline = draw(st.just(0) | st.integers(0, (1 << count) - 2))
    return grid(
        **counts,
        memory_bytes=[
            draw(st.integers(1, 200)),
            *draw(st.lists(st.integers(0, 200), min_size=cpu_nodes - 1, max_size=cpu_nodes - 1)),
        ],
        isolated=draw(st.just(0) | st.integers(0, (1 << count) - 1)),
        offline=offline,
        memory_nodes=draw(st.lists(memory_node, max_size=3)),
    )


@st.composite
def policies(draw: st.DrawFn, machine: Machine) -> Policy:
    """A policy on this machine; what goes with it is found by trying."""
    available = draw(st.none() | st.integers(1, machine.online).map(lambda cpus: CpuLimit(cpus=cpus)))
    allowed = (available.cpus if available else machine.online) & machine.online
    reserved = draw(
        st.integers(1, 2000).map(lambda amount: CpuLimit(millicpu=amount))
        | st.integers(1, machine.online).map(lambda cpus: CpuLimit(cpus=cpus & allowed & ~machine.isolated))
    )
    options = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "pin_memory": st.booleans(),
                "prefer_isolated_cpus": st.booleans(),
                "prefer_shared_cpus": st.booleans(),
                "colocate_pods": st.booleans(),
                "colocate_namespaces": st.booleans(),
                "reserved_pool_namespaces": st.just(["infra-*"]),
            },
        )
    )
    try:
        return topology_aware.make(Context(machine, available=available, reserved=reserved, options=options))
    except BadInput:
        assume(condition=False)
        raise


class Promises(RuleBasedStateMachine):
    """A stage with the policy; what each container wants is remembered beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.attempts = 0

    @initialize(data=st.data(), machine=machines())
    def begin(self, data, machine):
        self.machine = machine
        self.policy = data.draw(policies(machine))
        self.stage = Stage(self.policy)
        self.initial = self.stage.state

    # -- what happens

    @rule(
        pod_name=st.sampled_from(POD_NAMES),
        name=st.sampled_from("xy"),
        qos=st.sampled_from([GUARANTEED, GUARANTEED, BURSTABLE, BEST_EFFORT]),
        namespace=st.sampled_from(["default", "default", "default", "kube-system", "infra-net"]),
        wishes=st.fixed_dictionaries({}, optional=WISHES),
        handler=st.sampled_from(["", "", "runc", "kata"]),
        millicpu=MILLICPU,
        memory=BYTES,
        nodes=st.integers(0, 15),
        adopted=st.sampled_from([False, False, False, True]),
    )
    def create(self, pod_name, name, qos, namespace, wishes, handler, millicpu, memory, nodes, adopted):  # noqa: PLR0917
        pod = Pod(pod_name, pod_name, namespace, pod_name, f"/kubepods/{qos}pod{pod_name}", handler, {}, wishes)
        pod = self.stage.pods.get(pod_name, pod)
        hints = (Hint("/devices/pci0", nodes=nodes),) if nodes else ()
        container = Container(pod.id, name, 0, asked=asked(pod, millicpu, memory), hints=hints, adopted=adopted)
        if container.key not in self.stage.containers:
            self.event(container, pod, lambda stage: stage.create(container, pod))

    @rule(count=st.integers(2, 6), millicpu=st.sampled_from([0, 10, 300]))
    def crowd(self, count, millicpu):
        """Many small ones, so that some are everywhere."""
        pod = Pod("many", "many", "default", "many", "/kubepods/burstable/podmany")
        for _ in range(count):
            self.attempts += 1
            container = Container(pod.id, "z", self.attempts, asked=asked(pod, millicpu, 0))
            self.event(container, pod, lambda stage, c=container: stage.create(c, pod))

    @rule(less=st.sampled_from([0, 0, 1]), rest=st.sampled_from([0, 0, 500]))
    def squeeze(self, less, rest):
        """One that wants all that there is, or nearly."""
        pod = Pod(
            "one", "one", "default", "one", "/kubepods/podone", annotations={f"prefer-shared-cpus.{DOMAIN}": "no"}
        )
        whole = (cpusets.parse(root(self.stage).shared).bit_count() * 1000 - kept(self.stage) - rest) // 1000 - less
        if whole > 0:
            self.attempts += 1
            container = Container(pod.id, "x", self.attempts, asked=asked(pod, 1000 * whole + rest, 0))
            self.event(container, pod, lambda stage: stage.create(container, pod))
            assert container.key in self.stage.containers

    @precondition(lambda self: self.stage.containers)
    @rule(data=st.data(), millicpu=MILLICPU, memory=BYTES)
    def resize(self, data, millicpu, memory):
        container = self.some_container(data)
        pod = self.stage.pods[container.pod_id]
        wish = asked(pod, millicpu, memory)
        self.event(replace(container, asked=wish), pod, lambda stage: stage.update(container.key, wish))

    @precondition(lambda self: self.stage.containers)
    @rule(data=st.data())
    def exit(self, data):
        key = self.some_container(data).key
        self.event(None, None, lambda stage: stage.exit(key))

    @precondition(lambda self: self.stage.containers)
    @rule(data=st.data())
    def revisit(self, data):
        key = self.some_container(data).key
        self.event(None, None, lambda stage: stage.revisit(key))
        assert self.stage.containers[key].revisit_after_start_s == 0

    @rule()
    def rebalance(self):
        self.event(None, None, lambda stage: stage.rebalance())

    @rule(data=st.data())
    def reconfigure(self, data):
        """Other limits and options on the same machine; whatever runs goes on."""
        self.policy = data.draw(policies(self.machine))
        self.stage.restore(self.policy)
        self.initial = self.policy.restore(()).state

    @rule()
    def end_all(self):
        for key in list(self.stage.containers):
            self.stage.exit(key)
        assert self.stage.state == self.initial

    def some_container(self, data) -> Container:
        return self.stage.containers[data.draw(st.sampled_from(sorted(self.stage.containers)))]

    def event(self, container, pod, act) -> None:
        """Something happens, and the same once more on the side."""
        before = frozen(self.stage.state)
        containers = dict(self.stage.containers)
        side = Stage(self.policy, [(c, self.stage.pods[c.pod_id]) for c in containers.values()])
        try:
            decision = act(self.stage)
        except PolicyRefusal as refusal:
            note(f"refused: {refusal}")
            assert frozen(self.stage.state) == before
            assert dict(self.stage.containers) == containers
            assert container is None or not fits(self.machine, self.stage, container, pod)
            return
        assert act(side) == decision
        assert side.state == self.stage.state
        for key, change in decision.neighbours.items():
            assert (change.assignment, change.holding) != (containers[key].given, containers[key].holding)

    # -- what always holds

    @invariant()
    def a_restart_changes_nothing(self):
        running = [(c, self.stage.pods[c.pod_id]) for c in self.stage.containers.values()]
        restored = self.policy.restore(running)
        assert restored.changes == {}
        assert restored.state == self.stage.state

    @invariant()
    def no_cpu_is_somebodys_own_and_anybody_elses(self):
        taken = 0
        for container in self.stage.containers.values():
            assert not own(container) & taken
            taken |= own(container)
        for container in self.stage.containers.values():
            assert not shared(container) & taken
        assert not taken & reserved(self.stage)

    @invariant()
    def everybody_has_cpus_and_memory_nodes_and_only_those_that_there_are(self):
        allowed = root(self.stage).cpus
        for container in self.stage.containers.values():
            cpus = own(container) | shared(container)
            assert cpus
            assert not cpus & ~cpusets.parse(allowed)
            assert container.given.cpuset_cpus == cpusets.text(cpus)
            mems = container.given.cpuset_mems
            assert mems is None or (mems and all(self.has_memory(node) for node in cpusets.ids(cpusets.parse(mems))))

    @invariant()
    def a_container_is_told_what_it_has(self):
        for container in self.stage.containers.values():
            told = {name: cpusets.parse(text) for name, text in self.policy.exports(container).items()}
            assert told.pop("ALL_MEMS") == sum(told.pop(name, 0) for name in ("DRAM_MEMS", "PMEM_MEMS", "HBM_MEMS"))
            assert not sum(told.values()) & ~(own(container) | shared(container))

    @invariant()
    def nothing_is_promised_twice(self):
        pools = {pool.name: pool for pool in self.policy.pools(self.stage.state)}
        for pool in pools.values():
            inside = [c for c in self.stage.containers.values() if is_in(pool.name, c.holding.pool, pools)]
            parts = [part(c) for c in inside if not is_reserved(c)]
            assert sum(parts) <= 1000 * cpusets.parse(pool.shared).bit_count()
            assert pool.free_millicpu >= 0
            at_home = [c for c in self.stage.containers.values() if is_in(pool.name, memo(c)["home"], pools)]
            for tier, kind in enumerate((MemoryKind.PMEM, MemoryKind.DRAM, MemoryKind.HBM)):
                assert sum(memo(c)["bytes"][tier] for c in at_home) <= self.size(pool, kind)
        on_reserve = [part(c) for c in self.stage.containers.values() if is_reserved(c)]
        assert sum(on_reserve) <= 1000 * reserved(self.stage).bit_count()

    def has_memory(self, node_id: int) -> bool:
        return any(node.id == node_id and node.memory_bytes for node in self.machine.nodes)

    def size(self, pool: contract.Pool, kind: MemoryKind) -> int:
        mems = cpusets.parse(pool.mems)
        return sum(node.memory_bytes for node in self.machine.nodes if mems >> node.id & 1 and node.kind is kind)


def asked(pod: Pod, millicpu: int, memory: int) -> Resources:
    """What the kubelet asks in a pod of this class."""
    if "besteffort" in pod.cgroup_parent:
        return resources()
    if "burstable" in pod.cgroup_parent:
        return resources(cpu=millicpu, limit=2 * millicpu, memory=memory)
    return resources(cpu=millicpu, limit=millicpu, memory=memory)


def frozen(state):
    """The state, apart from the mapping that a policy might have changed."""
    return replace(state, grants=dict(state.grants))


def memo(container: Container) -> dict:
    return json.loads(container.holding.memo)


def part(container: Container) -> int:
    return memo(container)["part"]


def is_reserved(container: Container) -> bool:
    return "reserved" in memo(container)["marks"]


def own(container: Container) -> int:
    return cpusets.parse(container.holding.exclusive) | cpusets.parse(container.holding.isolated)


def shared(container: Container) -> int:
    return cpusets.parse(container.holding.shared)


def root(stage: Stage) -> contract.Pool:
    return stage.policy.pools(stage.state)[0]


def reserved(stage: Stage) -> int:
    return cpusets.parse(root(stage).reserved)


def is_in(outer: str, inner: str, pools: Mapping[str, contract.Pool]) -> bool:
    while inner:
        if inner == outer:
            return True
        inner = pools[inner].parent
    return False


def kept(stage: Stage, but: str = "") -> int:
    """What must stay on the shared set for those who are there, in thousandths of a CPU."""
    sharers = [c for c in stage.containers.values() if c.key != but and not is_reserved(c)]
    return max(sum(map(part, sharers)), any(not own(c) and not part(c) for c in sharers))


def fits(machine: Machine, stage: Stage, container: Container, pod: Pod) -> bool:
    """Whether a request fits on the machine as a whole, all others staying as they are."""
    others = [c for c in stage.containers.values() if c.key != container.key]
    free = cpusets.parse(root(stage).shared) | cpusets.parse(container.holding.exclusive)
    wanted = quantities.millicpu_of(container.asked.cpu_shares)
    enough_cpu = wanted + kept(stage, container.key) <= 1000 * free.bit_count() if wanted else bool(free)
    left = sum(free_bytes(machine, others, kind) for kind in kinds(machine, pod, container))
    guaranteed = "/kubepods/pod" in pod.cgroup_parent  # of others the request counts, and nobody has said it
    return enough_cpu and (not guaranteed or container.asked.memory_limit_bytes <= left)


def kinds(machine: Machine, pod: Pod, container: Container) -> set[MemoryKind]:
    there = {node.kind for node in machine.nodes if node.memory_bytes}
    usual = there & {MemoryKind.DRAM, MemoryKind.PMEM} or there
    return there & (preferences(pod, container.name).memory_kinds or usual) or usual


def free_bytes(machine: Machine, containers: list[Container], kind: MemoryKind) -> int:
    tier = [MemoryKind.PMEM, MemoryKind.DRAM, MemoryKind.HBM].index(kind)
    size = sum(node.memory_bytes for node in machine.nodes if node.kind is kind)
    return size - sum(memo(container)["bytes"][tier] for container in containers)


Promises.TestCase.settings = settings(max_examples=40, stateful_step_count=30)
test_promises_are_kept_whatever_comes = Promises.TestCase
