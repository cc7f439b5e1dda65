"""Who runs the agent without Gardener gives it the same as a shoot does: rights, privileges, places."""

from pathlib import Path

import pytest
import yaml

from unit.extension.rendering.installations import made, pod

MANIFEST = Path("examples/agent/agent-deployment.yaml")
NAME = "cri-resmgr-agent"


@pytest.fixture(name="example")
def _example():
    return {(thing["kind"], thing["metadata"]["name"]): thing for thing in yaml.safe_load_all(MANIFEST.read_text())}


@pytest.mark.parametrize("kind", ["Role", "ClusterRole"])
def test_the_rights_are_those_of_a_shoots_agent(example, kind):
    assert example[kind, NAME]["rules"] == made()[kind, NAME]["rules"]


@pytest.mark.parametrize("kind", ["RoleBinding", "ClusterRoleBinding"])
def test_they_are_given_to_the_agent_alone(example, kind):
    ours, theirs = example[kind, NAME], made()[kind, NAME]
    assert (ours["roleRef"], ours["subjects"]) == (theirs["roleRef"], theirs["subjects"])


def test_privileges_places_and_resources_are_those_of_a_shoots_agent(example):
    ours, theirs = pod(example["DaemonSet", NAME]), pod(made()["DaemonSet", NAME])
    for key in ("securityContext", "volumes", "serviceAccountName", "automountServiceAccountToken"):
        assert ours[key] == theirs[key], key
    (container,), (other,) = ours["containers"], theirs["containers"]
    for key in ("command", "env", "ports", "resources", "securityContext", "volumeMounts"):
        assert container[key] == other[key], key
