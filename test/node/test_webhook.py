"""The webhook with a real API server: its manifests are taken, new pods are annotated, and no pod ever waits for it.

The API server calls the service as it does everywhere; the way from the cluster IP to the processes, which kube-proxy
makes in a cluster, is `ServicePath`.
"""

import base64
import contextlib
import json
import signal
import ssl
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import yaml

from cri_resmgr.policies.declarations import ANNOTATION
from equipment.cert_manager import definitions
from equipment.control_plane import ControlPlane
from equipment.processes import wait_for
from equipment.service_path import ServicePath
from node.webhooks import EXAMPLES, MANIFESTS, NAMESPACE, PODS, Cluster, container, documents, more, said
from unit.webhook import pairs
from unit.webhook.pairs import Files
from unit.webhook.processes import WebhookProcess, flags_for

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

PORTS = (28443, 28444)


class Volume:
    """A Secret's volume as a kubelet keeps it: new content is another directory, put into place by one link."""

    def __init__(self, root: Path) -> None:
        """Empty."""
        self._root, self._turn = root, 0
        root.mkdir()

    @property
    def files(self) -> Files:
        """As the Deployment mounts them."""
        return Files(self._root / "svc.crt", self._root / "svc.key")

    def update(self, made: Path) -> None:
        """Take over what `hacks/make-webhook-certificate` has made."""
        self._turn += 1
        data = self._root / f"..data_{self._turn}"
        data.mkdir()
        for file in self.files.cert, self.files.key:
            (data / file.name).write_bytes((made / file.name).read_bytes())
            with contextlib.suppress(FileExistsError):
                file.symlink_to(f"..data/{file.name}")
        aside = self._root / "..data_tmp"
        aside.symlink_to(data.name)
        aside.rename(self._root / "..data")


@dataclass
class Installed:
    """Two processes where a cluster has two pods."""

    cluster: Cluster
    volume: Volume
    root: Path
    replicas: dict[int, WebhookProcess] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    """Of the service's end points."""

    def renew(self) -> None:
        """Another certificate, up to the files that are served."""
        self.cluster.renew()
        self.volume.update(self.cluster.certificates)

    def start(self, port: int) -> None:
        """One replica."""
        place = Path(tempfile.mkdtemp(dir=self.root))  # a log of its own, in which nobody listens yet
        self.replicas[port] = WebhookProcess(place, *flags_for(self.volume.files, port), "-logger-debug=webhook")
        self.replicas[port].wait_log("webhook.listening")
        self.removed.discard(port)

    def kill(self, port: int) -> None:
        """One replica, as a crash would."""
        self.replicas.pop(port).__exit__()

    def end_points(self) -> list[tuple[str, int]]:
        """Those of the service."""
        return [("127.0.0.1", port) for port in PORTS if port not in self.removed]

    def log(self) -> str:
        """Of all replicas."""
        return "".join(replica.log() for replica in self.replicas.values())


@pytest.fixture(scope="module")
def installed(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Installed as a user would, with two replicas behind the service."""
    root = tmp_path_factory.mktemp("webhook")
    with Cluster(control_plane, root / "certificates") as cluster, contextlib.ExitStack() as undo:
        webhook = Installed(cluster, Volume(root / "volume"), root)
        webhook.volume.update(cluster.certificates)
        undo.callback(lambda: [replica.__exit__() for replica in webhook.replicas.values()])
        for port in PORTS:
            webhook.start(port)
        undo.enter_context(ServicePath(*cluster.address(), webhook.end_points))
        wait_for(cluster.annotates, "the API server to know the configuration")
        yield webhook


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_that_is_applied_again_changes_nothing(installed, name):
    # The CA that was patched in stays, too: else every call would fail from now on, and nobody would see it.
    printed = installed.cluster.plane.kubectl("apply", "-f", str(EXAMPLES / name)).splitlines()
    assert len(printed) == len(documents(EXAMPLES / name))
    changed = [line for line in printed if not line.endswith(" unchanged")]
    # kubectl replaces the selector of a disruption budget by itself each time.
    assert [line for line in changed if not line.startswith("poddisruptionbudget.policy/")] == []
    assert installed.cluster.annotates()


def test_all_of_it_is_applied_with_one_kustomization(installed):
    made = yaml.safe_load_all(installed.cluster.plane.kubectl("kustomize", str(EXAMPLES)))
    expected = [document for name in MANIFESTS for document in documents(EXAMPLES / name)]
    assert sorted(made, key=str) == sorted(expected, key=str)


def test_what_cert_manager_is_told_is_what_it_understands(installed):
    # Its own definitions, and a dry run in which the API server takes no field that is not in them.
    plane = installed.cluster.plane
    for definition in definitions("certificates", "issuers"):
        plane.kubectl("apply", "--server-side", "-f", str(definition))
    try:
        plane.kubectl("wait", "--for=condition=Established", "crd", "--all")
        printed = plane.kubectl("apply", "--dry-run=server", "-k", str(EXAMPLES.with_name("webhook-cert-manager")))
        injected = plane.kubectl("kustomize", str(EXAMPLES.with_name("webhook-cert-manager")))
    finally:
        plane.kubectl("delete", "crd", "certificates.cert-manager.io", "issuers.cert-manager.io")
    made = [line.split()[0] for line in printed.splitlines() if "cert-manager.io" in line]
    assert sorted(made) == [
        "certificate.cert-manager.io/cri-resmgr-webhook",
        "certificate.cert-manager.io/cri-resmgr-webhook-ca",
        "issuer.cert-manager.io/cri-resmgr-webhook-ca",
        "issuer.cert-manager.io/cri-resmgr-webhook-root",
    ]
    assert "cert-manager.io/inject-ca-from: cri-resmgr/cri-resmgr-webhook" in injected


def test_the_deployment_makes_pods_that_the_restricted_standard_admits(installed):
    listed = f"{PODS.format(NAMESPACE)}?labelSelector=app.kubernetes.io/name=cri-resmgr-webhook"
    wait_for(lambda: len(installed.cluster.plane.api("GET", listed)["items"]) == 2, "two pods")
    for pod in installed.cluster.plane.api("GET", listed)["items"]:
        assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["certificate"]  # no token


def test_a_new_pod_is_annotated_with_what_the_api_server_makes_of_its_resources(installed):
    pod = installed.cluster.made({
        "initContainers": [
            container("setup", limits={"memory": "64Mi"}),
            container("proxy", limits={"cpu": "0.5"}, restartPolicy="Always"),
        ],
        "containers": [container("app", limits={"cpu": "2", "memory": "1Gi", "example.com/gpu": "1"}), container("b")],
    })  # fmt: skip
    half, gpu = {"cpu": "500m"}, {"cpu": "2", "memory": "1Gi", "example.com/gpu": "1"}
    assert said(pod) == {
        "initContainers": {
            "setup": {"requests": {"memory": "64Mi"}, "limits": {"memory": "64Mi"}},
            "proxy": {"requests": half, "limits": half},
        },
        "containers": {"app": {"requests": gpu, "limits": gpu}, "b": {}},
    }


def test_a_dry_run_shows_what_the_page_about_it_says(installed):
    words = ("run", "probe", "--image=any", "--dry-run=server", "-o")
    path = r"jsonpath={.metadata.annotations.intel\.com/resources}"
    assert installed.cluster.plane.kubectl(*words, path) == '{"initContainers":{},"containers":{"probe":{}}}'


def test_a_users_own_annotations_stay_and_a_false_one_does_not(installed):
    spec = {"containers": [container("c", limits={"cpu": "1"})]}
    pod = installed.cluster.made(spec, annotations={"mine": "stays", ANNOTATION: '{"containers":{"c":{}}}'})
    assert pod["metadata"]["annotations"]["mine"] == "stays"
    assert said(pod)["containers"]["c"]["limits"] == {"cpu": "1"}


def test_what_limit_ranges_add_is_annotated_too(installed):
    path = "/api/v1/namespaces/default/limitranges"
    limits = [{"type": "Container", "default": {"cpu": "300m"}, "defaultRequest": {"cpu": "200m"}}]
    installed.cluster.plane.api("POST", path, {"metadata": {"name": "usual"}, "spec": {"limits": limits}})
    try:
        expected = {"requests": {"cpu": "200m"}, "limits": {"cpu": "300m"}}

        def is_added() -> bool:
            return said(installed.cluster.made({"containers": [container("c")]}))["containers"]["c"] == expected

        wait_for(is_added, "the limit range to be known")
    finally:
        installed.cluster.plane.api("DELETE", f"{path}/usual")


def test_a_change_of_a_pod_does_not_ask_the_webhook(installed):
    spec = {"containers": [container("c", limits={"cpu": "1"})]}
    pod = installed.cluster.plane.api("POST", PODS.format("default"), {"metadata": {"name": "changed"}, "spec": spec})
    path, asked = f"{PODS.format('default')}/changed", installed.log().count("review.answered")
    try:
        patch = {"metadata": {"annotations": {ANNOTATION: "by hand"}}}
        changed = installed.cluster.plane.api.merge(path, patch)
        resize = {
            "spec": {"containers": [{"name": "c", "resources": {"limits": {"cpu": "2"}, "requests": {"cpu": "2"}}}]}
        }
        content = "application/strategic-merge-patch+json"
        installed.cluster.plane.api("PATCH", f"{path}/resize", resize, content=content)
    finally:
        installed.cluster.plane.api("DELETE", f"{path}?gracePeriodSeconds=0")
    assert said(pod) is not None
    assert changed["metadata"]["annotations"][ANNOTATION] == "by hand"
    assert installed.log().count("review.answered") == asked


@pytest.mark.parametrize("namespace", ["kube-system", NAMESPACE])
def test_namespaces_that_must_always_work_are_never_asked_about(installed, namespace):
    asked = installed.log().count("review.answered")
    restricted = {
        "securityContext": {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            container("c", securityContext={"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}})
        ],
    }
    account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
    wait_for(lambda: installed.cluster.plane.api.find(account), "the default account")
    assert said(installed.cluster.made(restricted, namespace=namespace)) is None
    assert installed.log().count("review.answered") == asked


def inject_sidecar(review: Any) -> Any:
    """What a service mesh does to a new pod, unless it is there already."""
    asked = review["request"]
    has_it = any(container["name"] == "mesh" for container in asked["object"]["spec"]["containers"])
    mesh = container("mesh", limits={"cpu": "100m"})
    patch = [] if has_it else [{"op": "add", "path": "/spec/containers/-", "value": mesh}]
    encoded = base64.b64encode(json.dumps(patch).encode()).decode()
    response = {"uid": asked["uid"], "allowed": True, "patchType": "JSONPatch", "patch": encoded}
    return {**review, "request": None, "response": response}


class Mesh(BaseHTTPRequestHandler):
    """Another webhook of the cluster."""

    def do_POST(self) -> None:
        """Answer a review."""
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps(inject_sidecar(review)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextlib.contextmanager
def mesh_installed(plane: ControlPlane, root: Path) -> Iterator[None]:
    """A webhook that is asked after ours, as its name comes later."""
    files = pairs.make(root)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    configuration, *_ = documents(EXAMPLES / "mutating-webhook-config.yaml")
    configuration["metadata"]["name"] = "zz-mesh"
    path = f"/apis/{configuration['apiVersion']}/mutatingwebhookconfigurations"
    with ThreadingHTTPServer(("127.0.0.1", 0), Mesh) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        bundle = base64.b64encode(files.cert.read_bytes()).decode()
        url = f"https://127.0.0.1:{server.server_port}/"
        configuration["webhooks"][0] |= {"name": "mesh.example.com", "clientConfig": {"url": url, "caBundle": bundle}}
        threading.Thread(target=server.serve_forever, daemon=True).start()
        plane.api("POST", path, configuration)
        try:
            yield
        finally:
            plane.api("DELETE", f"{path}/zz-mesh")
            server.shutdown()


def test_a_container_that_a_later_webhook_adds_is_annotated_too(installed, tmp_path):
    with mesh_installed(installed.cluster.plane, tmp_path):
        pod = {"containers": [container("c", limits={"cpu": "1"})]}
        wait_for(lambda: len(installed.cluster.made(pod)["spec"]["containers"]) == 2, "the mesh")
        limited = said(installed.cluster.made(pod))["containers"]
    assert {name: amounts["limits"] for name, amounts in limited.items()} == {
        "c": {"cpu": "1"},
        "mesh": {"cpu": "100m"},
    }


def test_a_certificate_that_is_renewed_under_load_costs_no_pod_its_annotation(installed):
    with installed.cluster.crowd() as made:
        more(made)
        for _ in range(2):
            installed.renew()
            new = installed.volume.files.cert.read_text()
            for _ in PORTS:  # in turn
                wait_for(lambda: installed.cluster.certificate_shown() == new, "the new certificate")  # noqa: B023
            more(made)
    assert all(made), installed.cluster.complaints()


def test_a_replica_that_is_replaced_under_load_costs_no_pod_its_annotation(installed):
    with installed.cluster.crowd() as made:
        for port in PORTS:
            more(made)
            replica = installed.replicas[port]
            replica.process.send_signal(signal.SIGTERM)
            replica.wait_log("webhook.leaving")
            more(made)  # whoever passes connections on hears a little later that this one goes
            installed.removed.add(port)
            assert replica.process.wait(60) == 0
            more(made)
            installed.start(port)
    assert all(made), installed.cluster.complaints()


def test_without_the_webhook_pods_are_made_and_with_it_they_are_annotated_again(installed):
    with installed.cluster.crowd() as made:
        more(made)
        for port in PORTS:
            installed.kill(port)
        without = len(made)
        wait_for(lambda: False in made[without:], "pods that nobody annotates")
        for port in PORTS:
            installed.start(port)
        wait_for(installed.cluster.annotates, "pods to be annotated again")


def test_a_webhook_that_hangs_holds_up_no_pod_for_longer_than_its_timeout(installed):
    hanging = [replica.process for replica in installed.replicas.values()]
    for process in hanging:
        process.send_signal(signal.SIGSTOP)
    try:
        assert not installed.cluster.annotates()
    finally:
        for process in hanging:
            process.send_signal(signal.SIGCONT)
    wait_for(installed.cluster.annotates, "pods to be annotated again")


def test_nothing_of_any_pod_was_logged(installed):
    installed.cluster.made({"containers": [container("c", env=[{"name": "TOKEN", "value": "hush-hush"}])]})
    log = installed.log()
    assert "review.answered" in log
    assert "hush-hush" not in log
    assert "TOKEN" not in log
