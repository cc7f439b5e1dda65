import struct
import subprocess
from pathlib import Path

import pytest

from equipment import Unavailable, machine
from equipment.guest import kernel
from equipment.guest.kernel import elf, load_order

KERNEL = b"\x7fELF" + bytes(range(256)) * 40
SETUP_SECTORS = 3


def packed(data: bytes) -> bytes:
    """As Linux packs itself: LZ4 in its old form, then the size."""
    machine.ensure_apt("lz4")
    done = subprocess.run(["lz4", "-l", "-c"], input=data, check=True, capture_output=True, timeout=60)
    return done.stdout + struct.pack("<I", len(data))


def bzimage(payload: bytes) -> bytes:
    setup = bytearray((SETUP_SECTORS + 1) * 512)
    setup[0x1F1] = SETUP_SECTORS
    setup[0x202:0x206] = b"HdrS"
    before = b"a program that unpacks"
    struct.pack_into("<II", setup, 0x248, len(before), len(payload))
    return bytes(setup) + before + payload + b"and what follows"


@pytest.mark.needs_root  # lz4 may have to be installed
def test_the_kernel_is_found_inside_of_its_image():
    assert elf(bzimage(packed(KERNEL))) == KERNEL


def test_an_image_of_another_kind_or_packing_is_refused():
    with pytest.raises(Unavailable, match="no bzImage"):
        elf(bytes(4096))
    with pytest.raises(Unavailable, match="begins with fd377a58"):
        elf(bzimage(b"\xfd7zXZ and so on"))


DEPENDENCIES = """\
kernel/drivers/virtio/virtio.ko:
kernel/drivers/virtio/virtio_ring.ko: kernel/drivers/virtio/virtio.ko
kernel/drivers/block/virtio_blk.ko: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/drivers/char/virtio-console.ko.xz: kernel/drivers/virtio/virtio_ring.ko kernel/drivers/virtio/virtio.ko
kernel/fs/overlayfs/overlay.ko:
"""


def names(order: list[str]) -> list[str]:
    return [path.rpartition("/")[2] for path in order]


def test_modules_are_loaded_after_what_they_need_and_once():
    order = load_order(DEPENDENCIES, ("virtio_blk", "virtio_console", "overlay"))
    assert names(order) == ["virtio.ko", "virtio_ring.ko", "virtio_blk.ko", "virtio-console.ko.xz", "overlay.ko"]


def test_what_is_built_into_the_kernel_is_not_loaded():
    assert names(load_order(DEPENDENCIES, ("ext4", "overlay"))) == ["overlay.ko"]


class Apt:
    """Takes the place of all programs, and knows the kernel once its lists are fresh enough."""

    def __init__(self, *, fresh: bool, broken: bool = False) -> None:
        self.fresh, self.broken = fresh, broken
        self.told: list[str] = []

    def run(self, *command: object, directory: Path | None = None, check: bool = True) -> bytes:
        self.told.append(" ".join(map(str, command[:1])) + f" {command[-1]}")
        if command[-1] == "update":
            self.fresh = True
        if command[:2] == ("apt-cache", "depends"):
            return b"linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-1-cloud-amd64\n"
        if "download" in command and self.fresh and not self.broken:
            assert directory is not None
            (directory / "linux.deb").touch()
        return b"Err:1 404 Not Found"


@pytest.mark.parametrize("fresh", [True, False])
def test_lists_of_packages_are_made_fresh_only_when_they_have_to_be(monkeypatch, tmp_path: Path, *, fresh: bool):
    apt = Apt(fresh=fresh)
    monkeypatch.setattr(kernel, "_run", apt.run)
    kernel._download(tmp_path / "kernel")
    assert ("apt-get update" in apt.told) is not fresh
    assert apt.told[-2:] == ["apt-get linux-image-6.1.0-1-cloud-amd64", f"dpkg-deb {tmp_path / 'kernel'}"]
    assert list((tmp_path / "kernel").iterdir()) == []


def test_a_kernel_that_cannot_be_had_is_said_so(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(kernel, "_run", Apt(fresh=False, broken=True).run)
    with pytest.raises(Unavailable, match="does apt-get update work"):
        kernel._download(tmp_path / "kernel")
