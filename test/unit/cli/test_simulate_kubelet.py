"""What a kubelet makes of a spec: the class, the cgroup, the numbers."""

import pytest

from cri_resmgr.cli.simulating import kubelet
from cri_resmgr.cli.simulating.steps import ContainerSpec, PodSpec
from cri_resmgr.policies import requirements
from cri_resmgr.policies.declarations import Amounts, Declared
from cri_resmgr.policies.requirements import Qos
from cri_resmgr.values.resources import Resources

GIB = 1 << 30


def container(name="c", *, cpu=(0, 0), memory=(0, 0), **fields):
    return ContainerSpec(name, Declared(Amounts(*cpu), Amounts(*memory)), **fields)


def pod(*containers, init=(), **fields):
    return PodSpec("web", "shop", containers, tuple(init), **fields)


WHOLE = container(cpu=(2000, 2000), memory=(GIB, GIB))
NOTHING = container()


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (pod(NOTHING), Qos.BEST_EFFORT),
        (pod(WHOLE), Qos.GUARANTEED),
        (pod(WHOLE, NOTHING), Qos.BURSTABLE),
        (pod(WHOLE, init=[NOTHING]), Qos.BURSTABLE),
        (pod(WHOLE, init=[container("i", cpu=(1, 1), memory=(1, 1))]), Qos.GUARANTEED),
        (pod(container(cpu=(2000, 2000))), Qos.BURSTABLE),
        (pod(container(memory=(GIB, GIB))), Qos.BURSTABLE),
        (pod(container(cpu=(1000, 2000), memory=(GIB, GIB))), Qos.BURSTABLE),
        (pod(container(cpu=(0, 2000), memory=(GIB, GIB))), Qos.BURSTABLE),
        (pod(container(memory=(1, 0))), Qos.BURSTABLE),
    ],
)
def test_the_class_follows_from_all_containers_as_in_kubernetes(spec, expected):
    assert kubelet.qos(spec) is expected


@pytest.mark.parametrize(
    ("spec", "parent"),
    [
        (pod(WHOLE), "/kubepods/podu1"),
        (pod(WHOLE, NOTHING), "/kubepods/burstable/podu1"),
        (pod(NOTHING), "/kubepods/besteffort/podu1"),
    ],
)
def test_the_cgroup_names_the_class_in_a_way_that_policies_understand(spec, parent):
    made = kubelet.sandbox(spec, "u1")
    assert made.cgroup_parent == parent
    assert requirements.qos_of(made) is kubelet.qos(spec)


def test_the_sandbox_has_the_labels_that_a_kubelet_adds_and_all_of_the_pods_own():
    made = kubelet.sandbox(pod(WHOLE, labels={"app": "x"}, annotations={"a": "b"}, runtime_handler="runsc"), "u1")
    assert made.labels == {
        "app": "x",
        "io.kubernetes.pod.name": "web",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.pod.uid": "u1",
    }
    assert (made.annotations, made.runtime_handler) == ({"a": "b"}, "runsc")
    assert (made.id, made.uid, made.name, made.namespace) == ("u1", "u1", "web", "shop")


def test_a_container_carries_its_names_as_labels():
    made = kubelet.container(WHOLE, kubelet.sandbox(pod(WHOLE), "u1"), 3, Resources(cpu_shares=5))
    assert made.key == "u1/c/3"
    assert made.labels["io.kubernetes.container.name"] == "c"
    assert made.labels["io.kubernetes.pod.name"] == "web"
    assert made.asked == Resources(cpu_shares=5)


@pytest.mark.parametrize(
    ("cpu", "shares", "quota_us"),
    [((0, 0), 2, 0), ((1, 1), 2, 1000), ((100, 250), 102, 25_000), ((1500, 0), 1536, 0), ((2000, 2000), 2048, 200_000)],
)
def test_shares_and_quota_are_the_kubelets(cpu, shares, quota_us):
    asked = kubelet.asked(Declared(Amounts(*cpu), Amounts()), Qos.BURSTABLE, memory_bytes=GIB)
    assert (asked.cpu_shares, asked.cpu_quota_us, asked.cpu_period_us) == (shares, quota_us, 100_000)


@pytest.mark.parametrize(
    ("qos", "request_bytes", "adj"),
    [
        (Qos.GUARANTEED, GIB, -997),
        (Qos.BEST_EFFORT, 0, 1000),
        (Qos.BURSTABLE, 0, 999),
        (Qos.BURSTABLE, GIB, 750),
        (Qos.BURSTABLE, 4 * GIB, 3),
    ],
)
def test_the_oom_score_is_the_kubelets(qos, request_bytes, adj):
    asked = kubelet.asked(Declared(Amounts(), Amounts(request_bytes, 7)), qos, memory_bytes=4 * GIB)
    assert (asked.oom_score_adj, asked.memory_limit_bytes) == (adj, 7)


def test_a_machine_without_memory_is_no_reason_to_divide_by_it():
    assert kubelet.asked(Declared(Amounts(), Amounts(1, 1)), Qos.BURSTABLE, memory_bytes=0).oom_score_adj == 999


def test_what_was_asked_is_read_back_by_policies():
    made = kubelet.sandbox(pod(WHOLE), "u1")
    asked = kubelet.asked(WHOLE.resources, Qos.GUARANTEED, memory_bytes=GIB)
    found = requirements.requirements(kubelet.container(WHOLE, made, 0, asked), made)
    assert (found.cpu_request_millicpu, found.cpu_limit_millicpu) == (2000, 2000)
    assert (found.memory_request_bytes, found.memory_limit_bytes) == (GIB, GIB)
