"""Secret and ManagedResource are as Gardener's own library makes them."""

import base64
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.errors import BadInput
from extension.rendering import Installation, managed, managed_resource, objects
from unit.extension.rendering.installations import EVERYTHING, IMAGES

THINGS = [{"kind": "ConfigMap", "metadata": {"name": "x"}, "data": {"a": "1"}}]


def test_the_digest_is_gardeners():
    # pkg/utils/kubernetes/object_test.go
    assert managed.digest({"foo": b"bar", "bar": b"foo"}) == "ec321de5"
    assert managed.digest({"bar": b"foo", "foo": b"bar"}) == "ec321de5"


def test_the_reference_is_gardeners():
    # pkg/component/nodemanagement/dependencywatchdog/access_test.go
    name = "managedresource-shoot-core-dependency-watchdog-3cb55785"
    assert managed.reference_key(name) == "reference.resources.gardener.cloud/secret-e3a35806"


def test_the_managed_resource_refers_to_the_secret_and_keeps_it_from_the_garbage_collector():
    secret, resource = managed_resource(namespace="shoot--a--b", objects=THINGS)
    name = secret["metadata"]["name"]
    assert name == f"managedresource-extension-runtime-cri-resmgr-{managed.digest(decoded(secret))}"
    assert resource["spec"]["secretRefs"] == [{"name": name}]
    assert resource["metadata"]["annotations"] == {managed.reference_key(name): name}
    assert secret["metadata"]["labels"] == {"resources.gardener.cloud/garbage-collectable-reference": "true"}
    assert secret["immutable"] is True
    assert {secret["metadata"]["namespace"], resource["metadata"]["namespace"]} == {"shoot--a--b"}


def test_the_managed_resource_is_the_shoots_and_not_gardeners():
    _, resource = managed_resource(namespace="n", objects=THINGS)
    assert resource["metadata"]["name"] == "extension-runtime-cri-resmgr"
    assert "class" not in resource["spec"]
    assert resource["metadata"]["labels"]["origin"] == "cri-resmgr-extension"
    assert resource["spec"]["injectLabels"] == {"shoot.gardener.cloud/no-cleanup": "true"}
    assert resource["spec"]["keepObjects"] is False


def test_the_same_installation_makes_the_same_bytes():
    one, other = (managed_resource(namespace="n", objects=objects(EVERYTHING)) for _ in range(2))
    assert json.dumps(one) == json.dumps(other)


def test_another_installation_makes_another_secret():
    names = [
        managed_resource(namespace="n", objects=objects(each))[0]["metadata"]["name"]
        for each in (EVERYTHING, Installation(images=(IMAGES,)), Installation(images=(IMAGES,), form="uninstall"))
    ]
    assert len(set(names)) == len(names)


@given(text=st.text(st.characters(exclude_categories=("Cs",))))
def test_what_the_resource_manager_reads_is_what_was_made(text):
    things = [{"kind": "ConfigMap", "data": {"x": text}}, {"kind": "Secret", "data": {"y": f"\n---\n{text}"}}]
    content = managed.serialized(things).decode()
    assert list(yaml.safe_load_all(content)) == things
    documents = content.removeprefix("---\n").split("\n---\n")  # how Kubernetes' decoder finds them
    assert [json.loads(each) for each in documents] == things


def test_what_the_resource_manager_reads_is_yaml():
    assert list(yaml.safe_load_all(managed.serialized(objects(EVERYTHING)).decode())) == list(objects(EVERYTHING))


def test_more_than_a_secret_holds_is_refused_with_the_size():
    with pytest.raises(BadInput, match=r"has 104\d{4} bytes, and a Secret holds 1048576: make configs smaller"):
        managed_resource(namespace="n", objects=[{"data": {"x": "y" * (1 << 20)}}])


def decoded(secret: dict[str, dict[str, str]]) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}
