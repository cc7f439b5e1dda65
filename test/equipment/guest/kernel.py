"""The guests' kernel: Debian's for clouds, unpacked beside the machine's own, which stays untouched.

QEMU enters an ELF kernel directly (PVH), so no emulated second goes into unpacking it.  The few drivers that a guest
needs are loaded by its initrd in the right order: its root file system has no modules at all.
"""

import re
import shutil
import struct
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

from equipment import Unavailable, machine

PACKAGE = "linux-image-cloud-amd64"
DRIVERS = ("virtio_blk", "virtio_pci", "virtio_console", "overlay")
BUSYBOX = Path("/bin/busybox")
DEADLINE_S = 600

_SETUP_SECTORS, _SIGNATURE, _PAYLOAD_OFFSET, _PAYLOAD_SIZE = 0x1F1, 0x202, 0x248, 0x24C
_DEFAULT_SETUP_SECTORS = 4
_LZ4 = bytes.fromhex("02214c18")
_SIZE_BYTES = 4


def furnish(place: Path, init: Path) -> None:
    """Make `vmlinux` and `initrd` in `place`; `init` is the initrd's first program. Raises Unavailable."""
    machine.ensure_apt("lz4", "kmod", "cpio", "busybox-static")
    unpacked = place / "kernel"
    _download(unpacked)
    compressed = next((unpacked / "boot").glob("vmlinuz-*"))
    (place / "vmlinux").write_bytes(elf(compressed.read_bytes()))
    modules = next((unpacked / "lib/modules").iterdir())
    _run("depmod", "-b", unpacked, modules.name)
    _make_initrd(place, init, [modules / path for path in load_order((modules / "modules.dep").read_text(), DRIVERS)])
    shutil.rmtree(unpacked)


def elf(image: bytes) -> bytes:
    """The kernel inside of a bzImage that is packed with LZ4 (its boot protocol says where, since 2.08)."""
    if image[_SIGNATURE : _SIGNATURE + 4] != b"HdrS":
        raise Unavailable("the kernel is no bzImage")
    setup_sectors = image[_SETUP_SECTORS] or _DEFAULT_SETUP_SECTORS
    offset, size = (struct.unpack_from("<I", image, at)[0] for at in (_PAYLOAD_OFFSET, _PAYLOAD_SIZE))
    begin = (setup_sectors + 1) * 512 + offset
    payload = image[begin : begin + size]
    if not payload.startswith(_LZ4):
        raise Unavailable(f"the kernel is not packed with LZ4 but with something that begins with {payload[:4].hex()}")
    # The size of the unpacked kernel follows the stream.
    return _run("lz4", "-d", "-c", given=payload[:-_SIZE_BYTES])


def load_order(dependencies: str, names: Iterable[str]) -> list[str]:
    """Paths of these modules and of all that they need, in the order of loading; from the text of modules.dep."""
    needs = {}
    for line in dependencies.splitlines():
        path, _, needed = line.partition(":")
        needs[re.sub(r".*/|\.ko.*", "", path).replace("-", "_")] = [*reversed(needed.split()), path]
    return list(dict.fromkeys(path for name in names for path in needs.get(name, ())))


def _download(target: Path) -> None:
    """Fetch the package and unpack it; nothing is installed."""
    target.mkdir()
    for refresh in (False, True):
        if refresh:  # the lists of a fresh machine are empty, or old enough to name files that are gone
            _run("apt-get", "-q", "update")
        if found := re.search(
            r"Depends: (linux-image-\S+)", _run("apt-cache", "depends", PACKAGE, check=False).decode()
        ):
            fetch = ["apt-get", "-q", "-o", "APT::Sandbox::User=root", "download", found[1]]
            _run(*fetch, directory=target, check=False)
        if package := next(target.glob("*.deb"), None):
            _run("dpkg-deb", "-x", package, target)
            package.unlink()
            return
    raise Unavailable(f"apt-get cannot download what {PACKAGE} depends on; does apt-get update work?")


def _make_initrd(place: Path, init: Path, modules: Sequence[Path]) -> None:
    tree = place / "initrd-tree"
    for directory in ("bin", "dev", "proc", "sys", "root", "modules"):
        (tree / directory).mkdir(parents=True)
    shutil.copy(BUSYBOX, tree / "bin/busybox")
    shutil.copy(init, tree / "init")
    (tree / "init").chmod(0o755)
    for number, module in enumerate(modules):
        shutil.copy(module, tree / "modules" / f"{number:02}-{module.name}")
    names = "\n".join(str(path.relative_to(tree)) for path in sorted(tree.rglob("*")))
    # Not compressed: unpacking is work for an emulated CPU.
    archive = _run("cpio", "-o", "-H", "newc", "--quiet", given=names.encode(), directory=tree)
    (place / "initrd").write_bytes(archive)
    shutil.rmtree(tree)


def _run(*command: str | Path, given: bytes = b"", directory: Path | None = None, check: bool = True) -> bytes:
    done = subprocess.run(
        ["nice", *command], input=given, capture_output=True, timeout=DEADLINE_S, cwd=directory, check=False
    )
    if check and done.returncode:
        raise Unavailable(f"{' '.join(map(str, command))} failed: {done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout
