"""A CRI client for tests, on grpcio: another HTTP/2 and gRPC than ours, so the two cannot agree on a mistake."""

from pathlib import Path
from typing import Any

import grpc

from cri_resmgr.cri import api_pb2

IMAGE_METHODS = ("ListImages", "ImageStatus", "PullImage", "RemoveImage", "ImageFsInfo")
HOST_NETWORK = api_pb2.NODE


class CriClient:
    """Calls over one channel; use it as a context manager."""

    def __init__(self, socket: Path) -> None:
        """Connect to `socket` at the first call."""
        # Of its own: grpcio shares connections between channels to one address unless told otherwise.
        self.channel = grpc.insecure_channel(f"unix://{socket}", options=[("grpc.use_local_subchannel_pool", 1)])

    def __enter__(self) -> "CriClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def __call__(self, method: str, *, deadline_s: float = 30, **fields: Any) -> Any:
        """The reply of `method` to a request with these fields; raises grpc.RpcError when it fails."""
        return self.start(method, deadline_s=deadline_s, **fields).result()

    def start(self, method: str, *, deadline_s: float = 30, **fields: Any) -> Any:
        """As a call, but at once: a future of the reply."""
        service = "ImageService" if method in IMAGE_METHODS else "RuntimeService"
        call = self.channel.unary_unary(
            f"/runtime.v1.{service}/{method}",
            request_serializer=getattr(api_pb2, f"{method}Request").SerializeToString,
            response_deserializer=getattr(api_pb2, f"{method}Response").FromString,
        )
        return call.future(getattr(api_pb2, f"{method}Request")(**fields), timeout=deadline_s)


def pod_config(name: str) -> api_pb2.PodSandboxConfig:
    """A pod on the host's network, which needs no CNI."""
    metadata = api_pb2.PodSandboxMetadata(name=name, namespace="default", uid=f"uid-{name}")
    options = api_pb2.NamespaceOption(network=HOST_NETWORK)
    context = api_pb2.LinuxSandboxSecurityContext(namespace_options=options)
    return api_pb2.PodSandboxConfig(
        metadata=metadata, linux=api_pb2.LinuxPodSandboxConfig(security_context=context, cgroup_parent="/test-pods")
    )


def run_pod(cri: CriClient, name: str, *, image: str, command: tuple[str, ...]) -> tuple[str, str]:
    """Start a pod of one container; the ids of both."""
    pod = pod_config(name)
    pod_id = cri("RunPodSandbox", config=pod).pod_sandbox_id
    spec = api_pb2.ImageSpec(image=image, user_specified_image=image)  # CRI-O refuses a container without the second
    container = api_pb2.ContainerConfig(metadata=api_pb2.ContainerMetadata(name="c"), image=spec, command=command)
    reply = cri("CreateContainer", pod_sandbox_id=pod_id, config=container, sandbox_config=pod)
    cri("StartContainer", container_id=reply.container_id)
    return pod_id, reply.container_id
