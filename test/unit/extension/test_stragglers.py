"""Which nodes an uninstall form has not cleaned, from pods as a shoot shows them."""

from typing import Any

import pytest

from extension.rendering import Installation, objects
from extension.stragglers import OURS, stragglers, told
from unit.extension.rendering.installations import IMAGES

REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def labels(form: str, name: str = "cri-resmgr-installation") -> dict[str, str]:
    """Those that the pods of a form really get."""
    made = objects(Installation(images=(IMAGES,), form=form))
    (found,) = (each for each in made if (each["kind"], each["metadata"]["name"]) == ("DaemonSet", name))
    return found["spec"]["template"]["metadata"]["labels"]


def pod(
    node: str, form: str = "uninstall", *, ready: bool = True, going: bool = False, **status: Any
) -> dict[str, Any]:
    conditions = [{"type": "Initialized", "status": "True"}, {"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"labels": labels(form), **({"deletionTimestamp": "2026-08-21T10:00:00Z"} if going else {})},
        "spec": {"nodeName": node},
        "status": {"phase": "Running", "conditions": conditions, **status},
    }


def waiting(reason: str) -> list[dict[str, Any]]:
    return [{"state": {"running": {}}}, {"state": {"waiting": {"reason": reason}}}]


def test_a_node_is_clean_when_the_uninstall_form_is_ready_on_it():
    assert stragglers([pod("a"), pod("b", ready=False, phase="Pending")]) == {"b": "Pending"}


@pytest.mark.parametrize("ready", [True, False])
def test_a_pod_of_the_install_form_says_nothing_about_a_clean_node(ready):
    assert stragglers([pod("a", "install", ready=ready)]) == {"a": "Running"}


def test_a_node_whose_kubelet_is_away_keeps_its_old_pod_on_its_way_out():
    assert stragglers([pod("a", "install", going=True), pod("b", going=True)]) == {
        "a": "Terminating",
        "b": "Terminating",
    }


def test_an_old_pod_on_its_way_out_does_not_make_a_clean_node_unclean():
    assert stragglers([pod("a", "install", going=True), pod("a")]) == {}


def test_what_a_container_waits_for_says_more_than_a_phase():
    pulling = pod("a", ready=False, phase="Pending", initContainerStatuses=waiting("ImagePullBackOff"))
    pulling["status"]["containerStatuses"] = waiting("PodInitializing")
    assert stragglers([pulling]) == {"a": "ImagePullBackOff"}


def test_a_pod_that_has_no_node_yet_is_named_by_the_one_that_it_is_for():
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["b"]}]}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [term]}}}
    one = pod("", ready=False) | {"spec": {"affinity": affinity}, "status": {"phase": "Pending"}}
    other = pod("", ready=False) | {"spec": {}, "status": {}}
    assert stragglers([one, other]) == {"a node that is not known": "Unknown", "b": "Pending"}


def test_pods_of_the_agent_have_no_say():
    agent = pod("a", ready=False)
    agent["metadata"]["labels"] = labels("install", "cri-resmgr-agent")
    assert stragglers([agent]) == {}


@pytest.mark.parametrize("form", ["install", "uninstall"])
def test_the_selector_finds_the_pods_of_both_forms(form):
    key, value = OURS.labels.split("=")
    assert labels(form)[key] == value


def test_some_nodes_are_named_and_the_others_counted():
    assert told({}) == ""
    assert told({"a": "Pending"}) == "; not clean yet: a (Pending)"
    many = {f"n{at}": "Pending" for at in range(8)}
    assert told(many).endswith("n4 (Pending), 3 more")
    assert "n5" not in told(many)
