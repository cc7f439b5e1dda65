"""Questions to a runtime that change nothing: lists, things that nobody has, and calls that it must refuse.

A relay is seen through by what a runtime says about calls that are wrong in one place.  If that place does not reach
the runtime as it was sent, the runtime does not complain, or complains about something else.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from cri_resmgr.cri import methods
from cri_resmgr.wire.hpack import Field

NOBODY = "cri-resmgr-doctor-asks-for-nobody"
"""No id of a runtime: those are hexadecimal."""
METHODS, FUTURE, FIELDS, METADATA, DEADLINES = "methods", "future methods", "unknown fields", "metadata", "deadlines"
AREAS = (METHODS, FUTURE, FIELDS, METADATA, DEADLINES)

_PLAIN = ("Version", "Status", "RuntimeConfig", "ListPodSandbox", "ListContainers", "ListMetricDescriptors")
_MOVING = ("ListContainerStats", "ListPodSandboxStats", "ListPodSandboxMetrics")
# Of these a runtime says that there is no such thing; StopContainer of nobody is done at once.
_OF_NOBODY = (
    "PodSandboxStatus", "ContainerStatus", "ContainerStats", "PodSandboxStats", "ReopenContainerLog", "ExecSync",
    "Exec", "Attach", "PortForward", "CheckpointContainer", "StartContainer", "StopContainer",
    "UpdateContainerResources",
)  # fmt: skip
_CUT_SHORT = b"\xc2\x3e\x7fcut short"
"""Field 1000, which no CRI has, said to be longer than it is."""


@dataclass(frozen=True, slots=True)
class Question:
    """A unary call.  `moving` answers differ from one moment to the next; `telling` ones only if they are refused."""

    area: str
    name: str
    method: str
    message: bytes = b""
    fields: tuple[Field, ...] = ()
    moving: bool = False
    telling: bool = False


def all_of_them() -> Iterator[Question]:
    """Every question, those about methods first."""
    for name in _PLAIN:
        yield Question(METHODS, name, methods.RUNTIME + name)
    for name in _MOVING:
        yield Question(METHODS, name, methods.RUNTIME + name, moving=True)
    for name in _OF_NOBODY:
        yield Question(METHODS, f"{name} of nobody", methods.RUNTIME + name, _of_nobody(methods.RUNTIME + name))
    yield Question(METHODS, "ListImages", methods.LIST_IMAGES)
    yield Question(METHODS, "ImageFsInfo", methods.IMAGES + "ImageFsInfo", moving=True)
    yield Question(FUTURE, "a method that nobody has", methods.RUNTIME + "CriResmgrDoctor")
    yield Question(FUTURE, "a service that nobody has", "/runtime.v99.RuntimeService/Version")
    for method in (methods.VERSION, methods.START_CONTAINER):
        name = f"an unknown field that is cut short, to {method.rpartition('/')[2]}"
        yield Question(FIELDS, name, method, _CUT_SHORT, telling=True)
    yield from _headers()


def _headers() -> Iterator[Question]:
    """Header fields that a server must refuse, of a call that is intercepted and of one that is not."""
    for method in (methods.VERSION, methods.START_CONTAINER):
        message, name = _of_nobody(method), method.rpartition("/")[2]
        binary, coding, timeout = (
            (b"cri-resmgr-doctor-bin", b"!"),
            (b"grpc-encoding", b"cri-resmgr-doctor"),
            (b"grpc-timeout", b"for ever"),
        )
        yield Question(METADATA, f"binary metadata that is none, to {name}", method, message, (binary,), telling=True)
        yield Question(METADATA, f"an encoding that nobody has, to {name}", method, message, (coding,), telling=True)
        yield Question(DEADLINES, f"a deadline that is none, to {name}", method, message, (timeout,), telling=True)


def _of_nobody(method: str) -> bytes:
    """A request about `NOBODY`, in whichever field the method has for an id."""
    types = methods.types_of(method)
    assert types is not None, "the schema has every method that is named here"  # noqa: S101
    request = types[0]()
    for name in ("container_id", "pod_sandbox_id"):
        if name in request.DESCRIPTOR.fields_by_name:
            setattr(request, name, NOBODY)
    return request.SerializeToString()
