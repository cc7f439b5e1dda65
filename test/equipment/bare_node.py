"""A node of plain processes: a kubelet on a private runtime, in a control group root of its own.

It starts in two seconds and its kubelet can be pointed at any CRI socket.  It has no systemd; where that matters,
`sandbox` is the node to take.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from equipment import cgroups, sysctls
from equipment.cgroups import ContainerCgroup
from equipment.control_plane import READY_DEADLINE_S, ControlPlane
from equipment.credentials import node_user
from equipment.kubelet import kubelet_configuration
from equipment.mounts import remove_tree
from equipment.processes import Processes
from equipment.runtimes import Runtime
from equipment.tools import tool


@dataclass(frozen=True)
class Kubelet:
    """Which kubelet a node has; `more` is configuration beside that of `equipment.kubelet`, or instead of it."""

    program: str = "kubelet"
    port: int = 20250
    more: Mapping[str, object] = field(default_factory=dict)


USUAL = Kubelet()


class BareNode:
    """A kubelet that has joined `control_plane`, with all it writes in `directory`."""

    def __init__(
        self, directory: Path, *, name: str, control_plane: ControlPlane, runtime: Runtime, kubelet: Kubelet = USUAL
    ) -> None:
        """Take over `directory` from an earlier run; nothing runs yet."""
        self.name = name
        self.control_plane = control_plane
        self.runtime = runtime
        self.kubelet = kubelet
        self.endpoint = runtime.socket
        """What the kubelet talks to."""
        self.processes = Processes(directory)
        self._directory = directory
        self._cgroup = f"crirm-{name}"

    def start(self) -> None:
        """Start the kubelet on the runtime itself and wait until the node is Ready."""
        remove_tree(self._directory / "kubelet")
        cgroups.remove_root(self._cgroup)
        sysctls.remember(self._directory / "sysctls.json")
        self.restart_kubelet()

    def restart_kubelet(self, endpoint: Path | None = None) -> None:
        """Let the kubelet talk to `endpoint`, by default the runtime, and wait until the new one says Ready."""
        self.processes.stop("kubelet")
        before = self.heartbeat()
        self.endpoint = endpoint or self.runtime.socket
        # The kubelet wants its root in every tree of version 1, even in `systemd`.
        cgroups.make_root(self._cgroup)
        self.processes.start("kubelet", self._command())
        self.wait_ready(after=before)

    def wait_ready(self, *, after: str = "") -> None:
        """Wait until the kubelet says Ready in a heartbeat other than `after`; a failure shows the end of its log."""
        self.processes.wait_for(
            "kubelet", lambda: self.heartbeat() not in ("", after), f"{self.name} to be Ready", READY_DEADLINE_S
        )

    def heartbeat(self) -> str:
        """When the kubelet last said that the node is Ready; empty if its last word was another."""
        return self.control_plane.heartbeat(self.name)

    def cgroup_of(self, pod: dict[str, Any], container: str = "c") -> ContainerCgroup:
        """What the kernel holds a running container of `pod`, an API object, to."""
        for status in pod["status"]["containerStatuses"]:
            if status["name"] == container:
                return cgroups.container_cgroup(status["containerID"].rpartition("/")[2])
        raise LookupError(f"no container {container} in pod {pod['metadata']['name']}")

    def stop(self) -> None:
        """End the kubelet and all pods, and leave nothing; the runtime lives on."""
        self.processes.stop_all()
        self.runtime.remove_pods()
        cgroups.remove_root(self._cgroup)
        sysctls.restore(self._directory / "sysctls.json")
        remove_tree(self._directory)

    def _command(self) -> list[str | Path]:
        credentials, root = self.control_plane.credentials, self._directory / "kubelet"
        configuration = kubelet_configuration(
            address=self.control_plane.address, port=self.kubelet.port, authority=str(credentials.authority)
        )
        # Without these it would write outside of its directory, and mix with other nodes in /kubepods.
        own = {"cgroupRoot": f"/{self._cgroup}", "podLogsDir": f"{root}/logs", "volumePluginDir": f"{root}/plugins"}
        file = self._directory / "kubelet.json"
        file.write_text(json.dumps(configuration | own | self.kubelet.more))
        kubeconfig = credentials.kubeconfig(node_user(self.name))
        return [
            tool(self.kubelet.program), f"--config={file}", f"--kubeconfig={kubeconfig}",
            f"--root-dir={root}", f"--cert-dir={root}/pki", f"--hostname-override={self.name}",
            f"--node-ip={self.control_plane.address}", f"--container-runtime-endpoint=unix://{self.endpoint}",
        ]  # fmt: skip
