"""Our own calls to the runtime, each with a deadline: what is there, what it has, and what it should have instead."""

from cri_resmgr.cri import messages, methods, patches
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod
from cri_resmgr.wire.client import Client

ASK_DEADLINE_S = 10.0  # a busy runtime with a thousand containers lists within one
SET_DEADLINE_S = 30.0  # an update waits for the container's own lock in the runtime


class Runtime:
    """The runtime behind a socket.  Every method raises `wire.client.CallError`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def version(self, *, deadline_s: float = ASK_DEADLINE_S) -> messages.Version:
        """Its name and version."""
        return messages.version_of(await self._ask(methods.VERSION, messages.EVERYTHING, deadline_s=deadline_s))

    async def pods(self) -> tuple[Pod, ...]:
        """All sandboxes, without their cgroup parents."""
        return messages.pods_listed(await self._ask(methods.LIST_POD_SANDBOX, messages.EVERYTHING))

    async def containers(self) -> tuple[Container, ...]:
        """All containers in every state, without their resources."""
        return messages.containers_listed(await self._ask(methods.LIST_CONTAINERS, messages.EVERYTHING))

    async def pod(self, pod_id: str) -> Pod:
        """One sandbox, with its cgroup parent if the runtime tells it."""
        request = messages.pod_status_request(pod_id)
        return messages.pod_of_status(await self._ask(methods.POD_SANDBOX_STATUS, request))

    async def resources(self, container_id: str) -> Resources | None:
        """What a container has, from its OCI spec; None if the runtime does not tell."""
        request = messages.container_status_request(container_id)
        return messages.resources_of_status(await self._ask(methods.CONTAINER_STATUS, request))

    async def pid(self, container_id: str) -> int:
        """The container's first process, as this machine numbers it; 0 if it does not run or the runtime is silent."""
        request = messages.container_status_request(container_id)
        return messages.pid_of_status(await self._ask(methods.CONTAINER_STATUS, request))

    async def update(self, container_id: str, resources: Resources) -> None:
        """Set the resources of a container that are not 0 or "", and leave the others."""
        request = patches.update_request(container_id, resources)
        await self._ask(methods.UPDATE_CONTAINER_RESOURCES, request, deadline_s=SET_DEADLINE_S)

    def close(self) -> None:
        """End the connection."""
        self._client.close()

    async def _ask(self, method: str, request: bytes, *, deadline_s: float = ASK_DEADLINE_S) -> bytes:
        return await self._client.call(method, request, deadline_s=deadline_s)
