"""What became of this node, for those who look: `status.json` and, for Prometheus, `metrics.prom`.

Nobody but these files knows why a node is without a relay, so every end of an operation is written here.
"""

import contextlib
import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from installer import files, layout
from installer.log import say

STATES = ("installing", "installed", "refused", "rolled_back", "bypassed", "uninstalling")
"""`refused`, `rolled_back` and `bypassed` are for people to look at; the node goes on without policies."""
SETTLED = frozenset({"installed", "refused", "rolled_back", "bypassed"})


@dataclass(frozen=True, slots=True)
class Status:
    """The state, the version that is in use ('' without one), and why; `target` is what was tried."""

    state: str = ""
    version: str = ""
    reason: str = ""
    target: str = ""


class Reports:
    """The two files on a host."""

    def __init__(self, root: Path) -> None:
        """`root` is the host's root directory as we see it."""
        self._directory = files.inside(root, layout.OURS)
        self._force = files.inside(root, f"{layout.CONFIG}/force.cfg")

    def read(self) -> Status:
        """The last word; an empty one when there is none."""
        try:
            return Status(**json.loads((self._directory / "status.json").read_bytes()))
        except (OSError, ValueError, TypeError):
            return Status()

    def write(self, status: Status) -> None:
        """Say it.  A disk that takes nothing must not keep us from what we do: then only the log has it."""
        if status == self.read():
            return
        say("node.state", **asdict(status))
        try:
            for directory, mode in ((self._directory.parent, 0o710), (self._directory, 0o755)):
                if not directory.is_dir():
                    files.put_directory(directory, mode=mode)
            # The status comes last: it is what tells that both are there.
            files.put_file(
                self._directory / "metrics.prom", metrics(status, forced=self._force.exists()).encode(), mode=0o644
            )
            text = json.dumps(asdict(status), indent=1) + "\n"
            files.put_file(self._directory / "status.json", text.encode(), mode=0o644)
        except OSError as error:
            say("report.failed", error=error)

    def clear(self) -> None:
        """Where there is no journal: take away the directory, and the one above if nothing else is in it."""
        shutil.rmtree(self._directory, ignore_errors=True)
        with contextlib.suppress(OSError):
            self._directory.parent.rmdir()


def metrics(status: Status, *, forced: bool) -> str:
    """The state in Prometheus' text format: one gauge for each state, 1 for the one that holds.

    `forced`: there is a configuration that counts whatever the agent says, so the daemon does not listen to it.
    """
    name = "cri_resmgr_installer_state"
    lines = [f"# HELP {name} What the installation on this node came to.", f"# TYPE {name} gauge"]
    lines += [f'{name}{{state="{state}"}} {int(state == status.state)}' for state in STATES]
    info = "cri_resmgr_installer_info"
    lines += [f"# HELP {info} The version in use on this node.", f"# TYPE {info} gauge"]
    lines += [f'{info}{{version="{status.version}"}} 1']
    force = "cri_resmgr_installer_forced"
    lines += [f"# HELP {force} Is the configuration one of the type force: 1 or 0.", f"# TYPE {force} gauge"]
    lines += [f"{force} {int(forced)}"]
    return "\n".join(lines) + "\n"
