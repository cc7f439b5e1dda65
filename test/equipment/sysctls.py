"""Kernel settings that a kubelet and a pod network change for the whole machine: remembered and put back.

The memory is a file, so what a killed run has changed is put back by the next one; an existing file is never
overwritten, because what it says is older and therefore the machine's own.
"""

import json
from pathlib import Path

ROOT = Path("/proc/sys")
# The kubelet's `--protect-kernel-defaults=false` and the bridge plugin.  A `kernel.panic` of 10 on a developer's
# machine would be a nasty thing to leave.
NAMES = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
    "net/ipv4/ip_forward",
)


def remember(memory: Path, root: Path = ROOT) -> None:
    """Write down what holds now, unless an earlier run has."""
    if not memory.exists():
        found = {name: (root / name).read_text() for name in NAMES if (root / name).exists()}
        aside = memory.with_suffix(".new")
        aside.write_text(json.dumps(found))
        aside.rename(memory)


def restore(memory: Path, root: Path = ROOT) -> None:
    """Put back what was remembered, and forget it; nothing happens when nothing was."""
    if memory.exists():
        for name, value in json.loads(memory.read_text()).items():
            if (root / name).read_text() != value:
                (root / name).write_text(value)
        memory.unlink()
