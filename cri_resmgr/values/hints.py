"""Where on the machine a container's devices and volumes are."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Hint:
    """One device's locality; of the three sets, integers as in `values.cpusets`, the first that is not empty counts.

    `provider` is the device's path below /sys, for people.
    """

    provider: str
    cpus: int = 0
    nodes: int = 0
    packages: int = 0
