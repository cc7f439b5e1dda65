"""The command line of QEMU."""

from dataclasses import dataclass
from pathlib import Path

from equipment.guest.inits import Init
from equipment.guest.topologies import Topology

# One thread emulates all CPUs: with 16 of them on two real ones, a thread for each burns twice the time in spinning,
# and is slower as well.
ACCELERATOR = "tcg,thread=single,tb-size=256"
# With the vendor that plain `max` names, Linux reads dies and caches where QEMU does not write them, and all dies of
# a package come out as one.  Page tables of five levels make each miss dearer.
CPU = "max,vendor=GenuineIntel,la57=off,avx=off,avx2=off"
# Mitigations and watchdogs only cost time; emulated clocks are no measure of anything.
KERNEL_ARGUMENTS = (
    "console=ttyS0 quiet loglevel=4 panic=-1 random.trust_cpu=on mitigations=off nowatchdog audit=0 selinux=0 "
    "apparmor=0 tsc=unstable rcupdate.rcu_cpu_stall_timeout=300 workqueue.watchdog_thresh=0 systemd.show_status=0 "
    "systemd.unified_cgroup_hierarchy=1 net.ifnames=0"
)


@dataclass(frozen=True)
class Places:
    """Where a guest's files are."""

    image: Path
    memory: Path
    """One file for each node."""
    run: Path
    """Sockets, logs, and the disk on which it writes."""

    @property
    def disk(self) -> Path:
        """An overlay over the image, or over a snapshot's overlay."""
        return self.run / "disk.qcow2"

    @property
    def monitor(self) -> Path:
        """QEMU's own socket."""
        return self.run / "monitor.sock"

    @property
    def jobs(self) -> Path:
        """The other end of the agent's port."""
        return self.run / "jobs.sock"

    @property
    def console(self) -> Path:
        """What the kernel says."""
        return self.run / "console.log"


def command(topology: Topology, init: Init, places: Places, *, incoming: bool) -> list[str]:
    """QEMU for a guest that boots and writes its memory to files, or, `incoming`, goes on from a snapshot's."""
    return [
        "qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-nic", "none",
        "-machine", "pc,hpet=on,dump-guest-core=off", "-accel", ACCELERATOR, "-cpu", CPU,
        *topology.options(places.memory, shared=not incoming),
        "-kernel", str(places.image / "vmlinux"), "-initrd", str(places.image / "initrd"),
        "-append", f"{KERNEL_ARGUMENTS} init={init.program}",
        "-drive", f"if=none,id=root,format=qcow2,file={places.disk},cache=unsafe,discard=unmap",
        "-device", "virtio-blk-pci,drive=root",
        "-device", "virtio-serial-pci,id=ports",
        "-chardev", f"socket,id=jobs,path={places.jobs},server=on,wait=off",
        "-device", "virtserialport,bus=ports.0,chardev=jobs,name=jobs",
        "-chardev", f"file,id=console,path={places.console},append=on", "-serial", "chardev:console",
        "-qmp", f"unix:{places.monitor},server=on,wait=off",
        *(("-incoming", "defer") if incoming else ()),
    ]  # fmt: skip
