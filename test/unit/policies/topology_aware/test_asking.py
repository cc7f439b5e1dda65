"""What a container wants follows from its spec, its annotations and the configuration."""

import json
from dataclasses import replace

import pytest

from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.contract import PINNABLE_HANDLERS, Context
from cri_resmgr.policies.requirements import Qos
from cri_resmgr.policies.topology_aware import asking
from cri_resmgr.policies.topology_aware.growing import grown
from cri_resmgr.policies.topology_aware.limits import limits
from cri_resmgr.policies.topology_aware.requests import Request, Wish
from cri_resmgr.policies.topology_aware.settings import Settings
from cri_resmgr.policies.topology_aware.tiers import DRAM, HBM, PMEM
from cri_resmgr.values.machines import Machine, MemoryKind
from cri_resmgr.values.workloads import Container, Pod
from unit.policies.topology_aware.nodes import BEST_EFFORT, BURSTABLE, GUARANTEED, annotated, cpuset, resources

ALL_TIERS = [MemoryNode(100, MemoryKind.PMEM, 0, 17), MemoryNode(100, MemoryKind.HBM, 0, 17)]
MACHINE = grid(cores=8, isolated=0b11, memory_nodes=ALL_TIERS)


def asked(
    *,
    cpu: int = 0,
    memory: int = 0,
    qos: str = GUARANTEED,
    namespace: str = "default",
    handler: str = "",
    adopted: bool = False,
    annotations: dict[str, str] | None = None,
    machine: Machine = MACHINE,
    **options,
) -> Request:
    allocator = Allocator(machine)
    tree = grown(machine, limits(Context(machine, reserved=cpuset("7")), allocator), allocator)
    settings = Settings(**options)
    terms = asking.terms(settings, machine, tree=tree, pinnable_handlers=PINNABLE_HANDLERS)
    pod = Pod("p", "p", namespace, "p", f"/kubepods/{qos}podp", handler, {}, annotations or {})
    wish = resources(cpu=cpu, limit=cpu if qos == GUARANTEED else 2 * cpu, memory=memory)
    return asking.request(Container("p", "c", 0, asked=wish, adopted=adopted), pod, terms)


def cpus(request: Request) -> tuple[int, int, bool]:
    return request.whole, request.rest_millicpu, request.isolate


YES_I, NO_I = annotated("prefer-isolated-cpus", "true"), annotated("prefer-isolated-cpus", "false")
YES_S, NO_S = annotated("prefer-shared-cpus", "true"), annotated("prefer-shared-cpus", "false")
SHARE = {"prefer_shared_cpus": True}
USE_ANY = {"prefer_isolated_cpus": False}


@pytest.mark.parametrize(
    ("millicpu", "annotations", "options", "wanted"),
    [
        (500, {}, {}, (0, 500, False)),
        (500, YES_I | NO_S, {}, (0, 500, False)),
        (1000, {}, {}, (1, 0, True)),
        (1000, {}, SHARE, (1, 0, True)),
        (1000, YES_S, {}, (0, 1000, False)),
        (1000, NO_S, SHARE, (1, 0, True)),
        (1000, NO_I, {}, (1, 0, False)),
        (1000, {}, USE_ANY, (1, 0, False)),
        (1000, YES_I, USE_ANY, (1, 0, True)),
        (1500, {}, {}, (1, 500, True)),
        (1500, {}, SHARE, (0, 1500, False)),
        (1500, YES_S, {}, (0, 1500, False)),
        (1500, NO_S, SHARE, (1, 500, True)),
        (1500, NO_I, {}, (1, 500, False)),
        (2000, {}, {}, (2, 0, False)),
        (2000, {}, SHARE, (2, 0, False)),
        (2000, YES_I, {}, (2, 0, True)),
        (2000, NO_I, {}, (2, 0, False)),
        (2000, YES_S, {}, (0, 2000, False)),
        (2500, {}, {}, (0, 2500, False)),
        (2500, YES_I, {}, (0, 2500, False)),
        (2500, YES_S, {}, (0, 2500, False)),
        (2500, NO_S, {}, (2, 500, False)),
        (2500, NO_S | YES_I, {}, (2, 500, True)),
    ],
)
def test_guaranteed_containers_get_cpus_of_their_own_by_the_table(millicpu, annotations, options, wanted):
    assert cpus(asked(cpu=millicpu, annotations=annotations, **options)) == wanted


@pytest.mark.parametrize(("qos", "part"), [(BURSTABLE, 2000), (BEST_EFFORT, 0)])
def test_others_share_whatever_they_prefer(qos, part):
    request = asked(cpu=part, qos=qos, annotations=YES_I | NO_S)
    assert (cpus(request), request.reserved) == ((0, part, False), False)


def test_where_no_cpus_are_isolated_nobody_prefers_any():
    assert not asked(cpu=1000, annotations=YES_I, machine=grid(cores=8)).isolate


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"handler": "kata"}, "Guaranteed, 2000m of CPU: shares CPUs, for runtime handler kata does not bind threads"),
        ({"adopted": True}, "Guaranteed, 2000m of CPU: shares CPUs, for it ran before us"),
    ],
)
def test_some_cannot_have_cpus_of_their_own_and_are_told_why(fields, reason):
    request = asked(cpu=2000, **fields)
    assert cpus(request) == (0, 2000, False)
    assert request.reasons[0].startswith(reason)


@pytest.mark.parametrize("handler", ["", "runc", "crun", "youki"])
def test_runtimes_that_bind_threads_to_cpus_can_have_them(handler):
    assert asked(cpu=2000, handler=handler).whole == 2


RESERVED, NOT_RESERVED = annotated("prefer-reserved-cpus", "true"), annotated("prefer-reserved-cpus", "false")


@pytest.mark.parametrize(
    ("namespace", "annotations", "reserved"),
    [
        ("default", {}, False),
        ("default", RESERVED, True),
        ("kube-system", {}, True),
        ("kube-system", NOT_RESERVED, False),
        ("kube-system", annotated("prefer-reserved-cpus", "perhaps"), True),
        ("infra-net", {}, True),
        ("infra-net", NOT_RESERVED, False),
        ("infra", {}, False),
    ],
)
def test_reserved_cpus_are_for_some_namespaces_and_for_the_annotated(namespace, annotations, reserved):
    request = asked(cpu=2000, namespace=namespace, annotations=annotations, reserved_pool_namespaces=("infra-*",))
    assert request.reserved is reserved
    assert cpus(request) == ((0, 2000, False) if reserved else (2, 0, False))


def memory_type(words: str) -> dict[str, str]:
    return annotated("memory-type", words)


@pytest.mark.parametrize(
    ("annotations", "tiers", "typed"),
    [
        ({}, (PMEM, DRAM), False),
        (memory_type("hbm"), (HBM,), True),
        (memory_type("dram,pmem"), (PMEM, DRAM), True),
        (memory_type("mixed"), (PMEM, DRAM, HBM), True),
        (memory_type("cheese"), (PMEM, DRAM), False),
    ],
)
def test_memory_is_of_the_annotated_types_and_hbm_only_if_it_is_among_them(annotations, tiers, typed):
    request = asked(annotations=annotations)
    assert (request.tiers, request.typed) == (tiers, typed)


def test_a_type_of_memory_that_the_machine_has_not_is_told_and_left_out():
    plain = grid(cores=8)
    request = asked(annotations=memory_type("hbm,pmem"), machine=plain)
    assert (request.tiers, request.typed) == ((DRAM,), False)
    assert "this machine has no memory of type hbm, pmem: any type" in request.reasons
    assert asked(annotations=memory_type("hbm,dram"), machine=plain).typed


def movable_pmem() -> Machine:
    nodes = (replace(node, normal=node.kind is not MemoryKind.PMEM) for node in MACHINE.nodes)
    return replace(MACHINE, nodes=tuple(nodes))


COLD = annotated("cold-start", "duration: 60s")


@pytest.mark.parametrize(
    ("annotations", "machine", "cold_start_s"),
    [
        (COLD, MACHINE, 60),
        (COLD | memory_type("dram,pmem"), MACHINE, 60),
        (COLD | memory_type("pmem"), MACHINE, 0),
        (COLD | memory_type("dram"), MACHINE, 0),
        (COLD, movable_pmem(), 0),
        (COLD, grid(cores=8), 0),
        ({}, MACHINE, 0),
    ],
)
def test_only_who_may_have_both_can_start_cold_and_only_on_memory_that_the_kernel_can_use(
    annotations, machine, cold_start_s
):
    assert asked(annotations=annotations, machine=machine).cold_start_s == cold_start_s


def test_pmem_that_the_kernel_cannot_use_alone_comes_with_dram():
    request = asked(annotations=memory_type("pmem"), machine=movable_pmem())
    assert request.tiers == (PMEM, DRAM)
    assert "the kernel cannot use all PMEM: DRAM, too" in request.reasons


def test_a_guaranteed_container_wants_its_limit_and_nothing_less():
    assert list(asked(cpu=1000, memory=100).wishes(warm=False)) == [Wish(100, (PMEM, DRAM))]


def test_a_burstable_limit_is_a_wish_and_the_request_is_what_counts():
    spec = {"containers": {"c": {"requests": {"memory": "30"}, "limits": {"memory": "100"}}}}
    request = asked(memory=100, qos=BURSTABLE, annotations={"intel.com/resources": json.dumps(spec)})
    assert [wish.bytes for wish in request.wishes(warm=False)] == [100, 30]
    assert [wish.bytes for wish in asked(memory=100, qos=BURSTABLE).wishes(warm=False)] == [100, 0]


def test_a_request_without_limit_is_the_wish():
    spec = {"containers": {"c": {"requests": {"memory": "30"}}}}
    request = asked(qos=BURSTABLE, annotations={"intel.com/resources": json.dumps(spec)})
    assert [wish.bytes for wish in request.wishes(warm=False)] == [30]


def test_whoever_starts_cold_wants_pmem_alone_first_and_only_once():
    request = asked(cpu=1000, memory=100, annotations=COLD)
    assert [(wish.tiers, wish.cold) for wish in request.wishes(warm=False)] == [((PMEM,), True), ((PMEM, DRAM), False)]
    assert [(wish.tiers, wish.cold) for wish in request.wishes(warm=True)] == [((PMEM, DRAM), False)]


def test_affinities_are_the_pods_own_or_those_of_colocation():
    own = {"cri-resource-manager.intel.com/affinity": "c: [d]"}
    request = asked(annotations=own, colocate_pods=True)
    assert ([one.weight for one in request.affinities], request.near_pod) == ([1], False)
    both, none = asked(colocate_pods=True, colocate_namespaces=True), asked()
    assert (both.affinities, both.near_pod, both.near_namespace) == ((), True, True)
    assert (none.affinities, none.near_pod, none.near_namespace) == ((), False, False)


def test_affinities_that_cannot_be_read_are_ignored_and_told():
    request = asked(annotations={"cri-resource-manager.intel.com/affinity": "c: d"})
    assert request.affinities == ()
    assert any(reason.startswith("affinities are ignored: annotation") for reason in request.reasons)


def test_a_request_remembers_nothing_that_changes_during_a_containers_life():
    first, later = Container("p", "c", 0), Container("p", "c", 0, id="x", reasons=("any",))
    terms = asking.Terms(Settings(), (), PINNABLE_HANDLERS, (DRAM,), isolated=False, cold_start=True)
    pod = Pod("p", "p", "default", "p")
    assert asking.request(first, pod, terms) == asking.request(later, pod, terms)


def test_qos_decides_what_is_said_first():
    assert asked(cpu=1500).reasons == ("Guaranteed, 1500m of CPU: 1 of its own, 500m shared",)
    assert asked(cpu=300, qos=BURSTABLE).reasons == ("Burstable, 300m of CPU: shares CPUs",)
    assert asked(qos=BEST_EFFORT).reasons == ("BestEffort, no CPU requested: shares CPUs",)
    assert asked(qos=BEST_EFFORT).requirements.qos is Qos.BEST_EFFORT
