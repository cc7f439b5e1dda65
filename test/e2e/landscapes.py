"""Where the cases run: against the chain of this machine, or against the garden whose kubeconfig is given.

Cases ask a landscape for kubectl in the garden and in the shoot.  What only the chain can do to itself (a reboot, an
API server that dies) they ask of `Local.chain`.
"""

import base64
import json
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from chain.installations import NAMESPACE
from chain.landscape import Landscape as Chain
from equipment.built_images import TAG
from equipment.kubectl import kubectl
from equipment.processes import wait_for

REPOSITORY = Path(__file__).parents[2]
REGISTRATION = REPOSITORY / "examples" / "ctrldeploy-ctrlreg.yaml"
EXAMPLE = REPOSITORY / "examples" / "shoot.yaml"
IMAGES = ("installation", "agent", "webhook")
DEADLINE_S = 60
ACCESS_S = 3600


class Landscape(Protocol):
    """A garden with one shoot."""

    shoot_name: str
    project_namespace: str
    settle_s: float
    """How long a change of the Shoot may take; a real gardenlet does much else meanwhile."""

    def garden(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl says in the garden; KubectlError when it fails."""
        ...

    def shoot(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl says in the shoot; KubectlError when it fails."""
        ...

    def template(self) -> dict[str, Any]:
        """A Shoot that does not ask for the extension."""
        ...


@dataclass
class Local:
    """The chain of this machine."""

    chain: Chain
    shoot_name: str = "local"
    project_namespace: str = "garden-local"
    settle_s: float = 120.0

    def garden(self, *words: str, stdin: str | None = None) -> str:
        return self.chain.garden.kubectl(*words, stdin=stdin)

    def shoot(self, *words: str, stdin: str | None = None) -> str:
        return self.chain.cluster.kubectl(*words, stdin=stdin)

    def template(self) -> dict[str, Any]:
        return _without_extension(yaml.safe_load(EXAMPLE.read_text()))

    def register(self) -> None:
        """As the operator does: the manifest as it is, with values for images that are here."""
        self.garden("apply", "-f", str(REGISTRATION))
        self.values()

    def upgrade(self, *, installation_tag: str = TAG) -> None:
        """Have new values, and wait until the extension runs with them."""
        deployment = ("get", "deployments", "-n", NAMESPACE, "-o=jsonpath={.items[*].metadata.generation}")
        before = self.shoot(*deployment)
        self.values(installation_tag=installation_tag)
        wait_for(lambda: self.shoot(*deployment) != before, "the extension's Deployment to change", DEADLINE_S)
        self.shoot("rollout", "status", "deployment", "-n", NAMESPACE, "--timeout=50s")

    def values(self, *, installation_tag: str = TAG, **more: Any) -> None:
        """Change the values of the ControllerDeployment."""
        tags = {"installation": installation_tag}
        images = [
            {
                "name": f"gardener-extension-cri-resmgr-{name}",
                "repository": self.chain.images.name(name),
                "tag": tags.get(name, TAG),
            }
            for name in IMAGES
        ]
        values = {
            "image": {"repository": self.chain.images.name("extension"), "tag": TAG},
            "imageVectorOverwrite": json.dumps({"images": images}),
            "serviceAccount": {"automountToken": True},  # nobody injects tokens here,
            "vpa": {"enabled": False},  # and nobody resizes pods
            **more,
        }
        change = json.dumps({"helm": {"values": values}})
        self.garden("patch", "controllerdeployment", "cri-resmgr-extension", "--type=merge", "-p", change)


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
        shoot = _without_extension(yaml.safe_load(EXAMPLE.read_text()))
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


def _without_extension(shoot: dict[str, Any]) -> dict[str, Any]:
    del shoot["spec"]["extensions"]
    return shoot
