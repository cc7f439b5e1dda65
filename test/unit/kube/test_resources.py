"""Paths are those of the API server, whatever names are given."""

import pytest

from cri_resmgr.kube.resources import Ref, Resource, ref_of

PODS, LEASES = Resource("v1", "pods"), Resource("coordination.k8s.io/v1", "leases", "kube-system")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (PODS.path(), "/api/v1/pods"),
        (PODS.within("a").path("b"), "/api/v1/namespaces/a/pods/b"),
        (PODS.within("a").path("b", subresource="status"), "/api/v1/namespaces/a/pods/b/status"),
        (LEASES.path(), "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"),
        (LEASES.path("../x?y"), "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/..%2Fx%3Fy"),
    ],
)
def test_paths(path, expected):
    assert path == expected


def test_a_collection_says_what_it_selects():
    assert LEASES.all().query() == {}
    assert LEASES.named("a").query() == {"fieldSelector": "metadata.name=a"}
    assert LEASES.all(labels="a=b").query() == {"labelSelector": "a=b"}


def test_collections_have_names_for_people():
    assert [str(c) for c in (PODS.all(), LEASES.named("a"), LEASES.all(labels="x in (y)"))] == [
        "pods",
        "leases in kube-system metadata.name=a",
        "leases in kube-system x in (y)",
    ]


def test_an_object_is_known_by_namespace_and_name_or_by_its_name_alone():
    assert str(ref_of({"metadata": {"namespace": "a", "name": "b"}})) == "a/b"
    assert ref_of({"metadata": {"name": "b"}}) == Ref("", "b")
    assert str(Ref("", "b")) == "b"
