"""What a call is about, in the words that start its lines in a dump: `web-0` for a pod, `web-0:app` for a container."""

from collections.abc import Callable

from cri_resmgr.cri import api_pb2, messages, methods
from cri_resmgr.relay.hooks import Call
from cri_resmgr.values.workloads import Container, Pod

PodById = Callable[[str], Pod | None]
ContainerById = Callable[[str], Container | None]

_OF_PODS = frozenset({methods.STOP_POD_SANDBOX, methods.REMOVE_POD_SANDBOX})
_OF_CONTAINERS = frozenset(
    {
        methods.START_CONTAINER,
        methods.STOP_CONTAINER,
        methods.REMOVE_CONTAINER,
        methods.UPDATE_CONTAINER_RESOURCES,
    }
)


def qualifier(call: Call, *, pod: PodById, container: ContainerById) -> str:
    """The name for an intercepted call, from its request or by looking the id up; "" for any other call."""
    try:
        if call.method == methods.RUN_POD_SANDBOX:
            return messages.pod_of_run(call.request, b"").name
        if call.method == methods.CREATE_CONTAINER:
            return _of_create(call.request)
        if call.method in _OF_PODS:
            return _of_pod(messages.id_of(call.method, call.request), pod)
        if call.method in _OF_CONTAINERS:
            return _of_container(messages.id_of(call.method, call.request), pod=pod, container=container)
    except messages.Undecodable:
        return "undecodable request"
    return ""


def _of_create(request: bytes) -> str:
    asked = messages.parsed(api_pb2.CreateContainerRequest, request)
    if not asked.sandbox_config.HasField("metadata"):
        return "missing pod metadata in request"
    if not asked.config.HasField("metadata"):
        return "missing metadata in request"
    return f"{asked.sandbox_config.metadata.name}:{asked.config.metadata.name}"


def _of_pod(pod_id: str, pod: PodById) -> str:
    found = pod(pod_id)
    return found.name if found else f"unknown pod {pod_id}"


def _of_container(container_id: str, *, pod: PodById, container: ContainerById) -> str:
    found = container(container_id)
    if found is None:
        return f"unknown container {container_id}"
    return f"{_of_pod(found.pod_id, pod)}:{found.name}"
