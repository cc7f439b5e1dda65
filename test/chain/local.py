"""The chain of this machine as operator and user have it: kubectl in garden and shoot, and the registration."""

import json
from dataclasses import dataclass
from typing import Any

from chain.access import shoot_without_extension
from chain.installations import NAMESPACE
from chain.landscape import REPOSITORY, Landscape
from equipment.built_images import IN_SHOOT, TAG
from equipment.processes import wait_for

REGISTRATION = "examples/ctrldeploy-ctrlreg.yaml"
DEADLINE_S = 60


@dataclass
class Local:
    """The chain of this machine."""

    chain: Landscape
    shoot_name: str = "local"
    project_namespace: str = "garden-local"
    settle_s: float = 120.0

    def garden(self, *words: str, stdin: str | None = None) -> str:
        return self.chain.garden.kubectl(*words, stdin=stdin)

    def shoot(self, *words: str, stdin: str | None = None) -> str:
        return self.chain.cluster.kubectl(*words, stdin=stdin)

    def template(self) -> dict[str, Any]:
        return shoot_without_extension()

    def register(self) -> None:
        """As the operator does: the manifest as it is, with values for images that are here."""
        self.garden("apply", "-f", str(REPOSITORY / REGISTRATION))
        self.values()

    def upgrade(self, *, installation_tag: str = TAG) -> None:
        """Have new values, and wait until the extension runs with them."""
        deployment = ("get", "deployments", "-n", NAMESPACE, "-o=jsonpath={.items[*].metadata.generation}")
        before = self.shoot(*deployment)
        self.values(installation_tag=installation_tag)
        wait_for(lambda: self.shoot(*deployment) != before, "the extension's Deployment to change", DEADLINE_S)
        self.shoot("rollout", "status", "deployment", "-n", NAMESPACE, "--timeout=50s")

    def values(self, *, installation_tag: str = TAG, **more: Any) -> str:
        """Change the values of the ControllerDeployment; what kubectl says to that."""
        tags = {"installation": installation_tag}
        images = [
            {
                "name": f"gardener-extension-cri-resmgr-{name}",
                "repository": self.chain.images.name(name),
                "tag": tags.get(name, TAG),
            }
            for name in IN_SHOOT
        ]
        values = {
            "image": {"repository": self.chain.images.name("extension"), "tag": TAG},
            "imageVectorOverwrite": json.dumps({"images": images}),
            "serviceAccount": {"automountToken": True},  # nobody injects tokens here,
            "vpa": {"enabled": False},  # and nobody resizes pods
            **more,
        }
        change = json.dumps({"helm": {"values": values}})
        return self.garden("patch", "controllerdeployment", "cri-resmgr-extension", "--type=merge", "-p", change)
