"""What the section of the policy says, as plain values; the words and their documentation are in `options`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class Settings:
    """One section, valid."""

    pin_cpu: bool = True
    pin_memory: bool = True
    prefer_isolated_cpus: bool = True
    prefer_shared_cpus: bool = False
    reserved_pool_namespaces: tuple[str, ...] = ("kube-system",)
    """Shell patterns; kube-system is always meant."""
    colocate_pods: bool = False
    colocate_namespaces: bool = False


def settings(options: Mapping[str, Any]) -> Settings:
    """The settings that `options.Section` dumps as plain values; what is left out is as by default."""
    found = Settings(**options)
    return replace(found, reserved_pool_namespaces=tuple(found.reserved_pool_namespaces))
