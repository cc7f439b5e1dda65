"""A guest as a node: the daemon under test in front of containerd, pods through it, and what the daemon believes."""

import signal
from pathlib import Path

from equipment.guest import JobFailed
from equipment.guest.calls import Calls
from equipment.guest.guest import Guest, wait_until
from equipment.guest.image import PAYLOAD, PYTHON
from equipment.guest.payload import PROGRAM
from equipment.guest.pods import Place, Pods
from equipment.guest.snapshots import RUNTIME_SOCKET

RELAY_SOCKET = "/run/cri-resmgr/cri-resmgr.sock"
CONFIG = "/etc/cri-resmgr/force.cfg"
STATE = "/var/lib/cri-resmgr"
DATABASE = f"{STATE}/state.db"
READY = "reconcile.done"
"""The word in the log that follows the first comparison with the runtime."""
FLAGS = (
    *("--runtime-socket", RUNTIME_SOCKET, "--relay-socket", RELAY_SOCKET, "--relay-dir", STATE),
    *("--force-config", CONFIG, "--agent-socket", "disabled", "--config-socket", "disabled"),
    "--call-budget=60s",  # emulated seconds are short
)
# The daemon's child has ten seconds to read a configuration, which may not do here.  So it is read before, and known.
_REMEMBER = f"""\
install -d -m 710 {STATE}
{PYTHON} - <<'END'
import sys
sys.path.insert(0, "{PAYLOAD}")
from pathlib import Path
from cri_resmgr.config import check, remembered
remembered.remember(Path("{STATE}"), Path("{CONFIG}"), check.settings(check.read("{CONFIG}"), "{CONFIG}"))
END
"""


class Node:
    """The daemon and its pods; `serve` comes first."""

    def __init__(self, guest: Guest, disk: Path) -> None:
        """Take a guest and plug in the payload; the daemon does not run yet."""
        self.guest = guest
        guest.attach(disk)
        self.call = Calls(guest, RELAY_SOCKET)
        self.pods = Pods(guest, self.call)
        self._daemon: int | None = None
        self._configuration = ""
        self._logs: list[str] = []

    def serve(self, configuration: str) -> None:
        """See to it that the daemon runs, with this configuration."""
        if configuration != self._configuration:
            self.stop()
            self.guest.write(CONFIG, configuration)
            self.guest.run(_REMEMBER)
            self._configuration = configuration
        if self._daemon is None:
            self.start()

    def start(self) -> None:
        """Start the daemon and wait until it has compared what it knows with the runtime."""
        self._logs.append(f"/var/log/cri-resmgr-{len(self._logs)}.log")
        daemon = self._daemon = self.guest.start([PROGRAM, *FLAGS], log=self._logs[-1])
        ready = lambda: READY in self._read_log(self._logs[-1])  # noqa: E731
        wait_until(ready, "the daemon to be ready", alive=lambda: self.guest.runs(daemon))

    def restart(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon, with SIGKILL as a crash would, and start it again."""
        self.stop(number)
        self.start()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """End the daemon if it runs."""
        if self._daemon is not None and self.guest.end(self._daemon, number) is None:
            raise JobFailed(f"the daemon goes on after {number.name}")
        self._daemon = None

    def decided(self) -> dict[str, Place]:
        """What the store says that each running container was given; "" is the runtime's own choice."""
        query = "SELECT name, given_cpuset_cpus, given_cpuset_mems FROM containers WHERE state = 'running'"
        return {name: Place(cpus or "", mems or "") for name, cpus, mems in self.guest.query(DATABASE, query)}

    def runtime_log(self) -> str:
        """What containerd has said."""
        return self.guest.run(self.guest.init.containerd_log)

    def log(self) -> str:
        """What the daemon has said, over all its starts."""
        return "".join(map(self._read_log, self._logs))

    def _read_log(self, path: str) -> str:
        return (self.guest.read(path)[0] or b"").decode(errors="replace")
