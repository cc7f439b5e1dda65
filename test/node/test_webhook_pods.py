"""The Deployment as it is, on a real kubelet: an image of ours, the mounted Secret, probes, roll-outs."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from equipment import images, python_image
from equipment.bare_node import BareNode
from equipment.control_plane import ControlPlane
from equipment.pods import is_ready
from equipment.processes import wait_for
from equipment.service_path import ServicePath
from node.webhooks import EXAMPLES, NAMESPACE, PODS, Cluster, documents, more

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(600)]

LABELLED = f"{PODS.format(NAMESPACE)}?labelSelector=app.kubernetes.io/name=cri-resmgr-webhook"
PATIENCE_S = 120


def image_name() -> str:
    """As the runtime calls the image of the Deployment."""
    deployment = next(each for each in documents(EXAMPLES / "webhook-deployment.yaml") if each["kind"] == "Deployment")
    return f"docker.io/library/{deployment['spec']['template']['spec']['containers'][0]['image']}"


@dataclasses.dataclass
class Deployed:
    """Pods of the webhook that serve a cluster."""

    cluster: Cluster

    def pods(self):
        """All of them."""
        return self.cluster.plane.api("GET", LABELLED)["items"]

    def end_points(self) -> list[tuple[str, int]]:
        """What the cluster's own controller says that is ready."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices"
        return [
            (address, slice_["ports"][0]["port"])
            for slice_ in self.cluster.plane.api("GET", path)["items"]
            for end_point in slice_["endpoints"] or ()
            if end_point["conditions"]["ready"]
            for address in end_point["addresses"]
        ]

    def logs(self) -> str:
        """What the pods say."""
        selector = "app.kubernetes.io/name=cri-resmgr-webhook"
        return self.cluster.plane.kubectl("logs", "-n", NAMESPACE, "-l", selector, "--tail=-1", "--prefix")

    def kubectl(self, *arguments: str) -> str:
        """In the namespace of the webhook."""
        return self.cluster.plane.kubectl("-n", NAMESPACE, *arguments, deadline_s=PATIENCE_S)

    def rolled_out(self) -> None:
        """Wait until all pods are those that are wanted."""
        try:
            self.kubectl("rollout", "status", "deployment/cri-resmgr-webhook", f"--timeout={PATIENCE_S - 5}s")
        except RuntimeError as error:
            error.add_note(self.kubectl("describe", "pods"))
            raise


@pytest.fixture(scope="module")
def deployed(
    control_plane: ControlPlane, bare_node: BareNode, rootfs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Deployed]:
    """Two pods that are ready, reached by the API server through their service."""
    made = python_image.image(rootfs, image_name(), module="cri_resmgr.cli.webhook", requirements="webhook.txt")
    bare_node.runtime.load(images.build([made]))
    with Cluster(control_plane, tmp_path_factory.mktemp("webhook") / "certificates") as cluster:
        webhook = Deployed(cluster)
        webhook.rolled_out()
        with ServicePath(*cluster.address(), webhook.end_points):
            wait_for(cluster.annotates, "the API server to know the configuration")
            yield webhook


def test_two_pods_become_ready_and_annotate(deployed):
    assert [is_ready(pod) for pod in deployed.pods()] == [True, True]
    with deployed.cluster.crowd() as made:
        more(made, 50)
    assert all(made), deployed.cluster.complaints()


def test_a_renewed_secret_reaches_the_running_process(deployed):
    with deployed.cluster.crowd() as made:
        deployed.cluster.renew()
        # A change of the pod makes its kubelet look at the Secret now instead of in a minute or so.
        deployed.kubectl("annotate", "pods", "--all", "--overwrite", "look=now")
        new = (deployed.cluster.certificates / "svc.crt").read_text()
        for _ in range(4):  # more often than there are pods
            wait_for(lambda: deployed.cluster.certificate_shown() == new, "the new certificate", PATIENCE_S)
        more(made)
    assert all(made), deployed.cluster.complaints()
    assert [status["restartCount"] for pod in deployed.pods() for status in pod["status"]["containerStatuses"]] == [
        0,
        0,
    ]


def test_a_roll_out_costs_no_pod_its_annotation(deployed):
    before = {pod["metadata"]["uid"] for pod in deployed.pods()}
    with deployed.cluster.crowd() as made:
        more(made)
        deployed.kubectl("rollout", "restart", "deployment/cri-resmgr-webhook")
        deployed.rolled_out()
        wait_for(lambda: len(deployed.pods()) == 2, "the old pods to go", PATIENCE_S)
        more(made)
    assert all(made), deployed.cluster.complaints()
    assert not before & {pod["metadata"]["uid"] for pod in deployed.pods()}


def test_all_replicas_gone_means_pods_without_annotation_and_nothing_worse(deployed):
    with deployed.cluster.crowd() as made:
        deployed.kubectl("scale", "deployment/cri-resmgr-webhook", "--replicas=0")
        wait_for(lambda: not deployed.pods(), "all pods to go", PATIENCE_S)
        without = len(made)
        more(made)
        assert True not in made[without + 4 :]
        deployed.kubectl("scale", "deployment/cri-resmgr-webhook", "--replicas=2")
        deployed.rolled_out()
        wait_for(deployed.cluster.annotates, "pods to be annotated again")


def test_the_pods_never_complained(deployed):
    said = deployed.logs()
    assert "webhook.listening" in said
    assert " W " not in said
    assert " E " not in said
    assert "Traceback" not in said
