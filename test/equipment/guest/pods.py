"""Pods in a guest, and where the kernel lets their processes run."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from equipment.guest.calls import Calls
from equipment.guest.guest import Guest
from equipment.guest.workloads import Container, Pod, container_config, resources, sandbox_config


@dataclass(frozen=True)
class Place:
    """Where a container may run: Linux lists of CPUs and memory nodes."""

    cpus: str
    mems: str


class Pods:
    """All pods that were run through one socket; containers are known by their names."""

    def __init__(self, guest: Guest, calls: Calls) -> None:
        """There are none yet."""
        self._guest, self._calls = guest, calls
        self._pods: dict[str, tuple[Pod, str]] = {}
        self._ids: dict[str, str] = {}
        self._processes: dict[str, int] = {}

    def run(self, pod: Pod) -> None:
        """Start all containers of a pod, as a kubelet does."""
        call, sandbox = self._calls, sandbox_config(pod, self._guest.init.cgroup_driver)
        pod_id = call("RunPodSandbox", config=sandbox).pod_sandbox_id
        self._pods[pod.name] = pod, pod_id
        for container in pod.containers:
            config = container_config(pod, container)
            reply = call("CreateContainer", pod_sandbox_id=pod_id, config=config, sandbox_config=sandbox)
            call("StartContainer", container_id=reply.container_id)
            status = call("ContainerStatus", container_id=reply.container_id, verbose=True)
            self._ids[container.name] = reply.container_id
            self._processes[container.name] = json.loads(status.info["info"])["pid"]

    def resize(self, container: Container, qos: str) -> None:
        """Ask for other resources in place."""
        self._calls("UpdateContainerResources", container_id=self._ids[container.name], linux=resources(container, qos))

    def remove(self, name: str) -> None:
        """Stop a pod and remove it."""
        pod, pod_id = self._pods.pop(name)
        self._calls("StopPodSandbox", pod_sandbox_id=pod_id)
        self._calls("RemovePodSandbox", pod_sandbox_id=pod_id)
        for container in pod.containers:
            self._ids.pop(container.name, None)
            self._processes.pop(container.name, None)

    def remove_all(self) -> None:
        """Remove every pod."""
        for name in list(self._pods):
            self.remove(name)

    def allowed(self) -> dict[str, Place]:
        """Where the process of each container may run, as the scheduler has it."""
        return dict(zip(self._processes, map(_allowed, self._of_processes("status")), strict=True))

    def effective(self) -> dict[str, Place]:
        """The same as the container's cgroup has it."""
        directories = [f"/sys/fs/cgroup{each.strip().removeprefix('0::')}" for each in self._of_processes("cgroup")]
        lists = self._texts(f"{where}/cpuset.{what}.effective" for where in directories for what in ("cpus", "mems"))
        return dict(zip(self._processes, map(Place, lists[::2], lists[1::2]), strict=True))

    def _of_processes(self, file: str) -> list[str]:
        return self._texts(f"/proc/{pid}/{file}" for pid in self._processes.values())

    def _texts(self, paths: Iterable[str]) -> list[str]:
        return [(content or b"").decode().strip() for content in self._guest.read(*paths)]


def _allowed(status: str) -> Place:
    """From /proc/PID/status."""
    lines = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return Place(lines["Cpus_allowed_list"], lines["Mems_allowed_list"])
