"""Requests and limits of a container, from what its pod was annotated with and what the kubelet asks."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.policies.declarations import ANNOTATION
from cri_resmgr.policies.requirements import Qos, Requirements, qos_of, requirements
from cri_resmgr.values.adjustments import Adjusted, Effect
from cri_resmgr.values.quantities import quota_of, shares_of
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod

PARENTS = {
    Qos.GUARANTEED: "/kubepods/pod1-2",
    Qos.BURSTABLE: "/kubepods/burstable/pod1-2",
    Qos.BEST_EFFORT: "/kubepods/besteffort/pod1-2",
}
GI = 1 << 30


def asked(request: int, limit: int = 0, memory: int = 0) -> Resources:
    """What a kubelet makes of a container's spec."""
    return Resources(100_000, quota_of(limit), shares_of(request), memory)


def required(qos: Qos, resources: Resources, spec: object = None, *, name: str = "c") -> Requirements:
    """The requirements of a container; with a spec, its pod has been annotated so."""
    annotations = {} if spec is None else {ANNOTATION: json.dumps({"containers": {"c": spec, "other": {}}})}
    pod = Pod("p", "web", "default", "1-2", PARENTS[qos], annotations=annotations)
    return requirements(Container("p", name, 0, asked=resources), pod)


@pytest.mark.parametrize(
    ("parent", "qos"),
    [
        ("/kubepods/pod1-2", Qos.GUARANTEED),
        ("/kubepods/burstable/pod1-2", Qos.BURSTABLE),
        ("/kubepods/besteffort/pod1-2", Qos.BEST_EFFORT),
        ("kubepods-pod1_2.slice", Qos.GUARANTEED),
        ("kubepods-burstable-pod1_2.slice", Qos.BURSTABLE),
        ("/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1_2.slice", Qos.BEST_EFFORT),
        ("/kubepods.slice/kubepods-pod1_2.slice/", Qos.GUARANTEED),
        ("/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable-pod1_2.slice", Qos.BURSTABLE),
        ("/a/burstable/kubepods/pod1", Qos.GUARANTEED),
        ("/a-besteffort/b/kubepods/burstable/pod1", Qos.BURSTABLE),
        ("", None),
        ("/", None),
        ("/system.slice", None),
        ("/kubepods/burstable", None),
        ("/mykubepods/pod1", None),
        ("/pod1", None),
    ],
)
def test_the_class_is_read_from_the_cgroup_under_any_root_with_both_drivers(parent, qos):
    assert qos_of(Pod("p", "web", "default", "1-2", parent)) is qos


@pytest.mark.parametrize(
    ("resources", "qos"),
    [
        (Resources(), Qos.BEST_EFFORT),
        (Resources(cpu_shares=2, cpu_quota_us=-1), Qos.BEST_EFFORT),
        (Resources(cpu_shares=1024), Qos.BURSTABLE),
        (Resources(cpu_quota_us=5000), Qos.BURSTABLE),
        (Resources(memory_limit_bytes=1), Qos.BURSTABLE),
        (asked(1000, 1000, GI), Qos.BURSTABLE),
    ],
)
def test_a_pod_without_a_cgroup_of_the_kubelets_is_never_guaranteed(resources, qos):
    assert requirements(Container("p", "c", 0, asked=resources), Pod("p", "web", "default", "")).qos is qos


@given(st.integers(10, 256_000))
def test_a_guaranteed_container_needs_no_annotation(millicpu):
    found = required(Qos.GUARANTEED, asked(millicpu, millicpu, GI))
    assert found == Requirements(Qos.GUARANTEED, millicpu, millicpu, GI, GI)


@given(st.integers(3, 256_000), st.integers(10, 512_000), st.sampled_from([0, GI]))
def test_a_burstable_container_without_annotation_lacks_only_its_memory_request(request, limit, memory):
    found = required(Qos.BURSTABLE, asked(request, limit, memory))
    assert found == Requirements(Qos.BURSTABLE, request, limit, 0, memory)


def test_a_best_effort_container_requires_nothing():
    assert required(Qos.BEST_EFFORT, asked(0)) == Requirements(Qos.BEST_EFFORT)


def test_a_guaranteed_container_without_quota_is_limited_to_its_request():
    no_cfs_quota = Resources(cpu_shares=3072, memory_limit_bytes=GI)
    taken_off = Resources(100_000, -1, 3072, GI)
    for resources in (no_cfs_quota, taken_off):
        assert required(Qos.GUARANTEED, resources) == Requirements(Qos.GUARANTEED, 3000, 3000, GI, GI)


def test_more_cpus_than_shares_can_say_are_read_from_the_quota():
    assert required(Qos.GUARANTEED, asked(300_000, 300_000)).cpu_request_millicpu == 300_000
    assert required(Qos.BURSTABLE, asked(300_000, 900_000)).cpu_request_millicpu == 256_000


def test_no_memory_limit_may_be_written_as_minus_one():
    assert required(Qos.BURSTABLE, Resources(cpu_shares=512, memory_limit_bytes=-1)).memory_limit_bytes == 0


def test_the_annotation_adds_what_the_kubelet_does_not_say():
    spec = {"requests": {"cpu": "2m", "memory": "1Gi"}, "limits": {"memory": "2Gi"}}
    found = required(Qos.BURSTABLE, asked(2, 0, 2 * GI), spec)
    assert found == Requirements(Qos.BURSTABLE, 2, 0, GI, 2 * GI)


def test_a_limit_without_a_request_is_the_request_too():
    spec = {"limits": {"cpu": 2, "memory": "1Gi"}}
    assert required(Qos.BURSTABLE, asked(2000, 2000, GI), spec) == Requirements(Qos.BURSTABLE, 2000, 2000, GI, GI)


def test_a_request_of_zero_stays_zero_beside_a_limit():
    spec = {"requests": {"cpu": 0}, "limits": {"cpu": 2}}
    assert required(Qos.BURSTABLE, asked(0, 2000), spec) == Requirements(Qos.BURSTABLE, 0, 2000)


def test_a_limit_is_known_from_the_annotation_where_the_kubelet_sets_no_quota():
    spec = {"requests": {"cpu": 1}, "limits": {"cpu": 2}}
    assert required(Qos.BURSTABLE, Resources(cpu_shares=1024), spec).cpu_limit_millicpu == 2000


def test_where_nothing_is_known_of_what_the_kubelet_asked_the_annotation_counts():
    spec = {"requests": {"cpu": 2, "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "1Gi"}}
    assert required(Qos.GUARANTEED, Resources(), spec) == Requirements(Qos.GUARANTEED, 2000, 2000, GI, GI)


def test_after_a_resize_of_cpu_the_kubelets_word_counts_for_cpu_and_the_annotation_for_memory():
    spec = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "2Gi"}}
    for request, limit in ((700, 2000), (500, 3000)):
        found = required(Qos.BURSTABLE, asked(request, limit, 2 * GI), spec)
        assert found == Requirements(Qos.BURSTABLE, request, limit, GI, 2 * GI)


def test_after_a_resize_of_memory_the_annotated_request_is_stale_as_well():
    spec = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": 2, "memory": "2Gi"}}
    found = required(Qos.BURSTABLE, asked(500, 2000, GI), spec)
    assert found == Requirements(Qos.BURSTABLE, 500, 2000, 0, GI)


@given(st.integers(3, 9000), st.integers(3, 9000))
def test_the_annotation_never_says_another_cpu_request_than_the_kubelet(annotated, request):
    spec = {"requests": {"cpu": f"{annotated}m"}}
    assert required(Qos.BURSTABLE, asked(request), spec).cpu_request_millicpu == request


def test_what_a_container_borrows_from_its_pod_is_not_its_own():
    borrowing = asked(4000, 4000, 8 * GI)  # the limits of the pod, and shares made of them
    assert required(Qos.GUARANTEED, borrowing, {}) == Requirements(Qos.GUARANTEED)
    assert required(Qos.BURSTABLE, borrowing, {}) == Requirements(Qos.BURSTABLE)


def test_a_guaranteed_container_that_borrows_is_known_without_a_quota():
    assert required(Qos.GUARANTEED, Resources(cpu_shares=4096), {}) == Requirements(Qos.GUARANTEED)


def test_a_container_with_its_own_request_may_borrow_the_limit_only():
    spec = {"requests": {"cpu": "2", "memory": "1Gi"}}
    found = required(Qos.GUARANTEED, asked(2000, 4000, 8 * GI), spec)
    assert found == Requirements(Qos.GUARANTEED, 2000, 0, GI, 0)
    assert required(Qos.GUARANTEED, asked(2000, 4000, 8 * GI)).cpu_request_millicpu == 2000


def test_a_burstable_container_that_got_its_first_request_by_a_resize_has_it():
    assert required(Qos.BURSTABLE, asked(700), {}) == Requirements(Qos.BURSTABLE, 700)


def test_a_container_that_the_annotation_does_not_know_is_read_from_what_the_kubelet_asks():
    found = required(Qos.GUARANTEED, asked(1000, 1000, GI), {}, name="injected")
    assert found == Requirements(Qos.GUARANTEED, 1000, 1000, GI, GI)


def test_init_containers_are_found_under_their_name():
    text = json.dumps({"initContainers": {"c": {"requests": {"memory": "1Gi"}}}, "containers": None})
    pod = Pod("p", "web", "default", "1-2", PARENTS[Qos.BURSTABLE], annotations={ANNOTATION: text})
    assert requirements(Container("p", "c", 0, asked=asked(0)), pod).memory_request_bytes == GI


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "it is no JSON"),
        ("[" * 60_000, "it is no JSON"),
        (" " * 70_000, "longer than 65536 characters"),
        ("[]", "it is no mapping"),
        ('{"containers": 1}', "containers is no mapping"),
        ('{"containers": {"c": "big"}}', "containers.c is no mapping"),
        ('{"containers": {"c": {"limits": [1]}}}', "containers.c.limits is no mapping"),
        ('{"containers": {"c": {"limits": {"cpu": "lots"}}}}', "containers.c: 'lots' is no quantity; write CPUs"),
        ('{"containers": {"c": {"requests": {"memory": true}}}}', "containers.c: 'True' is no quantity; write bytes"),
    ],
)
def test_an_annotation_that_cannot_be_read_is_not_used_and_the_reason_is_told(text, problem):
    pod = Pod("p", "web", "default", "1-2", PARENTS[Qos.GUARANTEED], annotations={ANNOTATION: text})
    found = requirements(Container("p", "c", 0, asked=asked(1000, 1000, GI)), pod)
    assert (found.cpu_request_millicpu, found.memory_request_bytes) == (1000, GI)
    (told,) = found.problems
    assert told.startswith("annotation intel.com/resources is not used: ")
    assert problem in told


def test_what_is_adjusted_counts_instead_of_what_was_asked_and_annotated():
    pod = Pod("p", "web", "default", "1-2", PARENTS[Qos.BURSTABLE], annotations={})
    spec = {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "2Gi"}}
    annotated = replace(pod, annotations={ANNOTATION: json.dumps({"containers": {"c": spec}})})
    one = Container("p", "c", 0, asked=asked(500, 1000, 2 * GI))
    assert requirements(one, annotated) == Requirements(Qos.BURSTABLE, 500, 1000, GI, 2 * GI)
    limits = Effect(cpu_request_millicpu=2000, cpu_limit_millicpu=3000, memory_request_bytes=3 * GI)
    more = replace(one, adjustment=Adjusted("a", limits))
    assert requirements(more, annotated) == Requirements(Qos.BURSTABLE, 2000, 3000, 3 * GI, 3 * GI)
    assert requirements(more, pod) == Requirements(Qos.BURSTABLE, 2000, 3000, 3 * GI, 3 * GI)
