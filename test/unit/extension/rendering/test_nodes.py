"""Every node gets exactly one of installation and removal."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from extension.rendering import nodes
from extension.rendering.inputs import DISABLED_LABEL, Selection
from unit.extension.rendering.installations import names, selections

CONTAINERD = {nodes.CRI_LABEL: "containerd"}


def matches(affinity: dict[str, Any], labels: dict[str, str]) -> bool:
    """What the DaemonSet controller says of a node with these labels."""
    required = affinity["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return any(all(_holds(each, labels) for each in term["matchExpressions"]) for term in required["nodeSelectorTerms"])


def _holds(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    assert expression["values"], "the API server takes no empty list"
    inside = labels.get(expression["key"]) in expression["values"]
    return {"In": inside, "NotIn": not inside}[expression["operator"]]


@given(selection=selections, data=st.data())
def test_of_installation_and_removal_a_node_has_one(selection, data):
    said = st.sampled_from([*selection.pools, *selection.excluded_pools, "other"])
    labels = dict(CONTAINERD)
    labels |= data.draw(st.fixed_dictionaries({}, optional={nodes.POOL_LABEL: said, DISABLED_LABEL: names}))
    labels |= data.draw(st.dictionaries(st.sampled_from(["x", *selection.node_labels]), names, max_size=3))
    labels |= data.draw(st.sampled_from([{}, selection.node_labels]))
    installs = matches(nodes.selected(selection, ()), labels)
    removes = matches(nodes.unselected(selection, ()), labels)
    assert installs is not removes
    assert matches(nodes.everywhere(()), labels)


@given(selection=selections)
def test_a_node_with_another_runtime_gets_nothing(selection):
    for labels in ({}, {nodes.CRI_LABEL: "cri-o"}):
        for made in (nodes.selected, nodes.unselected):
            assert not matches(made(selection, ()), labels)
        assert not matches(nodes.everywhere(()), labels)


def test_without_a_selection_every_node_is_selected():
    assert matches(nodes.selected(Selection(), ()), {**CONTAINERD, nodes.POOL_LABEL: "any"})


def test_one_label_switches_a_single_node_off_and_its_value_must_be_true():
    for value, installs in (("true", False), ("false", True), ("", True)):
        labels = {**CONTAINERD, DISABLED_LABEL: value}
        assert matches(nodes.selected(Selection(), ()), labels) is installs
        assert matches(nodes.unselected(Selection(), ()), labels) is not installs


def test_a_pool_that_is_left_out_is_so_even_if_it_is_named():
    labels = {**CONTAINERD, nodes.POOL_LABEL: "a"}
    assert matches(nodes.selected(Selection(("a", "b")), ()), labels)
    assert not matches(nodes.selected(Selection(("a", "b"), ("a",)), ()), labels)


def test_all_labels_of_a_selection_must_be_there():
    selection = Selection(node_labels={"a": "1", "b": "2"})
    assert matches(nodes.selected(selection, ()), {**CONTAINERD, "a": "1", "b": "2"})
    assert matches(nodes.unselected(selection, ()), {**CONTAINERD, "a": "1", "b": "3"})
    assert matches(nodes.unselected(selection, ()), {**CONTAINERD, "b": "2"})


def test_images_of_one_architecture_stay_on_its_nodes():
    arm = {**CONTAINERD, nodes.ARCHITECTURE_LABEL: "arm64"}
    for made in (lambda on: nodes.selected(Selection(), on), nodes.everywhere):
        assert matches(made(("arm64",)), arm)
        assert not matches(made(("amd64",)), arm)
    assert not matches(nodes.unselected(Selection(), ("amd64",)), {**arm, DISABLED_LABEL: "true"})
