"""A guest that runs: what can be asked of it.

Deadlines are for emulated programs on a busy machine: they end what hangs, and say nothing about speed.
"""

import base64
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from equipment.guest import JobFailed
from equipment.guest.command import Places, command
from equipment.guest.emulator import Emulator
from equipment.guest.image import PAYLOAD
from equipment.guest.inits import Init
from equipment.guest.topologies import Topology
from equipment.processes import wait_for

BOOT_DEADLINE_S = 600
RUN_DEADLINE_S = 300
WAIT_DEADLINE_S = 300
POLL_S = 0.5
"""A question costs the guest what a tenth of a second of its own work does."""
_PAYLOAD_DEVICE = "/dev/vdb"
# Memory is in files that stay where they are: only the devices' state is written.
IN_PLACE = [{"capability": "x-ignore-shared", "state": True}]


def wait_until(condition: Callable[[], object], what: str, *, alive: Callable[[], object] = lambda: True) -> None:
    """As `processes.wait_for`, but asking less often."""
    end_s = time.monotonic() + WAIT_DEADLINE_S
    while not condition():
        if not alive():
            raise JobFailed(f"the program has ended while waiting for {what}")
        if time.monotonic() > end_s:
            raise JobFailed(f"waited {WAIT_DEADLINE_S} s for {what}")
        time.sleep(POLL_S)


class Guest:
    """One guest, from `boot` or `restore` to `close`."""

    def __init__(self, topology: Topology, init: Init, places: Places) -> None:
        """Take over the directory `places.run`; nothing runs yet."""
        self.topology, self.init, self.places = topology, init, places
        self._emulator = Emulator(places)

    def boot(self) -> None:
        """Start it from nothing and wait for the agent, which answers before everything is up."""
        self._overlay(self.places.image / "root.ext4", "raw")
        self._emulator.start(command(self.topology, self.init, self.places, incoming=False))
        self._set_clock(BOOT_DEADLINE_S)

    def restore(self, state: Path, disk: Path) -> None:
        """Go on from what `save` has left; the files are read only, and its memory's as well."""
        self._overlay(disk, "qcow2")
        self._emulator.start(command(self.topology, self.init, self.places, incoming=True))
        monitor = self._emulator.monitor
        monitor("migrate-set-capabilities", capabilities=IN_PLACE)
        monitor("migrate-incoming", uri=f"exec:cat {state}")
        self._wait_migrated("to go on")
        monitor("cont")
        self._set_clock(RUN_DEADLINE_S)

    def save(self, state: Path) -> None:
        """Stop it for good: `state`, the files of its memory and its disk are what another one goes on from."""
        self.run("sync")
        monitor = self._emulator.monitor
        monitor("stop")
        monitor("migrate-set-capabilities", capabilities=IN_PLACE)
        monitor("migrate", uri=f"exec:cat >{state}")
        self._wait_migrated("to be saved")
        self.close()

    def attach(self, payload: Path) -> None:
        """Mount the disk `payload` at PAYLOAD, read only."""
        monitor = self._emulator.monitor
        file = {"driver": "file", "filename": str(payload)}
        monitor("blockdev-add", node_name="payload", driver="raw", read_only=True, file=file)
        monitor("device_add", driver="virtio-blk-pci", drive="payload", id="payload-device")
        self.run(f"until [ -b {_PAYLOAD_DEVICE} ]; do sleep 0.1; done; mount -o ro {_PAYLOAD_DEVICE} {PAYLOAD}")

    def run(self, shell: str, *, deadline_s: float = RUN_DEADLINE_S) -> str:
        """What a shell command prints; raises JobFailed unless it succeeds in time."""
        argv = ["/bin/sh", "-euc", shell]
        done = self._emulator.jobs("run", argv=argv, deadline_s=deadline_s)
        if done["status"]:
            raise JobFailed(f"{shell}: status {done['status']}\n{done['output'][-2000:]}\n{done['errors'][-2000:]}")
        return str(done["output"])

    def write(self, path: str, content: str | bytes, *, mode: int = 0o644) -> None:
        """Write a small file and the directories above it."""
        data = content.encode() if isinstance(content, str) else content
        self._emulator.jobs("write", path=path, data=base64.b64encode(data).decode(), mode=mode)

    def read(self, *paths: str) -> list[bytes | None]:
        """What is in these files now; None for one that cannot be read."""
        contents = self._emulator.jobs("read", paths=paths)["contents"]
        return [None if content is None else base64.b64decode(content) for content in contents]

    def query(self, database: str, sql: str) -> list[list[Any]]:
        """The rows that an SQLite database has for this, while others may write to it."""
        rows: list[list[Any]] = self._emulator.jobs("query", path=database, sql=sql)["rows"]
        return rows

    def start(self, argv: Sequence[str], *, log: str | None = None) -> int:
        """Start a program that goes on; its process id.  Without a log it can be asked."""
        return int(self._emulator.jobs("start", argv=argv, log=log)["pid"])

    def ask(self, pid: int, line: str, *, deadline_s: float) -> str:
        """Give a line to a program that was started without a log; its next line."""
        return str(self._emulator.jobs("ask", pid=pid, line=line, deadline_s=deadline_s)["line"])

    def end(self, pid: int, number: signal.Signals = signal.SIGTERM, *, deadline_s: float = 60) -> int | None:
        """Send a signal to a program that was started and wait for its end; its status, None if it goes on."""
        status: int | None = self._emulator.jobs("end", pid=pid, signal=number, deadline_s=deadline_s)["status"]
        return status

    def runs(self, pid: int) -> bool:
        """Whether a program that was started has not ended."""
        return self._emulator.jobs("status", pid=pid)["status"] is None

    def connects(self, socket: str) -> bool:
        """Whether somebody takes connections there."""
        return bool(self._emulator.jobs("connects", path=socket)["connects"])

    def console(self) -> str:
        """What the kernel has said."""
        path = self.places.console
        return path.read_text(errors="replace") if path.exists() else ""

    def close(self) -> None:
        """End it, in whatever state it is."""
        self._emulator.close()

    def _overlay(self, base: Path, form: str) -> None:
        """Make the disk that it writes to, over `base`, which stays as it is."""
        self.places.disk.unlink(missing_ok=True)
        create = ["qemu-img", "create", "-q", "-f", "qcow2", "-F", form, "-b", base, self.places.disk]
        subprocess.run(create, check=True, capture_output=True, timeout=60)

    def _wait_migrated(self, what: str) -> None:
        def done() -> bool:
            status = self._emulator.monitor("query-migrate").get("status")
            if status == "failed":
                raise JobFailed(f"the guest fails {what}")
            return bool(status == "completed")

        wait_for(done, f"the guest {what}")

    def _set_clock(self, deadline_s: float) -> None:
        """Also a question whether the agent answers."""
        self._emulator.jobs("clock", now_s=time.time(), deadline_s=deadline_s)
