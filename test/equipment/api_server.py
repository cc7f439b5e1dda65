"""A real API server with its etcd and nothing else, for clients that are tested while it dies, hangs and forgets.

It has an address of its own on the loopback, so the whole control plane of other tests may run beside it.  The API
server listens at the same address again after `kill`, so a client need not be told.
"""

import json
import os
import signal
import urllib.request
from ipaddress import IPv4Address
from pathlib import Path

from equipment import machine
from equipment.audit import POLICY
from equipment.control_plane import Api
from equipment.credentials import ADMIN, Credentials
from equipment.mounts import remove_tree
from equipment.processes import Processes
from equipment.tools import tool

ADDRESS = IPv4Address("127.197.0.1")
ETCD_PORT = 13379
START_DEADLINE_S = 90
SERVER = "kube-apiserver"
TOKEN_S = 24 * 3600


class ApiServer:
    """etcd and kube-apiserver, with all they write in one directory; `start` it, use `api`, `stop` it."""

    def __init__(self, directory: Path, *, address: IPv4Address = ADDRESS, audited: bool = False) -> None:
        """Take over `directory` from an earlier run; `address` is for etcd and the API server alone.

        With `audited` everybody's writes are written down, see `equipment.audit`.
        """
        self.directory = directory
        self.audit_log = directory / "audit.log" if audited else None
        self.address = address
        self.processes = Processes(directory)
        self.credentials = Credentials(directory / "pki", address)

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self.credentials.kubeconfig(ADMIN)

    def start(self) -> None:
        """Return when the API server is ready."""
        machine.ensure_apt("etcd-server", "openssl")
        remove_tree(self.directory / "etcd")
        tool(SERVER)  # built, if need be, before the first deadline runs
        self.renew_credentials()
        self._start_etcd()
        self.start_server()

    def stop(self) -> None:
        """End everything and leave nothing."""
        self.processes.stop_all()
        remove_tree(self.directory)

    def renew_credentials(self) -> None:
        """Another CA with all that it signs, for the next start of the API server; the tokens stay."""
        self.credentials.make(())
        self.api = Api.of(self.credentials)

    def start_server(self) -> None:
        """Start the API server alone and wait until it is ready."""
        self.launch_server()
        self.processes.wait_for(SERVER, lambda: self.api.find("/readyz") == "ok", "the API server", START_DEADLINE_S)

    def launch_server(self) -> None:
        """Start the API server alone, as after a crash."""
        pki = self.credentials.directory
        self.processes.start(SERVER, [
            tool(SERVER), f"--etcd-servers=http://{self.address}:{ETCD_PORT}",
            f"--bind-address={self.address}", "--secure-port=443", "--endpoint-reconciler-type=none",
            "--service-cluster-ip-range=10.199.0.0/24",
            "--authorization-mode=RBAC", "--disable-admission-plugins=ServiceAccount",
            f"--token-auth-file={self.credentials.tokens}", f"--client-ca-file={self.credentials.authority}",
            f"--tls-cert-file={pki}/apiserver.crt", f"--tls-private-key-file={pki}/apiserver.key",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--api-audiences=https://kubernetes.default.svc,gardener",  # the second one is that of Gardener's tokens
            f"--service-account-key-file={pki}/sa.pub", f"--service-account-signing-key-file={pki}/sa.key",
            "--allow-privileged=true", "--profiling=false", *self._audit(),
        ])  # fmt: skip

    def kill(self) -> None:
        """End the API server as a crash would."""
        self.processes.kill(SERVER)

    def pause(self) -> None:
        """Let it hang: connections stay, nothing answers."""
        os.kill(self.processes.pid(SERVER), signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self.processes.pid(SERVER), signal.SIGCONT)

    def account(self, namespace: str, name: str) -> Path:
        """A kubeconfig with which one acts as that service account, which exists."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token = self.api("POST", path, {"spec": {"expirationSeconds": TOKEN_S}})["status"]["token"]
        kubeconfig = json.loads(self.kubeconfig.read_text())
        kubeconfig["users"] = [{"name": ADMIN.short_name, "user": {"token": token}}]
        target = self.directory / f"{namespace}-{name}.kubeconfig"
        target.write_text(json.dumps(kubeconfig))
        return target

    def compact(self) -> None:
        """Make etcd forget all but the present."""
        revision = self._etcd("kv/range", {"key": "AA=="})["header"]["revision"]
        self._etcd("kv/compaction", {"revision": revision, "physical": True})

    def _audit(self) -> list[str]:
        if self.audit_log is None:
            return []
        policy = self.directory / "audit-policy.json"
        policy.write_text(json.dumps(POLICY))
        return [f"--audit-policy-file={policy}", f"--audit-log-path={self.audit_log}"]

    def _start_etcd(self) -> None:
        client, peer = (f"http://{self.address}:{ETCD_PORT + offset}" for offset in (0, 1))
        self.processes.start("etcd", [
            "etcd", f"--data-dir={self.directory}/etcd", "--logger=zap", "--log-level=warn",
            f"--listen-client-urls={client}", f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",
        ])  # fmt: skip
        self.processes.wait_for("etcd", self._etcd_answers, "etcd", START_DEADLINE_S)

    def _etcd_answers(self) -> bool:
        try:
            return bool(self._etcd("kv/range", {"key": "AA=="}))
        except OSError:
            return False

    def _etcd(self, method: str, body: object) -> dict[str, dict[str, str]]:
        request = urllib.request.Request(
            f"http://{self.address}:{ETCD_PORT}/v3/{method}", data=json.dumps(body).encode()
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as response:
            answer: dict[str, dict[str, str]] = json.load(response)
        return answer
