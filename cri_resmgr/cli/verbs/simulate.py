"""`cri-resmgr simulate SCENARIO.yaml`: what would a policy do, step by step, on this machine or on another?

Needs no root, no cluster and no runtime, and touches nothing.
"""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr.cli import goflags, making, printing
from cri_resmgr.cli.simulating import faces, listing, machine_files, scenario_files, telling
from cri_resmgr.cli.simulating.running import Simulation
from cri_resmgr.config import check
from cri_resmgr.config.problems import Invalid
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput
from cri_resmgr.host import cgroups, topology
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values.machines import Machine

PROGRAM = "cri-resmgr simulate"
USAGE = f"{PROGRAM} [-machine MACHINE.yaml] [-config CONFIG.yaml] [-output text|json] SCENARIO.yaml"
"""`-` reads standard input, in one place."""


@dataclass(frozen=True, slots=True)
class SimulateFlags:
    """What `simulate` takes before the scenario."""

    machine: str = goflags.text("file that describes the machine; '' for this one")
    config: str = goflags.text("configuration of the daemon; '' for the built-in one")
    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")


def run(arguments: Sequence[str]) -> int:
    """Simulate; the exit code. Raises BadInput, before the first step is taken."""
    flags, files = goflags.parse(SimulateFlags, arguments, {}, program=PROGRAM)
    if len(files) != 1 or flags.output not in {"text", "json"}:
        raise BadInput(f"simulate takes one scenario; write {USAGE}")
    machine, make = _machine(flags.machine)
    simulation = Simulation(machine, _made(make, flags.config))
    steps = scenario_files.read(files[0], make)
    if flags.output == "json":
        return printing.lines(listing.lines(map(simulation.take, steps), machine))
    shown = faces.of(sys.stdout, os.environ)
    return printing.lines(map(shown.finished, telling.lines(simulation, steps, machine, faces=shown)))


def _machine(path: str) -> tuple[Machine, Callable[[Settings], Policy]]:
    """The machine in the file, or this one, and what makes policies for it."""
    if path:
        machine, root = machine_files.read(path)
    else:
        root = Path("/")
        machine = topology.discover(root)

    def cgroup_cpus(directory: str) -> int:
        if root is None:
            raise BadInput(f"cgroup:{directory} is on a node, and {path} describes none; write the set, as cpuset:0-3")
        return cgroups.constraint_cpus(directory, mount=root / "sys/fs/cgroup")

    return machine, lambda settings: making.policy(settings.policy, machine, cgroup_cpus=cgroup_cpus)


def _made(make: Callable[[Settings], Policy], path: str) -> Policy:
    try:
        return make(check.settings(check.read(path), path) if path else Settings())
    except Invalid:
        raise
    except BadInput as error:
        raise BadInput(f"{path or 'built-in configuration'}: policy: {error}") from error
