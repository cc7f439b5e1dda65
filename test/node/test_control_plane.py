"""The control plane itself: the four programs do their parts, and refusals are told."""

import pytest

from equipment.control_plane import ApiError
from equipment.pods import manifest
from equipment.processes import wait_for
from equipment.stand_ins import BUSYBOX

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


def deployment(name: str, command: list[str]) -> dict[str, object]:
    labels = {"app": name}
    container = {"name": "c", "image": BUSYBOX, "imagePullPolicy": "Never", "command": command}
    spec = {"terminationGracePeriodSeconds": 0, "dnsPolicy": "Default", "containers": [container]}
    return {
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def test_a_deployment_becomes_a_pod_and_goes_with_it(control_plane, bare_node):
    # Made by the controller manager, placed by the scheduler, run by the kubelet.
    control_plane.api("POST", DEPLOYMENTS, deployment("whole", ["sleep", "1000"]))
    whole, its_pods = f"{DEPLOYMENTS}/whole", "/api/v1/namespaces/default/pods?labelSelector=app=whole"
    try:
        wait_for(lambda: control_plane.api("GET", whole)["status"].get("availableReplicas") == 1, "the pod to run")
        listed = control_plane.api("GET", its_pods)["items"]
        assert [pod["spec"]["nodeName"] for pod in listed] == [bare_node.name]
    finally:
        control_plane.api("DELETE", whole)
    wait_for(lambda: not control_plane.api("GET", its_pods)["items"], "the garbage collector")


def test_a_client_in_a_pod_reaches_the_api_server_by_its_service(control_plane, bare_node, pods):
    # No kube-proxy: the API server listens on the cluster IP itself.  Any answer on TLS will do.
    probe = "echo | nc -w 5 $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT && echo reached; sleep 1000"
    pods.run(manifest("client", probe, node=bare_node.name))
    wait_for(lambda: "reached" in control_plane.kubectl("logs", "client"), "the answer")


def test_a_refusal_has_its_status_and_its_reason(control_plane):
    with pytest.raises(ApiError, match=r"404: .*nothing") as caught:
        control_plane.api("GET", "/api/v1/namespaces/default/pods/nothing")
    assert caught.value.status == 404
    with pytest.raises(RuntimeError, match=r"kubectl get pod nothing: .*not found"):
        control_plane.kubectl("get", "pod", "nothing")


def test_what_is_not_there_is_found_to_be_nothing(control_plane):
    assert control_plane.api.find("/api/v1/namespaces/default/pods/nothing") is None
    assert control_plane.heartbeat("no-such-node") == ""
