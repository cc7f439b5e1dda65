"""containerd 2 with pods in it, the daemon in front of it, and what both use of the processors.

The daemon is shown a machine of two packages, each with one CPU that this machine has and one that it has not; the
latter are reserved for the system.  The second package has little memory, so whoever shares CPUs is in the first.
"""

import contextlib
import json
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.rig import Bench, Rig
from cri_resmgr.host.grids import grid
from equipment import cgroups, images, pretended
from equipment.registry import Registry
from equipment.runtimes import Containerd2
from equipment.stand_ins import BUSYBOX, stand_ins

CONFIG = """
policy:
  Active: topology-aware
  ReservedResources: {CPU: "cpuset:2-3"}
  topology-aware: {PinMemory: false}
"""
MACHINE = grid(packages=2, threads=2, numbering="linux", memory_bytes=[8 << 30, 64 << 20])
RESIDENTS = ("-keep", "-pods", "30", "-special", "wide", "-every", "8")
PODS = 32
BURST = ("-pods", str(PODS), "-special", "alone", "-every", "16")
POD_CGROUP = "crirm-bench/kubepods"
RUNTIME_CGROUP, DAEMON_CGROUP = "crirm-bench-runtime", "crirm-bench-daemon"
QUIET_S = 0.3
QUIET_CPU_S = 0.005  # in that time: more than an idle runtime uses
QUIET_TRIES = 20


@dataclass(frozen=True)
class Burst:
    """What a burst has taken: on the clock, on the processors of runtime and daemon, and one call of a kind."""

    elapsed_s: float
    runtime_cpu_s: float
    relay_cpu_s: float
    create_p50_ms: float
    version_p99_ms: float
    calls_made: int
    errors: int
    first_error: str


class PodsRig:
    """All of it, while it runs; `direct` and `relayed` are the sockets to choose from."""

    def __init__(self, rig: Rig) -> None:
        self.direct, self.relayed = rig.direct, rig.relayed
        self._rig = rig

    @classmethod
    @contextlib.contextmanager
    def running(cls, bench: Bench) -> Iterator["PodsRig"]:
        """Thirty pods are there before the daemon starts."""
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as directory,
            Registry(images.build(stand_ins())) as registry,
            Containerd2(registry) as runtime,
        ):
            root = Path(directory)
            rig = Rig(root, bench.programs, f"{bench.relay_command} {_policy(root)}")
            rig.direct.symlink_to(runtime.socket)
            made = cls(rig)
            try:
                as_service(RUNTIME_CGROUP, runtime.pid, weight=100)
                made.lives(rig.direct, *RESIDENTS)
                rig.start_relay()
                as_service(DAEMON_CGROUP, rig.relay_pid, weight=1000)
                yield made
            finally:
                rig.stop()
                runtime.stop()
                for name in (POD_CGROUP, Path(POD_CGROUP).parent.name, RUNTIME_CGROUP, DAEMON_CGROUP):
                    cgroups.remove_root(name)

    def lives(self, path: Path, *flags: str) -> dict[str, Any]:
        """Pods come to one of the sockets; what they have seen."""
        seen = self._rig.output("podcalls", path, "-image", BUSYBOX, "-parent", f"/{POD_CGROUP}", *flags)
        found: dict[str, Any] = json.loads(seen)
        return found

    def burst(self, path: Path) -> Burst:
        """Thirty-two pods live, eight at a time; what follows from the last ones counts as well."""
        runtime_s, relay_s = quiet_cpu_s(), self._rig.relay_cpu_s()
        seen = self.lives(path, *BURST)
        runtime_s = quiet_cpu_s() - runtime_s
        calls = seen["calls"]
        return Burst(
            elapsed_s=seen["elapsed_s"],
            runtime_cpu_s=runtime_s,
            relay_cpu_s=self._rig.relay_cpu_s() - relay_s,
            create_p50_ms=calls["CreateContainer"]["p50_ms"],
            version_p99_ms=calls["Version"]["p99_ms"],
            calls_made=seen["calls_made"],
            errors=seen["errors"],
            first_error=seen.get("first_error", ""),
        )


def _policy(root: Path) -> str:
    """Flags of the daemon, whose files are made in `root`."""
    config = root / "policy.cfg"
    config.write_text(CONFIG)
    host_root = pretended.host_root(root / "host", MACHINE)
    return f"--force-config {config} --host-root {host_root}"


def as_service(name: str, pid: int, *, weight: int) -> None:
    """Put a process, with all that it will start, where systemd would: `weight` is CPUWeight= of its unit."""
    cgroups.make_root(name)
    file, value = ("cpu.weight", weight) if cgroups.is_v2() else ("cpu.shares", weight * 1024 // 100)
    (_tree("cpu") / name / file).write_text(f"{value}\n")
    for controller in ("cpu", "cpuacct"):
        (_tree(controller) / name / "cgroup.procs").write_text(f"{pid}\n")


def _tree(controller: str) -> Path:
    return cgroups.MOUNT if cgroups.is_v2() else cgroups.MOUNT / controller


def runtime_cpu_s() -> float:
    """Processor time of the runtime, its shims and the programs that they have started."""
    group = _tree("cpuacct") / RUNTIME_CGROUP
    if cgroups.is_v2():
        return int((group / "cpu.stat").read_text().split()[1]) / 1e6  # usage_usec comes first
    return int((group / "cpuacct.usage").read_text()) / 1e9


def quiet_cpu_s() -> float:
    """The same, once there is nothing more to do."""
    before = runtime_cpu_s()
    for _ in range(QUIET_TRIES):
        time.sleep(QUIET_S)
        now = runtime_cpu_s()
        if now - before < QUIET_CPU_S:
            break
        before = now
    return now
