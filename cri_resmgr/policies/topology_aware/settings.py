"""What the section of the policy says, as plain values; the words and their documentation are in `options`."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    """One section, valid; `Settings(**mapping)` takes what `options.Section` dumps."""

    pin_cpu: bool = True
    pin_memory: bool = True
    prefer_isolated_cpus: bool = True
    prefer_shared_cpus: bool = False
    reserved_pool_namespaces: tuple[str, ...] = ("kube-system",)
    """Shell patterns; kube-system is always meant."""
    colocate_pods: bool = False
    colocate_namespaces: bool = False
