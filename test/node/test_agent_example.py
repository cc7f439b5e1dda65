"""The agent's example as its readers use it: applied with kubectl, and what it allows is all that the agent needs."""

from pathlib import Path

import pytest

from equipment.kubectl import KubectlError
from node.agents import DEFAULT, NODE, PINNED, WRONG, Scene, scene
from node.kube_fixtures import *  # noqa: F403 - a fixture, as if it stood here

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples"
MANIFESTS = (EXAMPLES / "adjustment-schema.yaml", EXAMPLES / "agent" / "agent-deployment.yaml")
ADJUSTMENT = f"""\
apiVersion: criresmgr.intel.com/v1alpha1
kind: Adjustment
metadata: {{name: impossible, namespace: kube-system}}
spec:
  scope:
    - nodes: [{NODE}]
      containers: [{{key: name, operator: Equals, values: [nobody]}}]
  classes: {{rdt: gold}}
"""


@pytest.fixture(name="here")
def _here(api_server, tmp_path):
    with scene(api_server, tmp_path) as made:
        try:
            for manifest in MANIFESTS:
                made.kubectl("apply", "-f", manifest)
            made.kubectl("wait", "--for=condition=Established", "crd/adjustments.criresmgr.intel.com", "--timeout=30s")
            yield made
        finally:
            for manifest in MANIFESTS:
                made.kubectl("delete", "--ignore-not-found", "-f", manifest)


def test_the_agent_needs_no_right_that_the_example_does_not_give(here: Scene):
    agent = here.another(kubeconfig=here.server.account("kube-system", "cri-resmgr-agent"))
    here.configmap(DEFAULT, PINNED)
    agent.start()
    agent.wait(lambda: here.uses(DEFAULT), "the ConfigMap to be used")
    (here.root / "adjustment.yaml").write_text(ADJUSTMENT)
    here.kubectl("apply", "-f", here.root / "adjustment.yaml")
    status = ("get", "-n", "kube-system", "adjustments.criresmgr.intel.com/impossible", "-ojsonpath={.status.nodes}")
    agent.wait(lambda: NODE in here.kubectl(*status), "its status")
    here.configmap(DEFAULT, WRONG)
    agent.wait(lambda: here.events("ConfigRejected"), "an Event")
    code, said = agent.probe("-query", "config-status")
    assert (code, "ballons" in said) == (1, True), said
    assert agent.probe()[0] == 0
    assert "orbidden" not in agent.log()


@pytest.mark.parametrize(
    "asked", ["get secrets", "list secrets", "create pods", "update configmaps", "get configmaps", "patch nodes"]
)
def test_the_example_gives_no_right_that_the_agent_does_not_need(here: Scene, asked):
    account = here.server.account("kube-system", "cri-resmgr-agent")
    with pytest.raises(KubectlError, match=r"\bno$"):
        here.kubectl("auth", "can-i", *asked.split(), "-n", "kube-system", f"--kubeconfig={account}")
