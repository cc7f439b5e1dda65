"""Pods of tests: made through the API, waited for, and removed at the end whatever happened."""

from collections.abc import Callable
from typing import Any

from equipment.control_plane import ControlPlane
from equipment.processes import wait_for
from equipment.stand_ins import BUSYBOX

PATH = "/api/v1/namespaces/default/pods"
RUN_DEADLINE_S = 90
GONE_DEADLINE_S = 60


def manifest(name: str, shell: str, *, node: str, container: dict[str, Any] | None = None, **spec: Any) -> Any:
    """A pod of one container `c` that runs a shell command; `container` and `spec` add fields to theirs."""
    # As first process, sh ends on TERM only if told to; pods should go at once.
    command = ["sh", "-c", f"trap 'exit 0' TERM; {shell}"]
    fixed = {"name": "c", "image": BUSYBOX, "imagePullPolicy": "Never", "command": command}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": node,
            "dnsPolicy": "Default",
            "terminationGracePeriodSeconds": 1,
            "containers": [fixed | (container or {})],
            **spec,
        },
    }


class Pods:
    """The pods of one test; a context manager that removes them."""

    def __init__(self, control_plane: ControlPlane) -> None:
        """In the namespace `default`."""
        self._api = control_plane.api
        self._names: list[str] = []

    def __enter__(self) -> "Pods":
        return self

    def __exit__(self, *_: object) -> None:
        for name in self._names:
            self.delete(name)
        for name in self._names:
            wait_for(lambda: self._api.find(f"{PATH}/{name}") is None, f"pod {name} to go", GONE_DEADLINE_S)  # noqa: B023

    def create(self, pod: Any) -> str:
        """Create a pod; its name."""
        name: str = self._api("POST", PATH, pod)["metadata"]["name"]
        self._names.append(name)
        return name

    def run(self, pod: Any) -> Any:
        """Create a pod and wait until it is Ready; the pod as it is then."""
        return self.wait(self.create(pod), is_ready, "to be Ready")

    def get(self, name: str) -> Any:
        """The pod as it is now."""
        return self._api("GET", f"{PATH}/{name}")

    def wait(self, name: str, condition: Callable[[Any], object], what: str, deadline_s: float = RUN_DEADLINE_S) -> Any:
        """Wait until `condition` holds of the pod; the pod as it is then.  A failure shows its last status."""
        try:
            wait_for(lambda: condition(self.get(name)), f"pod {name} {what}", deadline_s)
        except TimeoutError as error:
            error.add_note(str(self.get(name)["status"]))
            raise
        return self.get(name)

    def delete(self, name: str) -> None:
        """Begin to delete a pod; nothing happens when it is gone."""
        self._api.discard(f"{PATH}/{name}")


def is_ready(pod: Any) -> bool:
    """Every container runs and answers its readiness probe."""
    conditions = pod["status"].get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def container(pod: Any) -> Any:
    """The status of the one container; empty before there is one."""
    return next(iter(pod["status"].get("containerStatuses", [])), {})


def restart_count(pod: Any) -> int:
    """How often the one container was started again."""
    return int(container(pod).get("restartCount", 0))
