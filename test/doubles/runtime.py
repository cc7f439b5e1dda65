"""A container runtime in memory: CRI as far as we touch it, with containerd's answers to what is done twice.

FakeRuntime           the model: full method path and request bytes in, reply bytes out
MemoryClient          in place of `wire.client.Client`, without a socket
served(runtime, path) the model behind a real unix socket, on grpcio
"""

import contextlib
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import grpc

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.cri.messages import parsed
from cri_resmgr.values.resources import Resources
from cri_resmgr.wire.client import CallError
from cri_resmgr.wire.grpc import NOT_FOUND, UNIMPLEMENTED, UNKNOWN

WORKERS = 64


class StatusError(Exception):
    """A status other than OK."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


@dataclass
class FakeContainer:
    """One container as the runtime has it; `has` are its resources, the sum of all that it was told."""

    id: str
    pod_id: str
    config: api.ContainerConfig
    has: api.LinuxContainerResources
    state: int = api.CONTAINER_CREATED

    @property
    def key(self) -> str:
        """As `values.workloads.Container.key`."""
        return f"{self.pod_id}/{self.config.metadata.name}/{self.config.metadata.attempt}"


@dataclass
class FakeRuntime:
    """Answers requests.  `refused` methods fail with that status, `delays_s` make a served one slow."""

    name: str = "containerd"
    version: str = "v1.6.20"
    pods: dict[str, api.PodSandboxConfig] = field(default_factory=dict)
    containers: dict[str, FakeContainer] = field(default_factory=dict)
    refused: dict[str, StatusError] = field(default_factory=dict)
    delays_s: dict[str, float] = field(default_factory=dict)
    begun: Counter[str] = field(default_factory=Counter)
    """Calls that have reached a served one."""
    calls: Counter[str] = field(default_factory=Counter)
    """Calls that have been looked into."""

    def __post_init__(self) -> None:
        """Ids are never used twice."""
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def answer(self, path: str, request: bytes) -> bytes:
        """The reply; raises StatusError."""
        types = methods.types_of(path)
        answer = getattr(self, f"_{path.rpartition('/')[2]}", None)
        if types is None or answer is None:
            raise StatusError(UNIMPLEMENTED, f"unknown method {path}")
        with self._lock:
            self.calls[path] += 1
            if path in self.refused:
                raise self.refused[path]
            reply: bytes = answer(parsed(types[0], request)).SerializeToString()
        return reply

    def key_of(self, name: str) -> FakeContainer:
        """The container of that name in its last attempt."""
        found = [c for c in self.containers.values() if c.config.metadata.name == name]
        return max(found, key=lambda c: c.config.metadata.attempt)

    def _Version(self, _asked: api.VersionRequest) -> api.VersionResponse:  # noqa: N802 - the protocol's names
        return api.VersionResponse(runtime_name=self.name, runtime_version=self.version, runtime_api_version="v1")

    def _ListPodSandbox(self, _asked: api.ListPodSandboxRequest) -> api.ListPodSandboxResponse:  # noqa: N802
        items = [api.PodSandbox(id=id_, metadata=config.metadata) for id_, config in self.pods.items()]
        return api.ListPodSandboxResponse(items=items)

    def _PodSandboxStatus(self, asked: api.PodSandboxStatusRequest) -> api.PodSandboxStatusResponse:  # noqa: N802
        config = self._pod(asked.pod_sandbox_id)
        info = {"config": {"linux": {"cgroup_parent": config.linux.cgroup_parent}}}
        status = api.PodSandboxStatus(id=asked.pod_sandbox_id, metadata=config.metadata, labels=config.labels)
        return api.PodSandboxStatusResponse(status=status, info={"info": json.dumps(info)})

    def _ListContainers(self, asked: api.ListContainersRequest) -> api.ListContainersResponse:  # noqa: N802
        wanted = asked.filter.id
        listed = [c for c in self.containers.values() if not wanted or c.id == wanted]
        return api.ListContainersResponse(containers=[_listed(c) for c in listed])

    def _ContainerStatus(self, asked: api.ContainerStatusRequest) -> api.ContainerStatusResponse:  # noqa: N802
        container = self._container(asked.container_id)
        has = container.has
        cpu = {"shares": has.cpu_shares, "quota": has.cpu_quota, "period": has.cpu_period, "cpus": has.cpuset_cpus}
        memory = {"limit": has.memory_limit_in_bytes}
        spec = {"linux": {"resources": {"cpu": cpu | {"mems": has.cpuset_mems}, "memory": memory}}}
        status = api.ContainerStatus(id=container.id, state=container.state)
        return api.ContainerStatusResponse(status=status, info={"info": json.dumps({"runtimeSpec": spec})})

    def _RunPodSandbox(self, asked: api.RunPodSandboxRequest) -> api.RunPodSandboxResponse:  # noqa: N802
        id_ = f"pod{next(self._numbers)}"
        self.pods[id_] = asked.config
        return api.RunPodSandboxResponse(pod_sandbox_id=id_)

    def _StopPodSandbox(self, asked: api.StopPodSandboxRequest) -> api.StopPodSandboxResponse:  # noqa: N802
        for container in self._in_pod(asked.pod_sandbox_id):
            container.state = api.CONTAINER_EXITED
        return api.StopPodSandboxResponse()

    def _RemovePodSandbox(self, asked: api.RemovePodSandboxRequest) -> api.RemovePodSandboxResponse:  # noqa: N802
        for container in self._in_pod(asked.pod_sandbox_id):
            del self.containers[container.id]
        self.pods.pop(asked.pod_sandbox_id, None)
        return api.RemovePodSandboxResponse()

    def _CreateContainer(self, asked: api.CreateContainerRequest) -> api.CreateContainerResponse:  # noqa: N802
        self._pod(asked.pod_sandbox_id)
        has = api.LinuxContainerResources()
        has.CopyFrom(asked.config.linux.resources)
        container = FakeContainer(f"ctr{next(self._numbers)}", asked.pod_sandbox_id, asked.config, has)
        if namesake := next((c.id for c in self.containers.values() if c.key == container.key), None):
            raise StatusError(UNKNOWN, f"failed to reserve container name: is reserved for {namesake}")
        self.containers[container.id] = container
        return api.CreateContainerResponse(container_id=container.id)

    def _StartContainer(self, asked: api.StartContainerRequest) -> api.StartContainerResponse:  # noqa: N802
        container = self._container(asked.container_id)
        if container.state != api.CONTAINER_CREATED:
            raise StatusError(UNKNOWN, "container is not in created state")
        container.state = api.CONTAINER_RUNNING
        return api.StartContainerResponse()

    def _StopContainer(self, asked: api.StopContainerRequest) -> api.StopContainerResponse:  # noqa: N802
        if container := self.containers.get(asked.container_id):
            container.state = api.CONTAINER_EXITED
        return api.StopContainerResponse()

    def _RemoveContainer(self, asked: api.RemoveContainerRequest) -> api.RemoveContainerResponse:  # noqa: N802
        self.containers.pop(asked.container_id, None)
        return api.RemoveContainerResponse()

    def _UpdateContainerResources(  # noqa: N802
        self, asked: api.UpdateContainerResourcesRequest
    ) -> api.UpdateContainerResourcesResponse:
        container = self._container(asked.container_id)
        for name, value in asked.linux.ListFields():
            if name.name != "unified":
                setattr(container.has, name.name, value)
        return api.UpdateContainerResourcesResponse()

    def _pod(self, pod_id: str) -> api.PodSandboxConfig:
        if pod_id not in self.pods:
            raise StatusError(NOT_FOUND, f"pod {pod_id}: not found")
        return self.pods[pod_id]

    def _container(self, container_id: str) -> FakeContainer:
        if container_id not in self.containers:
            raise StatusError(NOT_FOUND, f"container {container_id}: not found")
        return self.containers[container_id]

    def _in_pod(self, pod_id: str) -> list[FakeContainer]:
        return [c for c in self.containers.values() if c.pod_id == pod_id]


def _listed(container: FakeContainer) -> api.Container:
    return api.Container(
        id=container.id,
        pod_sandbox_id=container.pod_id,
        metadata=container.config.metadata,
        state=container.state,
        labels=container.config.labels,
    )


class MemoryClient:
    """Calls a `FakeRuntime` directly; each call gives way to whatever else is ready, as one over a socket does."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self.runtime = runtime

    async def call(self, method: str, message: bytes, *, deadline_s: float) -> bytes:
        """As `wire.client.Client.call`."""
        assert deadline_s > 0
        try:
            return self.runtime.answer(method, message)
        except StatusError as error:
            raise CallError(method, error.code, str(error)) from error

    def close(self) -> None:
        """There is nothing to close."""


class _Generic(grpc.GenericRpcHandler):
    """Every method of every service, as bytes."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self._runtime = runtime

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        path = details.method

        def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
            self._runtime.begun[path] += 1
            time.sleep(self._runtime.delays_s.get(path, 0))
            try:
                return self._runtime.answer(path, request)
            except StatusError as error:
                code = next(code for code in grpc.StatusCode if code.value[0] == error.code)
                return context.abort(code, str(error))

        return grpc.unary_unary_rpc_method_handler(answer)


@contextlib.contextmanager
def served(runtime: FakeRuntime, path: Path) -> Iterator[grpc.Server]:
    """Serve the runtime on a unix socket while the context is open."""
    with ThreadPoolExecutor(WORKERS) as pool:
        server = grpc.server(pool, handlers=[_Generic(runtime)])
        server.add_insecure_port(f"unix:{path}")
        server.start()
        try:
            yield server
        finally:
            server.stop(grace=None).wait()


def resources(**fields: int | str) -> api.LinuxContainerResources:
    """Resources in CRI's own words."""
    return api.LinuxContainerResources(**fields)


def asked_by(container: FakeContainer) -> Resources:
    """What a container has, in our words."""
    has = container.has
    return Resources(
        cpu_period_us=has.cpu_period,
        cpu_quota_us=has.cpu_quota,
        cpu_shares=has.cpu_shares,
        memory_limit_bytes=has.memory_limit_in_bytes,
        cpuset_cpus=has.cpuset_cpus,
        cpuset_mems=has.cpuset_mems,
    )
