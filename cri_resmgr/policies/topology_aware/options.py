"""Section `policy.topology-aware`, and `policy.memtier`, its old name, as users write it.

Imported by the checking process, the agent and the extension, never by the daemon, which gets `settings.Settings`.
The text below each field is its documentation.
"""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from cri_resmgr.policies.topology_aware.settings import Settings
from cri_resmgr.values import globs

LIMIT_PATTERNS = 256  # each is compiled where the policy is made, in the daemon's loop

_DEFAULTS = Settings()


def _pattern(text: str) -> str:
    try:
        globs.compiled(text)
    except ValueError as error:
        raise PydanticCustomError("refused", "{reason}", {"reason": str(error)}) from error
    return text


class Section(BaseModel):
    """How containers get CPUs and memory nodes that are close to each other."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    pin_cpu: bool = Field(default=_DEFAULTS.pin_cpu, alias="PinCPU")
    """Containers are held to the CPUs that they were given; false gives them, and leaves the containers alone."""

    pin_memory: bool = Field(default=_DEFAULTS.pin_memory, alias="PinMemory")
    """Containers are held to the memory nodes that they were given; false leaves their memory alone."""

    prefer_isolated_cpus: bool = Field(default=_DEFAULTS.prefer_isolated_cpus, alias="PreferIsolatedCPUs")
    """A Guaranteed container with one whole CPU gets a kernel-isolated one, if there is one. The annotation
    `prefer-isolated-cpus.cri-resource-manager.intel.com` says otherwise for a pod or a container."""

    prefer_shared_cpus: bool = Field(default=_DEFAULTS.prefer_shared_cpus, alias="PreferSharedCPUs")
    """A Guaranteed container with more than one CPU and less than two shares all of them, instead of having one for
    itself. The annotation `prefer-shared-cpus.cri-resource-manager.intel.com` decides for any number of CPUs."""

    reserved_pool_namespaces: list[Annotated[str, AfterValidator(_pattern)]] = Field(
        default=list(_DEFAULTS.reserved_pool_namespaces), alias="ReservedPoolNamespaces", max_length=LIMIT_PATTERNS
    )
    """Namespaces whose containers run on the reserved CPUs, as shell patterns; `kube-system` is always one of them."""

    colocate_pods: bool = Field(default=_DEFAULTS.colocate_pods, alias="ColocatePods")
    """Containers of a pod are drawn to each other, unless they have affinities of their own."""

    colocate_namespaces: bool = Field(default=_DEFAULTS.colocate_namespaces, alias="ColocateNamespaces")
    """Containers of a namespace are drawn to each other, unless they have affinities of their own."""

    dirty_bit_scan_period: Any = Field(default=None, alias="DirtyBitScanPeriod", exclude=True)
    """No effect; the predecessor's documents have it, its code has not."""
    page_move_period: Any = Field(default=None, alias="PageMovePeriod", exclude=True)
    """No effect; the predecessor's documents have it, its code has not."""
    page_move_count: Any = Field(default=None, alias="PageMoveCount", exclude=True)
    """No effect; the predecessor's documents have it, its code has not."""

    def without_effect(self) -> list[str]:
        """The keys that are said and do nothing."""
        fields = Section.model_fields.items()
        return [str(field.alias) for name, field in fields if field.exclude and name in self.model_fields_set]
