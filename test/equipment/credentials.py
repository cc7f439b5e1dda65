"""Who may do what in a test cluster: a CA, three leaf certificates, a key for service accounts, tokens, kubeconfigs.

Certificates are only where Kubernetes knows nothing else (servers, and the API server towards the kubelet).  Everybody
else has a token in a file that the API server reads.  The tokens are no secrets: the cluster lives for one test run.
"""

import base64
import json
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

VALID_DAYS = "30"
SERVER_NAMES = ("kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost")


@dataclass(frozen=True)
class User:
    """One row of the token file."""

    name: str
    group: str = ""

    @property
    def token(self) -> str:
        """What the user presents to the API server."""
        return f"token-{self.short_name}"

    @property
    def short_name(self) -> str:
        """The last part of a name like `system:node:node-a`."""
        return self.name.rpartition(":")[2]

    @property
    def row(self) -> str:
        """As in `--token-auth-file`: token, name, uid, groups."""
        return f'{self.token},{self.name},uid-{self.short_name},"{self.group}"'


ADMIN = User("admin", "system:masters")
CONTROLLER_MANAGER = User("system:kube-controller-manager")
SCHEDULER = User("system:kube-scheduler")


def node_user(node: str) -> User:
    """The kubelet of `node`."""
    return User(f"system:node:{node}", "system:nodes")


@dataclass(frozen=True)
class Credentials:
    """The files of one cluster, all in `directory`."""

    directory: Path
    address: IPv4Address
    """The API server's."""

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{self.address}:443"

    @property
    def authority(self) -> Path:
        """The certificate that everybody trusts."""
        return self.directory / "ca.crt"

    @property
    def tokens(self) -> Path:
        """The token file."""
        return self.directory / "tokens.csv"

    def kubeconfig(self, user: User) -> Path:
        """What makes a client act as `user`."""
        return self.directory / f"{user.short_name}.kubeconfig"

    def make(self, nodes: tuple[str, ...]) -> None:
        """Write all files, for the control plane and for these nodes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        self._make_authority()
        names = [*(f"DNS:{name}" for name in SERVER_NAMES), f"IP:{self.address}", "IP:127.0.0.1"]
        self._issue("apiserver", "/CN=kube-apiserver", "serverAuth", names)
        self._issue("apiserver-kubelet-client", "/O=system:masters/CN=apiserver-kubelet-client", "clientAuth")
        self._openssl("ec", "-in", self._new_key("sa"), "-pubout", "-out", "sa.pub")
        users = [ADMIN, CONTROLLER_MANAGER, SCHEDULER, *map(node_user, nodes)]
        self.tokens.write_text("".join(f"{user.row}\n" for user in users))
        for user in users:
            self._write_kubeconfig(user)

    def _make_authority(self) -> None:
        self._openssl(
            *("req", "-x509", "-new", "-key", self._new_key("ca"), "-subj", "/CN=test-cluster", "-days", VALID_DAYS),
            *("-out", "ca.crt", "-addext", "keyUsage=critical,keyCertSign,cRLSign,digitalSignature"),
        )

    def _issue(self, name: str, subject: str, usage: str, alternative_names: list[str] | None = None) -> None:
        extensions = f"extendedKeyUsage={usage}\n"
        if alternative_names:
            extensions += f"subjectAltName={','.join(alternative_names)}\n"
        (self.directory / f"{name}.ext").write_text(extensions)
        self._openssl("req", "-new", "-key", self._new_key(name), "-subj", subject, "-out", f"{name}.csr")
        self._openssl(
            *("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", VALID_DAYS, "-extfile", f"{name}.ext", "-out", f"{name}.crt"),
        )

    def _new_key(self, name: str) -> str:
        key = f"{name}.key"
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        return key

    def _write_kubeconfig(self, user: User) -> None:
        cluster = {
            "server": self.server,
            "certificate-authority-data": base64.b64encode(self.authority.read_bytes()).decode(),
        }
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user.short_name, "user": {"token": user.token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user.short_name}}],
        }
        self.kubeconfig(user).write_text(json.dumps(kubeconfig))  # JSON is YAML

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.directory, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"openssl {arguments[0]} in {self.directory}: {done.stderr.strip()}")
