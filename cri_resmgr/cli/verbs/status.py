"""`cri-resmgr status`: who decides on this node, what is left, who runs where, and what is amiss.

Reads the store of the daemon, running or not, and changes nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cri_resmgr.cli import goflags, printing
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.inspecting import showing, stored, summing
from cri_resmgr.errors import BadInput
from cri_resmgr.host import cgroups

PROGRAM = "cri-resmgr status"
USAGE = f"{PROGRAM} [--relay-dir DIR] [--host-root DIR] [--output text|json]"


@dataclass(frozen=True, slots=True)
class StatusFlags:
    """What `status` takes."""

    relay_dir: str = goflags.text("directory of the daemon's state", default=Flags().relay_dir)
    host_root: str = goflags.text("directory under which the host's /sys is found; '' for /")
    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")


def run(arguments: Sequence[str]) -> int:
    """Tell; the exit code. Raises BadInput and Degraded."""
    flags, words = goflags.parse(StatusFlags, arguments, {}, program=PROGRAM)
    if words or flags.output not in {"text", "json"}:
        raise BadInput(f"status takes no name; write {USAGE}")
    mount = Path(flags.host_root or "/") / cgroups.MOUNT.relative_to("/")
    said = summing.summed(stored.read(Path(flags.relay_dir)), cgroup_cpus=partial(cgroups.constraint_cpus, mount=mount))
    return printing.lines([json.dumps(said, indent=1)] if flags.output == "json" else showing.node(said))
