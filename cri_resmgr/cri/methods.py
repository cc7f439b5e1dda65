"""What we touch of CRI: the methods by their full paths, `/package.Service/Method`.

Eight calls are intercepted, one answer is corrected, two lists are tapped, a handful we call ourselves.  Every other
method of the protocol, known or not, is passed on; `types_of` lets a message dump decode those that are known.
"""

from collections.abc import Mapping
from types import MappingProxyType

from google.protobuf.message import Message

from cri_resmgr.cri import api_pb2

RUNTIME = "/runtime.v1.RuntimeService/"
IMAGE_SERVICE = "runtime.v1.ImageService"
IMAGES = f"/{IMAGE_SERVICE}/"

RUN_POD_SANDBOX = RUNTIME + "RunPodSandbox"
STOP_POD_SANDBOX = RUNTIME + "StopPodSandbox"
REMOVE_POD_SANDBOX = RUNTIME + "RemovePodSandbox"
CREATE_CONTAINER = RUNTIME + "CreateContainer"
START_CONTAINER = RUNTIME + "StartContainer"
STOP_CONTAINER = RUNTIME + "StopContainer"
REMOVE_CONTAINER = RUNTIME + "RemoveContainer"
UPDATE_CONTAINER_RESOURCES = RUNTIME + "UpdateContainerResources"

INTERCEPTED = frozenset(
    {
        RUN_POD_SANDBOX,
        STOP_POD_SANDBOX,
        REMOVE_POD_SANDBOX,
        CREATE_CONTAINER,
        START_CONTAINER,
        STOP_CONTAINER,
        REMOVE_CONTAINER,
        UPDATE_CONTAINER_RESOURCES,
    }
)

LIST_POD_SANDBOX = RUNTIME + "ListPodSandbox"
LIST_CONTAINERS = RUNTIME + "ListContainers"

# The same as a stream of parts, since cri-api 0.36; their messages put together read as one reply of the list.
STREAM_POD_SANDBOXES = RUNTIME + "StreamPodSandboxes"
STREAM_CONTAINERS = RUNTIME + "StreamContainers"

TAPPED = frozenset({LIST_POD_SANDBOX, LIST_CONTAINERS, STREAM_POD_SANDBOXES, STREAM_CONTAINERS})

ENDLESS = frozenset({RUNTIME + "GetContainerEvents"})

# The answer that is corrected.
CONTAINER_STATUS = RUNTIME + "ContainerStatus"

# Only called by us; CONTAINER_STATUS, LIST_*, UPDATE_CONTAINER_RESOURCES are as well.
VERSION = RUNTIME + "Version"
POD_SANDBOX_STATUS = RUNTIME + "PodSandboxStatus"
LIST_IMAGES = IMAGES + "ListImages"

Types = tuple[type[Message], type[Message]]


def _known() -> Mapping[str, Types]:
    """Request and reply of every method in the schema; built once, so that invented names cost no memory."""
    return MappingProxyType(
        {
            f"/{service.full_name}/{method.name}": (
                getattr(api_pb2, method.input_type.name),
                getattr(api_pb2, method.output_type.name),
            )
            for service in api_pb2.DESCRIPTOR.services_by_name.values()
            for method in service.methods
        }
    )


_TYPES = _known()
PATHS = frozenset(_TYPES)


def types_of(path: str) -> Types | None:
    """The request and reply classes of a method; None for one that the schema does not know."""
    return _TYPES.get(path)
