"""`cri-resmgr explain POD[:CONTAINER]`: why does it run where it runs, and where else might it?

Reads the store of the daemon, running or not, and changes nothing.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr.cli import goflags, printing
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.inspecting import explaining, finding, showing, stored
from cri_resmgr.errors import BadInput

PROGRAM = "cri-resmgr explain"
USAGE = f"{PROGRAM} [--relay-dir DIR] [--output text|json] [NAMESPACE/]POD[:CONTAINER]"


@dataclass(frozen=True, slots=True)
class ExplainFlags:
    """What `explain` takes before the name."""

    relay_dir: str = goflags.text("directory of the daemon's state", default=Flags().relay_dir)
    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")


def run(arguments: Sequence[str]) -> int:
    """Explain; the exit code. Raises BadInput and Degraded."""
    flags, names = goflags.parse(ExplainFlags, arguments, {}, program=PROGRAM)
    if len(names) != 1 or flags.output not in {"text", "json"}:
        raise BadInput(f"explain takes one name; write {USAGE}")
    found = stored.read(Path(flags.relay_dir))
    said = [explaining.explained(found, container) for container in finding.containers(found, names[0])]
    if flags.output == "json":
        return printing.lines([json.dumps(said, indent=1)])
    return printing.lines(
        line for at, one in enumerate(said) for line in ([""] if at else []) + [*showing.container(one)]
    )
