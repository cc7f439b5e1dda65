"""Where containers may be, as sets: read once from a container, and again only when it has changed."""

from collections.abc import Mapping
from dataclasses import dataclass

from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container


@dataclass(frozen=True, slots=True)
class Seat:
    """A container and the sets of CPUs and memory nodes that it may use; `own` are CPUs that are its alone."""

    container: Container
    cpus: int
    own: int
    mems: int


def seats(alive: Mapping[str, Container], machine: Machine, *, known: Mapping[str, Seat]) -> dict[str, Seat]:
    """The seats of all, by name; those that are `known` and have not changed are the same values."""
    return {
        name: seat if (seat := known.get(name)) and seat.container is container else _seat(container, machine)
        for name, container in alive.items()
    }


def effective_cpus(container: Container, machine: Machine) -> str:
    """The CPUs that the container may run on: its own set, else all that are online."""
    return container.given.cpuset_cpus or container.asked.cpuset_cpus or cpusets.text(machine.online)


def effective_mems(container: Container, machine: Machine) -> str:
    """The memory nodes that it may use: its own set, else all."""
    everything = cpusets.of(node.id for node in machine.nodes)
    return container.given.cpuset_mems or container.asked.cpuset_mems or cpusets.text(everything)


def _seat(container: Container, machine: Machine) -> Seat:
    holding = container.holding
    return Seat(
        container,
        cpus=cpusets.parse(effective_cpus(container, machine)),
        own=cpusets.parse(holding.exclusive) | cpusets.parse(holding.isolated),
        mems=cpusets.parse(effective_mems(container, machine)),
    )
