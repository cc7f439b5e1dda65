"""A real Kubernetes control plane of plain processes: etcd, API server, controller manager, scheduler.

There is no kube-proxy and no address translation.  The API server listens on the cluster IP of the service
`kubernetes` itself (the first address of the service range, port 443, put on `lo` with a /32), so in-cluster clients
work from the host, from host-network pods and from pod-network pods alike.  Other services have no data path.
"""

import base64
import json
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import yaml

from equipment import machine
from equipment.credentials import ADMIN, CONTROLLER_MANAGER, SCHEDULER, Credentials
from equipment.kubectl import kubectl
from equipment.mounts import remove_tree
from equipment.processes import Processes, wait_for
from equipment.tools import tool

SERVICES = IPv4Network("10.197.0.0/24")
ETCD_PORT = 12379
REQUEST_DEADLINE_S = 30
START_DEADLINE_S = 90
READY_DEADLINE_S = 90


@dataclass
class ApiError(Exception):
    """The API server refused a request."""

    status: int
    body: str

    def __str__(self) -> str:
        """As kubectl would show it."""
        return f"{self.status}: {self.body}"


class Api:
    """A client of an API server."""

    def __init__(self, server: str, context: ssl.SSLContext, *, token: str = "") -> None:
        """Of `https://HOST:PORT`; who has no token has a certificate in `context`."""
        self._server = server
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
        )

    @classmethod
    def of(cls, credentials: Credentials) -> "Api":
        """With the rights of the administrator; the files of `credentials` exist."""
        context = ssl.create_default_context(cafile=str(credentials.authority))
        return cls(credentials.server, context, token=ADMIN.token)

    @classmethod
    def of_kubeconfig(cls, path: Path) -> "Api":
        """As the one user of a kubeconfig that holds all that it needs."""
        found = yaml.safe_load(path.read_text())
        cluster, user = found["clusters"][0]["cluster"], found["users"][0]["user"]
        context = ssl.create_default_context(cadata=_decoded(cluster["certificate-authority-data"]))
        if "client-key-data" in user:
            with tempfile.NamedTemporaryFile("w") as pair:  # only root may read it; the library takes nothing but files
                pair.write(_decoded(user["client-certificate-data"]) + "\n" + _decoded(user["client-key-data"]))
                pair.flush()
                context.load_cert_chain(pair.name)
        return cls(cluster["server"], context, token=user.get("token", ""))

    def __call__(self, method: str, path: str, body: object = None, *, content: str = "application/json") -> Any:
        """The answer, parsed when it is JSON; raises ApiError when refused, OSError when nobody answers."""
        request = urllib.request.Request(  # noqa: S310 - the URL is https, always
            self._server + path,
            data=None if body is None else json.dumps(body).encode(),
            headers={**self._headers, "Content-Type": content},
            method=method,
        )
        try:
            with self._opener.open(request, timeout=REQUEST_DEADLINE_S) as response:
                text, kind = response.read().decode(), response.headers.get_content_type()
        except urllib.error.HTTPError as error:
            with error:
                raise ApiError(error.code, error.read().decode(errors="replace")) from None
        return json.loads(text) if kind == "application/json" else text

    def merge(self, path: str, change: object) -> Any:
        """The object with some fields changed."""
        return self("PATCH", path, change, content="application/merge-patch+json")

    def discard(self, path: str) -> None:
        """Delete what may be gone already."""
        try:
            self("DELETE", path)
        except ApiError as error:
            if error.status != 404:
                raise

    def find(self, path: str) -> Any:
        """What is at `path`, or None when there is nothing, or nobody to ask."""
        try:
            return self("GET", path)
        except (ApiError, OSError):
            return None


class ControlPlane:
    """etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with all they write in one directory."""

    def __init__(self, directory: Path, *, nodes: tuple[str, ...]) -> None:
        """Take over `directory` from an earlier run; `nodes` may join."""
        self.directory = directory
        self.processes = Processes(directory)
        self.address = IPv4Address(SERVICES.network_address + 1)
        self.credentials = Credentials(directory / "pki", self.address)
        self._nodes = nodes

    def start(self) -> None:
        """Return when pods can be made: the API server is ready and there is a default service account."""
        machine.ensure_apt("etcd-server", "iproute2", "openssl")
        remove_tree(self.directory / "etcd")
        subprocess.run(["ip", "address", "replace", f"{self.address}/32", "dev", "lo"], check=True)
        # All of Kubernetes is built, if need be, before the first deadline runs.
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl"):
            tool(name)
        with ThreadPoolExecutor() as pool:
            made = pool.submit(self.credentials.make, self._nodes)
            self._start_etcd()
            made.result()
        self.api = Api.of(self.credentials)
        self._start_api_server()
        self._start_controllers()
        account = "/api/v1/namespaces/default/serviceaccounts/default"
        self.processes.wait_for(
            "kube-controller-manager", lambda: self.api.find(account), "the default account", START_DEADLINE_S
        )

    def stop(self) -> None:
        """End everything and leave nothing."""
        self.processes.stop_all()
        subprocess.run(["ip", "address", "delete", f"{self.address}/32", "dev", "lo"], capture_output=True, check=False)
        remove_tree(self.directory)

    def kill_api_server(self) -> None:
        """End it as a crash would."""
        self.processes.kill("kube-apiserver")

    def start_api_server(self) -> None:
        """Start it, and return when it is ready."""
        self._start_api_server()

    def kubectl(self, *arguments: str, stdin: str | None = None, deadline_s: float = 60) -> str:
        """What kubectl prints; raises KubectlError when it fails."""
        return kubectl(self.credentials.kubeconfig(ADMIN), *arguments, stdin=stdin, deadline_s=deadline_s)

    def heartbeat(self, node: str) -> str:
        """When the kubelet of `node` last said that it is Ready; empty if its last word was another."""
        found = self.api.find(f"/api/v1/nodes/{node}") or {"status": {}}
        for condition in found["status"].get("conditions", []):
            if condition["type"] == "Ready" and condition["status"] == "True":
                return str(condition["lastHeartbeatTime"])
        return ""

    def wait_ready(self, node: str, *, after: str = "") -> None:
        """Wait until `node` says Ready in a heartbeat other than `after`."""
        wait_for(lambda: self.heartbeat(node) not in ("", after), f"{node} to be Ready", READY_DEADLINE_S)

    def forget_node(self, node: str) -> None:
        """Remove `node`, which has gone, and its pods: nobody is left to confirm their end."""
        pods = self.api("GET", f"/api/v1/pods?fieldSelector=spec.nodeName={node}")["items"]
        paths = [f"/api/v1/namespaces/{p['metadata']['namespace']}/pods/{p['metadata']['name']}" for p in pods]
        for path in (*(f"{path}?gracePeriodSeconds=0" for path in paths), f"/api/v1/nodes/{node}"):
            self.api.discard(path)

    def kubectl_command(self, *arguments: str) -> list[str]:
        """The command line, for what keeps running: attach, port-forward."""
        return [str(tool("kubectl")), f"--kubeconfig={self.credentials.kubeconfig(ADMIN)}", *arguments]

    def _start_etcd(self) -> None:
        client, peer = (f"http://127.0.0.1:{ETCD_PORT + offset}" for offset in (0, 1))
        self.processes.start("etcd", [
            "etcd", f"--data-dir={self.directory}/etcd", "--logger=zap", "--log-level=warn",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ])  # fmt: skip
        self.processes.wait_for("etcd", lambda: answers(f"{client}/health"), "etcd", START_DEADLINE_S)

    def _start_api_server(self) -> None:
        pki = self.credentials.directory
        self.processes.start("kube-apiserver", [
            tool("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{ETCD_PORT}",
            f"--bind-address={self.address}", "--secure-port=443", f"--advertise-address={self.address}",
            f"--service-cluster-ip-range={SERVICES}",
            "--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction",
            f"--token-auth-file={self.credentials.tokens}", f"--client-ca-file={self.credentials.authority}",
            f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
            f"--kubelet-client-certificate={pki}/apiserver-kubelet-client.crt",
            f"--kubelet-client-key={pki}/apiserver-kubelet-client.key",
            "--kubelet-preferred-address-types=InternalIP",  # node names resolve nowhere
            "--allow-privileged=true", "--profiling=false",
        ])  # fmt: skip
        self.processes.wait_for(
            "kube-apiserver", lambda: self.api.find("/readyz") == "ok", "the API server", START_DEADLINE_S
        )

    def _start_controllers(self) -> None:
        pki, alone = self.credentials.directory, ["--leader-elect=false", "--secure-port=0", "--profiling=false"]
        self.processes.start("kube-controller-manager", [
            tool("kube-controller-manager"), f"--kubeconfig={self.credentials.kubeconfig(CONTROLLER_MANAGER)}",
            f"--service-account-private-key-file={pki}/sa.key", f"--root-ca-file={self.credentials.authority}",
            "--use-service-account-credentials=true", *alone,
        ])  # fmt: skip
        self.processes.start(
            "kube-scheduler", [tool("kube-scheduler"), f"--kubeconfig={self.credentials.kubeconfig(SCHEDULER)}", *alone]
        )


def answers(url: str) -> bool:
    """Whether an HTTP server says 200 there."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=REQUEST_DEADLINE_S) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def _decoded(text: str) -> str:
    return base64.b64decode(text).decode()
