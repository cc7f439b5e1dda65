"""Start, watch and end the processes that tests need.

Every process is written down in `DIRECTORY/processes.json` before anybody waits for it, so a run that was killed
leaves a list behind and the next run ends what is on it.  A process is known by its id *and* its start time: ids are
used again, and a stranger must never be killed.  The file `lock` says who owns the directory, for as long as the
owner lives; two runs cannot share one.
"""

import contextlib
import fcntl
import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

POLL_S = 0.05
LOG_TAIL_LINES = 30

# The cgroups come first, then `--`, then the command; `exec` keeps the process id.
_ENTER_CGROUPS = """
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done
shift
exec "$@"
"""


def wait_for(
    condition: Callable[[], object],
    what: str,
    deadline_s: float = 60,
    *,
    alive: Callable[[], object] = lambda: True,
) -> None:
    """Poll until `condition` holds; raise TimeoutError at the deadline, RuntimeError once `alive` is false."""
    end_s = time.monotonic() + deadline_s
    while not condition():
        if not alive():
            raise RuntimeError(f"the process ended while waiting for {what}")
        if time.monotonic() > end_s:
            raise TimeoutError(f"waited {deadline_s} s for {what}")
        time.sleep(POLL_S)


def free_port() -> int:
    """One of 127.0.0.1 that nobody listens on now."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def start_ticks(pid: int) -> int | None:
    """When `pid` started, in clock ticks since boot; None once it has ended (a zombie has ended)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name before may hold blanks and brackets
    return None if fields[0] in "ZX" else int(fields[19])


@dataclass(frozen=True)
class Recorded:
    """One line of `processes.json`."""

    pid: int
    start_ticks: int

    def alive(self) -> bool:
        """The very process still runs, not another one with its id."""
        return start_ticks(self.pid) == self.start_ticks

    def end(self, deadline_s: float) -> None:
        """TERM, and KILL after the deadline."""
        for number, patience_s in ((signal.SIGTERM, deadline_s), (signal.SIGKILL, 10.0)):
            with contextlib.suppress(ProcessLookupError):
                if self.alive():
                    os.kill(self.pid, number)
            with contextlib.suppress(TimeoutError):
                return wait_for(lambda: not self.alive(), f"process {self.pid} to end", patience_s)
        raise RuntimeError(f"process {self.pid} survives SIGKILL; look at /proc/{self.pid}/stack")


class Processes:
    """The processes of one directory: `processes.json`, `logs/NAME.log`, `lock`."""

    def __init__(self, directory: Path) -> None:
        """Take the directory over and end what an earlier run has left there."""
        self.directory = directory
        self._logs = directory / "logs"
        self._logs.mkdir(parents=True, exist_ok=True)
        self._lock = (directory / "lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise RuntimeError(f"{directory} is in use by another test run; wait for its end") from None
        self._file = directory / "processes.json"
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._recorded = self._read()
        for name in list(self._recorded):
            self.stop(name)

    def start(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        cgroups: Sequence[Path] = (),
    ) -> int:
        """Start `argv`, in each of `cgroups` from its first instruction on; `env` adds to our own environment."""
        if self.alive(name):
            raise RuntimeError(f"{name} runs already; stop it first")
        self.stop(name)
        command = [str(part) for part in argv]
        if cgroups:
            command = ["/bin/sh", "-euc", _ENTER_CGROUPS, "sh", *map(str, cgroups), "--", *command]
        with (self._logs / f"{name}.log").open("ab") as log:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=cwd or self.directory,
                env={**os.environ, **(env or {})},
                start_new_session=True,  # ^C in the terminal is for pytest, which then ends these in order
            )
        self._children[name] = child
        self._recorded[name] = Recorded(child.pid, start_ticks(child.pid) or 0)
        self._write()
        return child.pid

    def stop(self, name: str, deadline_s: float = 15) -> None:
        """End `name` with TERM, after the deadline with KILL; nothing happens when it is unknown."""
        if recorded := self._recorded.get(name):
            self._end(name, recorded, deadline_s)

    def kill(self, name: str) -> None:
        """End `name` with KILL, as a crash would."""
        if recorded := self._recorded.get(name):
            with contextlib.suppress(ProcessLookupError):
                if recorded.alive():
                    os.kill(recorded.pid, signal.SIGKILL)
            self._end(name, recorded, deadline_s=10)

    def alive(self, name: str) -> bool:
        """`name` was started and has not ended."""
        recorded = self._recorded.get(name)
        return recorded is not None and recorded.alive()

    def pid(self, name: str) -> int:
        """The process id of `name`; KeyError when it was never started or is stopped."""
        return self._recorded[name].pid

    def log(self, name: str) -> str:
        """What `name` wrote to its standard output and error in this directory, over all its starts."""
        path = self._logs / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for(self, name: str, condition: Callable[[], object], what: str, deadline_s: float = 60) -> None:
        """`wait_for` while `name` lives; when it fails, the error shows the end of the log of `name`."""
        try:
            wait_for(condition, what, deadline_s, alive=lambda: self.alive(name))
        except (RuntimeError, TimeoutError) as error:
            error.add_note(
                f"--- end of the log of {name}:\n" + "\n".join(self.log(name).splitlines()[-LOG_TAIL_LINES:])
            )
            raise

    def stop_all(self) -> None:
        """End everything, last started first, and give the directory free."""
        for name in reversed(list(self._recorded)):
            self.stop(name)
        self._lock.close()

    def _end(self, name: str, recorded: Recorded, deadline_s: float) -> None:
        recorded.end(deadline_s)
        if child := self._children.pop(name, None):
            child.wait()
        del self._recorded[name]
        self._write()

    def _read(self) -> dict[str, Recorded]:
        if not self._file.exists():
            return {}
        return {name: Recorded(**fields) for name, fields in json.loads(self._file.read_text()).items()}

    def _write(self) -> None:
        """Replace the list as a whole: a crash must not leave half of it."""
        aside = self._file.with_suffix(".new")
        aside.write_text(json.dumps({name: vars(recorded) for name, recorded in self._recorded.items()}))
        aside.rename(self._file)
