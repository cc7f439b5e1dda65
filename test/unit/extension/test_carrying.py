"""What is written to a ManagedResource, and what of others' is left in it."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.errors import BadInput
from extension.carrying import SINCE, _changed, _is_same, _patch, cargo
from extension.rollouts import blocked, is_unreadable, missing

OBJECTS = ({"kind": "ConfigMap", "metadata": {"name": "a"}},)
JSON = st.recursive(
    st.booleans() | st.integers(0, 3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=10,
)
DICTS = st.dictionaries(st.sampled_from("abc"), JSON, max_size=3)


def merged(target, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


@given(DICTS, DICTS)
def test_patch_makes_the_new_of_the_old(old, new):
    assert merged(old, _patch(old, new)) == new


@given(DICTS)
def test_patch_of_nothing_is_nothing(same):
    assert _patch(same, deepcopy(same)) == {}


def written():
    """A ManagedResource as the API server gives it after we wrote it."""
    resource = deepcopy(cargo("ns", OBJECTS).resource)
    resource["metadata"] |= {"generation": 1, "resourceVersion": "5", "uid": "x", "finalizers": ["grm"]}
    return resource


def test_what_we_wrote_is_as_it_should_be_also_with_what_others_add():
    resource = written()
    resource["metadata"]["labels"]["theirs"] = "x"
    resource["metadata"]["annotations"]["resources.gardener.cloud/ignore"] = "true"
    assert _is_same(resource, cargo("ns", OBJECTS))


@pytest.mark.parametrize(
    "harm",
    [
        lambda resource: resource["spec"].update(keepObjects=True),
        lambda resource: resource["spec"].update({"class": "seed"}),
        lambda resource: resource["spec"].update(secretRefs=[]),
        lambda resource: resource["metadata"]["labels"].pop("origin"),
        lambda resource: resource["metadata"].pop("annotations"),
        lambda resource: resource["metadata"]["annotations"].update({SINCE: "2026-01-01T00:00:00Z"}),
    ],
)
def test_what_others_spoil_is_seen_and_mended(harm):
    resource, wanted = written(), cargo("ns", OBJECTS)
    harm(resource)
    assert not _is_same(resource, wanted)
    assert _is_same(merged(resource, _patch(resource, _changed(resource, wanted))), wanted)


def test_reference_to_an_earlier_secret_goes_with_it():
    later = cargo("ns", [{"kind": "ConfigMap", "metadata": {"name": "b"}}])
    changed = _changed(written(), later)
    assert changed["metadata"]["annotations"] == later.resource["metadata"]["annotations"]
    assert changed["metadata"]["finalizers"] == ["grm"]


def test_more_than_a_secret_holds_is_bad_input():
    with pytest.raises(BadInput, match="make configs smaller"):
        cargo("ns", [{"kind": "ConfigMap", "data": {"a": "x" * (1 << 20)}}])


def conditions(**said):
    kinds = {"applied": "ResourcesApplied", "healthy": "ResourcesHealthy", "progressing": "ResourcesProgressing"}
    status, good = said.pop("observed", 1), {"applied": "True", "healthy": "True", "progressing": "False"}
    listed = [
        {"type": kinds[name], "status": state, "message": f"{name} says"} for name, state in {**good, **said}.items()
    ]
    return {"metadata": {"generation": 1}, "status": {"observedGeneration": status, "conditions": listed}}


def test_nothing_is_missing_when_all_is_applied_rolled_out_and_ready():
    assert missing(conditions()) == ""


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ({"applied": "False"}, "applied says"),
        ({"progressing": "True"}, "progressing says"),
        ({"healthy": "False"}, "healthy says"),
        ({"healthy": "Unknown"}, "healthy says"),
        ({"observed": 0}, "gardener-resource-manager has not applied the newest objects yet"),
    ],
)
def test_what_is_missing_is_said_in_the_resource_managers_words(said, text):
    assert missing(conditions(**said)) == text


@pytest.mark.parametrize("status", [{}, {"conditions": None}, {"observedGeneration": 1}])
def test_resource_that_nobody_has_looked_at_misses_everything(status):
    assert missing({"metadata": {"generation": 1}, "status": status})


def test_what_keeps_a_deleted_resource_is_said():
    assert blocked(conditions(applied="Progressing")) == "applied says"
    assert blocked(conditions()) == "gardener-resource-manager has not begun to delete the objects"


def test_secret_that_the_resource_manager_misses_is_seen():
    resource = conditions()
    assert not is_unreadable(resource)
    resource["status"]["conditions"][0]["reason"] = "CannotReadSecret"
    assert is_unreadable(resource)
