"""A garden of Gardener's own, whose kubeconfig is given, in place of the chain of this machine.

What only the chain can do to itself (a reboot, an API server that dies) cases ask of `Local.chain`.
"""

import base64
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain.access import shoot_without_extension
from equipment.kubectl import kubectl

ACCESS_S = 3600


@dataclass
class Real:
    """A garden of Gardener's own, with the extension registered; the shoot is reached as its administrator."""

    kubeconfig: Path
    shoot_name: str
    project_namespace: str
    settle_s: float = 1800.0
    _access: Path = field(init=False)

    def __post_init__(self) -> None:
        self._access = Path(tempfile.mkdtemp(prefix="cri-resmgr-e2e-")) / "shoot.kubeconfig"

    def garden(self, *words: str, stdin: str | None = None) -> str:
        return kubectl(self.kubeconfig, *words, stdin=stdin, program=Path("kubectl"))

    def shoot(self, *words: str, stdin: str | None = None) -> str:
        if not self._access.exists():
            self._access.write_text(self._ask_for_access())
            self._access.chmod(0o600)
        return kubectl(self._access, *words, stdin=stdin, program=Path("kubectl"))

    def template(self) -> dict[str, Any]:
        shoot = shoot_without_extension()
        shoot["metadata"] |= {"name": self.shoot_name, "namespace": self.project_namespace}
        return shoot

    def _ask_for_access(self) -> str:
        path = f"/apis/core.gardener.cloud/v1beta1/namespaces/{self.project_namespace}/shoots/{self.shoot_name}"
        request = {
            "apiVersion": "authentication.gardener.cloud/v1alpha1",
            "kind": "AdminKubeconfigRequest",
            "spec": {"expirationSeconds": ACCESS_S},
        }
        answer = json.loads(
            self.garden("create", "--raw", f"{path}/adminkubeconfig", "-f", "-", stdin=json.dumps(request))
        )
        return base64.b64decode(answer["status"]["kubeconfig"]).decode()
