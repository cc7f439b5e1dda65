"""`cri-resmgr record FILE`: what the policy of the running daemon sees and decides, from now on, for `replay`.

The daemon is watched, not changed.  The file is for its owner alone and has no secrets in it: see docs/record.md.
"""

import asyncio
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr.cli import amounts, goflags
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.recording.asking import Reader
from cri_resmgr.cli.recording.files import File
from cri_resmgr.errors import BadInput

PROGRAM = "cri-resmgr record"
USAGE = f"{PROGRAM} [--relay-dir DIR] [--for DURATION] [--limit-mib NUMBER] FILE"
MIB = 1 << 20
LONGEST_S = 7 * 86400.0


@dataclass(frozen=True, slots=True)
class RecordFlags:
    """What `record` takes before the file."""

    relay_dir: str = goflags.text("directory of the daemon's state", default=Flags().relay_dir)
    duration_s: float = goflags.duration(
        "how long to record; Ctrl-C or SIGTERM ends it earlier", name="for", default_s=600.0
    )
    limit_mib: int = goflags.number("size at which the file ends, in MiB", default=64)


def run(arguments: Sequence[str]) -> int:
    """Record; the exit code. Raises BadInput, and Degraded if the daemon goes or the disk is full."""
    flags, words = goflags.parse(RecordFlags, arguments, {}, program=PROGRAM)
    if len(words) != 1:
        raise BadInput(f"record takes one file, which it makes; write {USAGE}")
    if not 0 < flags.duration_s <= LONGEST_S or flags.limit_mib < 1:
        raise BadInput(f"--for must be above 0 and at most {LONGEST_S / 3600:g}h, --limit-mib 1 or more")
    asyncio.run(_record(flags, Path(words[0])))
    return 0


async def _record(flags: RecordFlags, path: Path) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)
    with ExitStack() as undo:
        reader = Reader(Path(flags.relay_dir))
        undo.callback(reader.close)
        file = File.begun(path, limit_bytes=flags.limit_mib * MIB)
        try:
            first = await reader.begun()
        except BaseException:
            file.unmade()
            raise
        undo.callback(file.close)
        sys.stderr.write(f"recording into {path} for {flags.duration_s:g} s, at most {flags.limit_mib} MiB\n")
        began_s = loop.time()
        await reader.fetch(first, file, duration_s=flags.duration_s, stopped=stopped)
        size = amounts.memory(file.size_bytes)
        sys.stderr.write(f"{path}: {file.lines - 1} events in {loop.time() - began_s:.1f} s, {size}\n")
