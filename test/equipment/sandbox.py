"""A machine of our own: a real systemd on a fresh disk, in name spaces of its own, without a hypervisor.

`systemd-nspawn --boot` on an overlay over the Debian root file system.  The network name space is the host's, so an
API server's address works unchanged inside.  The sandbox's control groups are rooted in a directory of its own in
every tree: inside they look like those of a whole machine, and outside one place holds everything that ever ran.

Killing the first process of a pid name space kills all of it, whatever it is doing: that is how `down` works, and why
nothing can be left behind.
"""

import contextlib
import os
import shlex
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

from equipment import cgroups, machine, sysctls
from equipment.mounts import remove_tree
from equipment.processes import Processes, wait_for

BOOT_DEADLINE_S = 60
POWER_OFF_DEADLINE_S = 60

# nspawn mounts the trees of cgroup version 1 read-only.  "remount,rw" without "bind" would ask for the superblock,
# which is busy outside.
CGROUPS_UNIT = """\
[Unit]
Description=Make the control groups writable
Before=containerd.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -euc 'for d in /sys/fs/cgroup/*/; do ! mountpoint -q "$$d" || mount -o remount,bind,rw "$$d"; done'
[Install]
WantedBy=multi-user.target
"""
# Containers' first processes often ignore TERM; a power-off would wait 90 s for each.
SYSTEM_CONF = "[Manager]\nDefaultTimeoutStopSec=5s\n"
# Masked: what would change the kernel that is the host's, what the host's network has already, what only costs time.
MASKED = (
    "systemd-sysctl.service",
    "systemd-modules-load.service",
    "modprobe@.service",
    "systemd-binfmt.service",
    "systemd-resolved.service",
    "systemd-networkd.service",
    "getty.target",
    "e2scrub_reap.service",
    "apt-daily.timer",
)
# Not on the overlay: containerd's own overlays cannot stand on one.
DATA = ("/var/lib/containerd", "/var/lib/kubelet", "/var/log")


@dataclass(frozen=True)
class Bind:
    """A file or directory of the host that the sandbox sees at `target`."""

    source: Path
    target: str
    writable: bool = False

    @property
    def option(self) -> str:
        """For nspawn."""
        return f"--bind{'' if self.writable else '-ro'}={self.source}:{self.target}"


class Sandbox:
    """One machine; boot it, run commands in it, reboot it, take it down."""

    def __init__(self, directory: Path, rootfs: Path, *, name: str, binds: tuple[Bind, ...] = ()) -> None:
        """Take over `directory` from an earlier run and lay a fresh disk over `rootfs`."""
        machine.ensure_apt("systemd-container")
        self.name = name
        self.bridge = name[:15]
        """A link of the host for its pod network, if anything in it makes one; it goes with the machine."""
        self.directory = directory
        self.processes = Processes(directory)
        self._root = directory / "root"
        self._binds = binds
        self._clear()
        sysctls.remember(directory / "sysctls.json")
        for part in ("root", "upper", "work", *(f"data{path}" for path in DATA)):
            (directory / part).mkdir(parents=True)
        layers = f"lowerdir={rootfs},upperdir={directory}/upper,workdir={directory}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self._root], check=True)
        self._write_stock_files()

    def boot(self) -> None:
        """Return when systemd says that everything it was to start runs; a failed unit is an error."""
        cgroups.remove_root(self.name)  # left-overs of an earlier boot would cost the kubelet seconds each
        self.processes.start("nspawn", [
            "systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot",
            f"--machine={self.name}", f"--directory={self._root}", "--capability=all",
            "--console=pipe", "--resolv-conf=bind-host", "--link-journal=no",
            "--bind=/dev/kmsg",  # the kubelet watches it for kills by the kernel
            *(Bind(self.directory / f"data{path}", path, writable=True).option for path in DATA),
            *(bind.option for bind in self._binds),
        ], env={
            "SYSTEMD_SECCOMP": "0",  # runc wants keyctl, bpf and others
            "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "1",  # /proc/sys and /sys, as on a real machine
        }, cgroups=cgroups.make_root(self.name))  # fmt: skip
        self.processes.wait_for("nspawn", self._settled, f"systemd in {self.name}", BOOT_DEADLINE_S)
        if failed := self.inside("systemctl", "list-units", "--failed", "--plain", "--no-legend").strip():
            raise RuntimeError(f"units failed while {self.name} booted:\n{failed}")

    def reboot(self) -> None:
        """Power off in order and boot again on the same disk."""
        self.inside("systemctl", "poweroff", check=False)
        wait_for(lambda: not self.processes.alive("nspawn"), f"{self.name} to power off", POWER_OFF_DEADLINE_S)
        self.processes.stop("nspawn")
        self.boot()

    def inside(self, *command: str, stdin: str | None = None, check: bool = True, deadline_s: float = 60) -> str:
        """The output of a command run in the sandbox; with `check`, RuntimeError when it fails."""
        entry = ["nsenter", f"--target={self.leader()}", "--mount", "--uts", "--ipc", "--pid", "--cgroup", "--"]
        done = subprocess.run(
            [*entry, *command], input=stdin or "", capture_output=True, text=True, timeout=deadline_s, check=False
        )
        if check and done.returncode:
            said = done.stderr.strip() or done.stdout.strip()
            raise RuntimeError(f"{shlex.join(command)} in {self.name} ended with {done.returncode}: {said}")
        return done.stdout

    def write_file(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file, before or after booting; nobody sees half of it."""
        if not self.processes.alive("nspawn"):
            target = self._at_rest(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
            return target.chmod(mode)
        script = 'mkdir -p "$(dirname "$1")"; cat >"$1.new"; chmod "$2" "$1.new"; mv "$1.new" "$1"'
        self.inside("sh", "-euc", script, "sh", path, f"{mode:o}", stdin=text)
        return None

    def enable(self, unit: str) -> None:
        """Let `unit`, a file in /etc/systemd/system, start at the next boot."""
        wants = self._root / "etc/systemd/system/multi-user.target.wants"
        wants.mkdir(parents=True, exist_ok=True)
        (wants / unit).symlink_to(f"/etc/systemd/system/{unit}")

    def outside(self, path: str) -> Path:
        """How the host reaches a path of the running sandbox, for example a socket.

        Links are followed inside first: an absolute one, such as /var/run, would lead to the host's own /run.
        """
        return Path(f"/proc/{self.leader()}/root{self.inside('realpath', '--canonicalize-missing', path).strip()}")

    def show(self, unit: str, name: str) -> str:
        """A property of a unit, as systemd has it."""
        return self.inside("systemctl", "show", f"--property={name}", "--value", unit).strip()

    def journal(self, unit: str) -> str:
        """What `unit` and systemd about it have logged since the last boot."""
        return self.inside("journalctl", f"--unit={unit}", "--boot", "--no-pager", "--output=short-precise")

    def leader(self) -> int:
        """The process id, outside, of the sandbox's first process; RuntimeError while there is none."""
        if self.processes.alive("nspawn"):
            nspawn = self.processes.pid("nspawn")
            for child in map(int, Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text().split()):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    if Path(f"/proc/{child}/comm").read_text() == "systemd\n":
                        return child
        raise RuntimeError(f"{self.name} does not run; its console:\n{self.processes.log('nspawn')[-2000:]}")

    def down(self) -> None:
        """End it at once, as a power cut would, and leave nothing."""
        with contextlib.suppress(RuntimeError, ProcessLookupError):
            os.kill(self.leader(), signal.SIGKILL)
        self.processes.stop_all()
        self._clear()
        remove_tree(self.directory)

    def _at_rest(self, path: str) -> Path:
        """Where the host has a file of the sandbox that does not run."""
        base = self.directory / "data" if any(Path(path).is_relative_to(data) for data in DATA) else self._root
        return base / path.lstrip("/")

    def _settled(self) -> bool:
        try:
            state = self.inside("systemctl", "is-system-running", check=False).strip()
        except RuntimeError:
            return False
        return state in ("running", "degraded")

    def _clear(self) -> None:
        """Remove what an earlier run has left: its processes first, which hold the rest."""
        for pid in cgroups.processes_below(self.name):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not cgroups.processes_below(self.name), f"the processes of {self.name} to end")
        cgroups.remove_root(self.name)
        sysctls.restore(self.directory / "sysctls.json")
        subprocess.run(["ip", "link", "delete", self.bridge], capture_output=True, check=False)
        for part in ("root", "upper", "work", "data"):
            remove_tree(self.directory / part)

    def _write_stock_files(self) -> None:
        self.write_file("/etc/machine-id", "")  # made new at boot
        self.write_file("/etc/hostname", f"{self.name}\n")
        self.write_file("/etc/systemd/system.conf.d/sandbox.conf", SYSTEM_CONF)
        self.write_file("/etc/systemd/system/sandbox-cgroups.service", CGROUPS_UNIT)
        self.enable("sandbox-cgroups.service")
        for unit in MASKED:
            (self._root / "etc/systemd/system" / unit).symlink_to("/dev/null")
