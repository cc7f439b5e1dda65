"""What a scenario file may say, as pydantic models: the words, their types, and what each must be."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from cri_resmgr.cli.simulating.documents import Bytes, Millicpu, Name, Part
from cri_resmgr.config import durations, messages
from cri_resmgr.errors import BadInput

_NOT_OURS = ("ephemeral-storage", "hugepages-")


def _known_to_kubernetes(value: Any) -> Any:
    """Resources without those that a policy has no business with; a name with a domain is some device's."""
    if not isinstance(value, dict):
        return value
    return {key: amount for key, amount in value.items() if "/" not in key and not key.startswith(_NOT_OURS)}


def _seconds(value: Any) -> float:
    try:
        found_s = durations.seconds(str(value))
    except BadInput as error:
        raise messages.refused(error) from error
    if found_s < 0:
        raise messages.refused(f"'{value}' is in the past; {durations.REMEDY}")
    return found_s


class AmountsPart(Part):
    """CPU and memory, as in a pod's spec."""

    cpu: Millicpu | None = None
    memory: Bytes | None = None


AmountsOfSpec = Annotated[AmountsPart, BeforeValidator(_known_to_kubernetes)]


class ContainerPart(Part):
    """A container."""

    name: Name
    requests: AmountsOfSpec = AmountsPart()
    limits: AmountsOfSpec = AmountsPart()


class InitContainerPart(ContainerPart):
    """A container that runs to its end before the next one, or with `Always` from then on."""

    restart_policy: Literal["Always"] | None = None


class CreatePart(Part):
    """A pod."""

    pod: Name
    namespace: Name = "default"
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    runtime_handler: str = ""
    init_containers: list[InitContainerPart] = Field(default_factory=list)
    containers: Annotated[list[ContainerPart], Field(min_length=1)]


class StartPart(Part):
    """All containers of a pod, or one."""

    pod: Name
    container: Name = ""


class ExitPart(Part):
    """One container."""

    pod: Name
    container: Name


class DeletePart(Part):
    """A pod."""

    pod: Name


class ResizePart(Part):
    """A container with its new resources; what is not said stays."""

    pod: Name
    container: Name
    requests: AmountsOfSpec = AmountsPart()
    limits: AmountsOfSpec = AmountsPart()


class RestartPart(Part):
    """Nothing to say."""


class StepPart(Part):
    """One step: exactly one of these."""

    create: CreatePart | None = None
    start: StartPart | None = None
    exit: ExitPart | None = None
    delete: DeletePart | None = None
    resize: ResizePart | None = None
    configure: dict[str, Any] | None = None
    restart: RestartPart | None = None
    wait: Annotated[float | None, BeforeValidator(_seconds)] = None


Reference = StartPart | ExitPart | DeletePart | ResizePart
"""What is about a pod that is there."""
