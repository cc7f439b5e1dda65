"""What all guests boot: kernel, initrd and a root file system, made once and then only read.

One image serves both inits, and so both ways to drive control groups.  The root file system is that of the sandboxes,
with the agent, two configurations of containerd and the archive of its images.
"""

import shutil
import subprocess
import uuid
from pathlib import Path

from equipment import Unavailable, cache, images, machine, stand_ins
from equipment.guest import kernel, libraries
from equipment.rootfs import rootfs
from equipment.stand_ins import BUSYBOX, PAUSE

INSIDE = Path(__file__).parent / "inside"
IMAGES = "/var/lib/images.tar"
LIBRARIES = "/usr/local/lib/libraries"
PAYLOAD = "/payload"
"""Where the disk with the code under test is mounted."""
HELPERS = "/usr/local/lib"
CALLS = f"{HELPERS}/calls.py"
# -P and -B as the daemon's own child has them; without site-packages, which Debian's Python would look through.
PYTHON = "python3 -P -B -S"
SIZE = "2G"  # sparse
DEADLINE_S = 600


# What costs emulated seconds and serves no test; modules are loaded already.
MASKED = (
    "apt-daily-upgrade.timer", "apt-daily.timer", "dev-hugepages.mount", "dpkg-db-backup.timer", "e2scrub_all.timer",
    "e2scrub_reap.service", "fstrim.timer", "getty@tty1.service", "modprobe@.service", "serial-getty@ttyS0.service",
    "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "systemd-binfmt.service", "systemd-journal-flush.service",
    "systemd-logind.service", "systemd-modules-load.service", "systemd-networkd.service", "systemd-pstore.service",
    "systemd-random-seed.service", "systemd-resolved.service", "systemd-timesyncd.service",
    "systemd-update-utmp.service",
)  # fmt: skip
FILES = {
    "etc/fstab": "",
    "etc/hostname": "guest\n",
    # The runtime copies these two into every sandbox, and fails without them.
    "etc/hosts": "127.0.0.1 localhost guest\n",
    "etc/resolv.conf": "nameserver 127.0.0.1\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/systemd/journald.conf.d/guest.conf": "[Journal]\nStorage=volatile\nRuntimeMaxUse=16M\n",
}


def image() -> Path:
    """The directory with `vmlinux`, `initrd`, `root.ext4` and `identity`; raises Unavailable."""
    base = rootfs()
    sources = (__file__, kernel.__file__, libraries.__file__, images.__file__, stand_ins.__file__)
    inside = sorted(path for path in INSIDE.iterdir() if path.is_file())
    digest = cache.key(base.name, libraries.versions(), *map(Path, sources), *inside)
    return cache.entry("guest-image", digest, lambda place: _make(place, base), about="1 min")


def _make(place: Path, base: Path) -> None:
    machine.ensure_apt("e2fsprogs")
    kernel.furnish(place, INSIDE / "initrd-init")
    tree = place / "tree"
    _run("cp", "-a", base, tree)
    _furnish(tree)
    # No journal: a guest is never booted twice from one disk.
    options = ("-q", "-t", "ext4", "-O", "^has_journal", "-E", "lazy_itable_init=1")
    _run("mke2fs", *options, "-d", tree, place / "root.ext4", SIZE)
    shutil.rmtree(tree)
    # A snapshot fits exactly the bytes of one image, and another making of the same parts has other bytes.
    (place / "identity").write_text(uuid.uuid4().hex)


def _furnish(tree: Path) -> None:
    """Make Debian in `tree` a guest."""
    for directory in ("dev", "var/cache/apt", "var/lib/apt/lists"):
        shutil.rmtree(tree / directory)
        (tree / directory).mkdir()
    for path, text in FILES.items():
        _write(tree / path, text)
    _write(tree / "sbin/minimal-init", (INSIDE / "minimal-init").read_text(), mode=0o755)
    for name in ("agent.py", "calls.py"):
        _write(tree / HELPERS.lstrip("/") / name, (INSIDE / name).read_text())
    libraries.furnish(tree / LIBRARIES.lstrip("/"))
    units = tree / "etc/systemd/system"
    for unit in MASKED:
        (units / unit).unlink(missing_ok=True)
        (units / unit).symlink_to("/dev/null")
    _write(units / "job-agent.service", (INSIDE / "job-agent.service").read_text())
    (units / "multi-user.target.wants/job-agent.service").symlink_to("../job-agent.service")
    (units / "multi-user.target.wants/containerd.service").unlink()
    for name, systemd in (("config", "true"), ("cgroupfs", "false")):
        text = (INSIDE / "containerd.toml").read_text().replace("@pause@", PAUSE).replace("@systemd@", systemd)
        _write(tree / f"etc/containerd/{name}.toml", text)
    (tree / PAYLOAD.lstrip("/")).mkdir()
    layout = images.build(each for each in stand_ins.stand_ins() if {PAUSE, BUSYBOX} & set(each.names))
    layout.write_archive(tree / IMAGES.lstrip("/"))


def _write(path: Path, text: str, *, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)  # it may be a link out of the tree
    path.write_text(text)
    path.chmod(mode)


def _run(*command: str | Path) -> None:
    done = subprocess.run(["nice", *command], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    if done.returncode:
        raise Unavailable(f"{' '.join(map(str, command))} failed: {done.stderr[-2000:]}")
