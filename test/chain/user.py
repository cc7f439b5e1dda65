"""What a user of one Shoot does and sees, through kubectl alone."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from chain.access import Access
from equipment.gardenlet import CONFIRMATION, OPERATION, TYPE, annotations, conditions
from equipment.kubectl import KubectlError
from equipment.processes import wait_for

CONDITION = "SystemComponentsHealthy"
_APP = "app.kubernetes.io/name"
DAEMON_SETS = ("cri-resmgr-installation", "cri-resmgr-agent")
TOPOLOGY_AWARE = """\
policy:
  Active: topology-aware
  ReservedResources: {CPU: 750m}
"""
NONE = "policy: {Active: none}\n"
DISABLED = {"extensions": [{"type": TYPE, "disabled": True}]}
"""What a Shoot's spec says not to have it."""


@dataclass(frozen=True)
class User:
    """Of a landscape's one Shoot."""

    landscape: Access
    image: str
    """Of pods; it has a shell."""

    @property
    def _where(self) -> tuple[str, ...]:
        return ("shoot", self.landscape.shoot_name, "-n", self.landscape.project_namespace)

    def get(self) -> dict[str, Any]:
        """The Shoot."""
        found: dict[str, Any] = json.loads(self.landscape.garden("get", *self._where, "-ojson"))
        return found

    def create(self) -> None:
        """Make one that does not ask for the extension."""
        self.landscape.garden("create", "-f", "-", stdin=json.dumps(self.landscape.template()))

    def delete(self) -> None:
        """Confirm and delete it, and wait until it is gone."""
        self._annotate(f"{CONFIRMATION}=true")
        self.landscape.garden("delete", *self._where, "--wait=false")
        self.wait(lambda: not self.landscape.garden("get", *self._where, "--ignore-not-found"), "the Shoot to go")

    def change(self, spec: dict[str, Any]) -> str:
        """Change its spec; what kubectl says to that."""
        return self.landscape.garden("patch", *self._where, "--type=merge", "-p", json.dumps({"spec": spec}))

    def patch(self, spec: dict[str, Any]) -> None:
        """Change its spec, and wait until Gardener is done with that."""
        self.change(spec)
        self.wait_reconciled()

    def ask(self) -> None:
        """For a reconciliation, as Gardener itself does in each maintenance window."""
        self._annotate(f"{OPERATION}=reconcile")

    def reconcile(self) -> None:
        """Ask for it, and wait until it is done."""
        self.ask()
        self.wait(lambda: not self._is_asked(), "somebody to take up the operation")
        self.wait_reconciled()

    def is_reconciled(self) -> bool:
        """Is the newest generation what there is?"""
        shoot = self.get()
        status = shoot.get("status") or {}
        operation = status.get("lastOperation") or {}
        seen = status.get("observedGeneration") == shoot["metadata"]["generation"]
        return seen and operation.get("state") == "Succeeded"

    def wait_reconciled(self) -> None:
        """Until it is."""
        self.wait(self.is_reconciled, "the Shoot to be reconciled")

    def enable(self, provider_config: dict[str, Any] | None = None) -> None:
        """Have the extension, and wait until its parts in the shoot are well."""
        self.patch(extension(provider_config))
        self.wait(self.is_healthy, f"{CONDITION} to be True")
        self.wait(lambda: all(self.rolled_out(name) for name in DAEMON_SETS), "both DaemonSets to be ready")

    def disable(self) -> None:
        """As the README says, and wait until it is gone."""
        self.patch(DISABLED)
        self.wait(lambda: not self.daemon_sets(), "the shoot to be free of it")

    def condition(self) -> dict[str, Any]:
        """`SystemComponentsHealthy` of the Shoot, empty if there is none."""
        return conditions(self.get()).get(CONDITION, {})

    def last_error(self) -> dict[str, Any]:
        """Why Gardener could not make the Shoot what its spec says; empty if it could."""
        errors = (self.get().get("status") or {}).get("lastErrors") or [{}]
        found: dict[str, Any] = errors[0]
        return found

    def is_healthy(self) -> bool:
        """Does it say so?"""
        return self.condition().get("status") == "True"

    def daemon_sets(self) -> dict[str, Any]:
        """Ours in the shoot, by name."""
        items = json.loads(self.landscape.shoot("get", "daemonsets", "-n", "kube-system", "-ojson"))["items"]
        return {one["metadata"]["name"]: one for one in items if one["metadata"]["name"].startswith("cri-resmgr")}

    def rolled_out(self, name: str) -> bool:
        """Are all pods of this DaemonSet of the newest form and ready?"""
        found = self.daemon_sets().get(name)
        if found is None:
            return False
        status = found["status"]
        return (
            status.get("observedGeneration") == found["metadata"]["generation"]
            and status.get("desiredNumberScheduled", 0)
            == status.get("numberReady", 0)
            == status.get("updatedNumberScheduled", 0)
            > 0
        )

    def configs(self) -> dict[str, str]:
        """ConfigMaps with configurations in the shoot: what follows `cri-resmgr-config.`, and their texts."""
        items = json.loads(self.landscape.shoot("get", "configmaps", "-n", "kube-system", "-ojson"))["items"]
        named = {one["metadata"]["name"]: one.get("data", {}) for one in items}
        prefix = "cri-resmgr-config."
        return {name.removeprefix(prefix): str(data) for name, data in named.items() if name.startswith(prefix)}

    def pods(self, app: str) -> list[dict[str, Any]]:
        """Of one of our DaemonSets."""
        words = ("get", "pods", "-n", "kube-system", "-l", f"{_APP}={app}", "-ojson")
        found = json.loads(self.landscape.shoot(*words))
        items: list[dict[str, Any]] = found["items"]
        return items

    def log(self, app: str, container: str) -> str:
        """Of one container of all pods of one of our DaemonSets."""
        return self.landscape.shoot("logs", "-n", "kube-system", "-l", f"{_APP}={app}", "-c", container, "--tail=-1")

    def node_status(self) -> str:
        """What the installer says of the node of the first installation pod; it fails if something is wrong there."""
        name = self.pods("cri-resmgr-installation")[0]["metadata"]["name"]
        inside = ("exec", "-n", "kube-system", name, "-c", "installation", "--")
        return self.landscape.shoot(*inside, "cri-resmgr-installer", "status", "--host-root=/host")

    def wait_installed(self) -> None:
        """Until that node is as it should be."""
        self.wait(lambda: self.node_status().startswith("installed "), "the node to be well", deadline_s=30)

    def run_pod(self, name: str, **resources: Any) -> None:
        """One of one container that does nothing, and wait until it is ready."""
        self.create_pod(name, **resources)
        self.wait_pod(name)

    def create_pod(self, name: str, **resources: Any) -> None:
        """As `run_pod`, without waiting."""
        container = {
            "name": "c", "image": self.image, "imagePullPolicy": "IfNotPresent", "resources": resources,
            "command": ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.5 & wait $!; done"],
        }  # fmt: skip
        spec = {"terminationGracePeriodSeconds": 1, "dnsPolicy": "Default", "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
        self.landscape.shoot("apply", "-f", "-", stdin=json.dumps(pod))

    def wait_pod(self, name: str, *, deadline_s: float = 90) -> None:
        """Until it is ready."""
        wait_for(lambda: self._ready(name), f"pod {name} to be ready", deadline_s)

    def pod(self, name: str) -> dict[str, Any]:
        """As it is now."""
        found: dict[str, Any] = json.loads(self.landscape.shoot("get", "pod", name, "-ojson"))
        return found

    def container(self, name: str) -> tuple[str, int]:
        """The container of a pod and how often it was restarted: what must not change when we do."""
        (status,) = self.pod(name)["status"]["containerStatuses"]
        return status["containerID"], status["restartCount"]

    def cpus(self, name: str) -> str:
        """What the kernel allows a pod's first process."""
        return self.landscape.shoot("exec", name, "--", "grep", "Cpus_allowed_list", "/proc/1/status").split()[-1]

    def delete_pod(self, name: str) -> None:
        """And wait until it is gone."""
        self.landscape.shoot("delete", "pod", name, "--ignore-not-found", "--timeout=50s")

    def wait(self, condition: Callable[[], object], what: str, *, deadline_s: float | None = None) -> float:
        """Until it holds; answers that do not come count as no.  How long it took."""

        def holds() -> object:
            try:
                return condition()
            except KubectlError:
                return False

        begun_s = time.monotonic()
        wait_for(holds, what, deadline_s or self.landscape.settle_s)
        return time.monotonic() - begun_s

    def _ready(self, name: str) -> bool:
        try:
            return conditions(self.pod(name)).get("Ready", {}).get("status") == "True"
        except KubectlError:
            return False

    def _annotate(self, note: str) -> None:
        self.landscape.garden("annotate", *self._where, note, "--overwrite")

    def _is_asked(self) -> bool:
        return OPERATION in annotations(self.get())


def extension(provider_config: dict[str, Any] | None = None) -> dict[str, Any]:
    """What a Shoot's spec says to have it."""
    more = {} if provider_config is None else {"providerConfig": provider_config}
    return {"extensions": [{"type": TYPE, **more}]}
