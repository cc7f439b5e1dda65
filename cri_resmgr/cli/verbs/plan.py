"""`cri-resmgr plan --config NEW.yaml`: which containers of this node would move from where to where with it?

Reads the store of the daemon, running or not, and changes nothing: it asks the new policy what the daemon would ask it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cri_resmgr.cli import goflags, making, printing
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.inspecting import planning, stored
from cri_resmgr.cli.inspecting.stored import Stored
from cri_resmgr.config import check
from cri_resmgr.config.problems import Invalid
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.host import cgroups, topology
from cri_resmgr.policies.contract import Policy

PROGRAM = "cri-resmgr plan"
USAGE = f"{PROGRAM} --config NEW.yaml [--relay-dir DIR] [--host-root DIR] [--output text|json]"


@dataclass(frozen=True, slots=True)
class PlanFlags:
    """What `plan` takes."""

    config: str = goflags.text(
        "the configuration to plan for, - for standard input; "
        "the exit code is 0 if no container would change, 1 if some would, 2 if the input is wrong"
    )
    relay_dir: str = goflags.text("directory of the daemon's state", default=Flags().relay_dir)
    host_root: str = goflags.text("directory under which the host's /sys is found; '' for /")
    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")


def run(arguments: Sequence[str]) -> int:
    """Plan; the exit code. Raises BadInput."""
    flags, words = goflags.parse(PlanFlags, arguments, {}, program=PROGRAM)
    if words or not flags.config or flags.output not in {"text", "json"}:
        raise BadInput(f"plan takes a configuration; write {USAGE}")
    settings = check.settings(check.read(flags.config), flags.config)
    found = _stored(Path(flags.relay_dir))
    said = planning.planned(found, _made(settings, found, Path(flags.host_root or "/")), settings)
    printing.lines([json.dumps(said, indent=1)] if flags.output == "json" else planning.told(said))
    return 1 if said["changes"] else 0


def _stored(directory: Path) -> Stored:
    """What runs; raises BadInput in any case, since 1 stands for something else."""
    try:
        return stored.read(directory)
    except Degraded as error:
        raise BadInput(str(error)) from error


def _made(settings: Settings, found: Stored, root: Path) -> Policy:
    """The policy, on the machine that the daemon has seen, or on this one if it had no need to look."""
    mount = root / cgroups.MOUNT.relative_to("/")
    try:
        machine = found.machine or topology.discover(root)
        return making.policy(settings.policy, machine, cgroup_cpus=partial(cgroups.constraint_cpus, mount=mount))
    except Invalid:
        raise
    except BadInput as error:
        raise BadInput(f"{settings.source}: policy: {error}") from error
