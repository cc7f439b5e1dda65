"""Where devices and volumes are, from a tree of sysfs and the numbers of real devices."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from cri_resmgr.host.hints import hints
from cri_resmgr.values.hints import Hint
from equipment.sysfs_tree import put

DISK = "sys/devices/pci0000:00/0000:00:02.0/ata1/block/sda"
PCI = "/sys/devices/pci0000:00/0000:00:02.0"


@dataclass(frozen=True)
class Mount:
    host_path: str = "/data/file"
    container_path: str = "/data"
    readonly: bool = False


@dataclass(frozen=True)
class Device:
    host_path: str = "/data/file"
    container_path: str = "/data/file"
    permissions: str = "rwm"


@pytest.fixture
def host(tmp_path) -> Path:
    """A host with 8 CPUs, where `/data/file` is a device: on which the test's own files are depends on the machine."""
    put(tmp_path, {"sys/devices/system/cpu/online": "0-7"})
    return make_device(tmp_path, "data/file")


def make_device(host: Path, name: str) -> Path:
    """Let this name be a character device, the same for all names."""
    (host / name).parent.mkdir(parents=True, exist_ok=True)
    (host / name).symlink_to("/dev/null")
    return host


def at(host: Path, directory: str, *, device: str = "data/file") -> Path:
    """Let the device that holds a file, or that it is, be the one with this directory in sysfs."""
    found = (host / device).stat()
    kind, number = ("char", found.st_rdev) if found.st_rdev else ("block", found.st_dev)
    link = host / f"sys/dev/{kind}/{os.major(number)}:{os.minor(number)}"
    link.parent.mkdir(parents=True, exist_ok=True)
    (host / directory).mkdir(parents=True, exist_ok=True)
    link.symlink_to(host / directory)
    return host


def test_a_file_is_where_the_block_device_of_its_file_system_is(tmp_path):
    put(tmp_path, {"file": "", "sys/devices/system/cpu/online": "0-7", f".{PCI}/local_cpulist": "6"})
    at(tmp_path, DISK, device="file")
    known = os.major(tmp_path.stat().st_dev) != 0  # 0: tmpfs, overlay and the like are on no device
    assert hints([Mount("/file")], [], root=tmp_path) == ((Hint(PCI, cpus=1 << 6),) if known else ())


def test_a_file_on_no_device_gives_no_hint(host):
    (host / "version").symlink_to("/proc/version")
    put(at(host, DISK, device="version"), {f".{PCI}/local_cpulist": "6"})
    assert hints([Mount("/version")], [], root=host) == ()


def test_a_volume_is_near_the_cpus_of_the_controller_that_its_disk_hangs_on(host):
    put(at(host, DISK), {f".{PCI}/local_cpulist": "0-1,4", f".{PCI}/numa_node": "0"})
    assert hints([Mount()], [], root=host) == (Hint(PCI, cpus=0b10011, nodes=0b1),)


def test_the_first_directory_upwards_that_tells_is_believed(host):
    put(at(host, DISK), {f".{PCI}/local_cpulist": "0-1", "sys/devices/pci0000:00/local_cpulist": "0-3"})
    assert hints([Mount()], [], root=host) == (Hint(PCI, cpus=0b11),)


def test_a_node_without_cpus_takes_those_of_a_directory_above(host):
    put(at(host, DISK), {f".{PCI}/numa_node": "1", "sys/devices/pci0000:00/local_cpulist": "4-7"})
    assert hints([Mount()], [], root=host) == (Hint(PCI, cpus=0b11110000, nodes=0b10),)


def test_a_node_that_has_no_cpus_anywhere_is_a_package(host):
    put(at(host, DISK), {f".{PCI}/numa_node": "1", f".{PCI}/local_cpulist": ""})
    assert hints([Mount()], [], root=host) == (Hint(PCI, packages=0b10),)


def test_a_device_near_all_cpus_is_nowhere(host):
    put(at(host, DISK), {f".{PCI}/local_cpulist": "0-7", f".{PCI}/numa_node": "-1"})
    assert hints([Mount()], [], root=host) == ()


def test_nohost_above_sys_devices_is_asked(host):
    put(at(host, DISK), {"sys/local_cpulist": "0", "local_cpulist": "0", "sys/devices/local_cpulist": "0"})
    assert hints([Mount()], [], root=host) == ()


def test_files_that_make_no_sense_give_no_hint_and_no_error(host):
    put(at(host, DISK), {f".{PCI}/local_cpulist": "all", f".{PCI}/numa_node": "first"})
    assert hints([Mount()], [], root=host) == ()


def test_a_path_that_is_not_there_and_a_device_that_sysfs_does_not_know_give_no_hint(host):
    assert hints([Mount("/nowhere"), Mount()], [], root=host) == ()


def test_a_mount_that_the_host_does_not_provide_gives_no_hint(host):
    put(at(host, DISK), {f".{PCI}/local_cpulist": "0"})
    assert hints([Mount("")], [], root=host) == ()


def test_two_paths_on_one_device_are_one_hint(host):
    put(make_device(at(host, DISK), "data/other"), {f".{PCI}/local_cpulist": "0"})
    assert len(hints([Mount(), Mount("/data/other"), Mount()], [], root=host)) == 1


@pytest.mark.parametrize(
    "mount",
    [
        Mount(readonly=True),
        Mount(container_path="/etc/hosts"),
        Mount(container_path="/dev/termination-log"),
        Mount(container_path="/.cri-resmgr"),
        Mount(container_path="/usr/lib64/x"),
        Mount("/lib/modules"),
        Mount("/var/lib/kubelet/pods/0a-1B/volumes/kubernetes.io~configmap/c"),
        Mount("/var/lib/kubelet/pods/0a-1B/volumes/kubernetes.io~secret/s"),
        Mount("/else/pods/0a-1B/volumes/kubernetes.io~projected/p"),
    ],
)
def test_what_every_container_has_and_what_is_only_read_tells_nohost(host, mount):
    at(host, DISK)
    if mount.host_path != Mount().host_path:
        make_device(host, mount.host_path.lstrip("/"))
    put(host, {f".{PCI}/local_cpulist": "0"})
    assert hints([mount], [], root=host) == ()


@pytest.mark.parametrize("path", ["/library/x", "/etcetera", "/var/lib/kubelet/pods/0a-1B/volumes/kubernetes.io~csi/v"])
def test_a_path_that_only_looks_common_counts(host, path):
    put(make_device(at(host, DISK), path.lstrip("/")), {f".{PCI}/local_cpulist": "0"})
    assert len(hints([Mount(path, path)], [], root=host)) == 1


# -- devices


@pytest.mark.parametrize(("permissions", "count"), [("r", 0), ("", 0), ("w", 1), ("m", 1), ("rwm", 1)])
def test_a_device_counts_if_it_may_be_written_or_made(host, permissions, count):
    put(at(host, "sys/devices/card", device="data/file"), {"sys/devices/card/local_cpulist": "6"})
    assert len(hints([], [Device(permissions=permissions)], root=host)) == count


def test_a_device_made_of_others_is_where_they_are_at_every_depth(host):
    raid, mapped = (f"sys/devices/virtual/block/{name}" for name in ("md0", "dm-0"))
    at(host, f"{mapped}/part")
    put(host, {"sys/devices/pci1/sda/local_cpulist": "0", "sys/devices/pci2/sdb/local_cpulist": "4"})
    for device, parts in {mapped: [raid], raid: ["sys/devices/pci1/sda", "sys/devices/pci2/sdb"]}.items():
        (host / device / "slaves").mkdir(parents=True)
        for part in parts:
            (host / device / "slaves" / Path(part).name).symlink_to(host / part)
    assert hints([Mount()], [], root=host) == (
        Hint("/sys/devices/pci1/sda", cpus=0b1),
        Hint("/sys/devices/pci2/sdb", cpus=0b10000),
    )


def test_a_vfio_group_is_where_its_devices_are(host):
    at(host, "sys/devices/virtual/vfio/12", device="data/file")
    put(host, {"sys/devices/pci1/nic/local_cpulist": "2-3", "sys/devices/pci1/nic/numa_node": "1"})
    inside = host / "sys/kernel/iommu_groups/12/devices"
    inside.mkdir(parents=True)
    (inside / "nic").symlink_to(host / "sys/devices/pci1/nic")
    assert hints([], [Device()], root=host) == (Hint("/sys/devices/pci1/nic", cpus=0b1100, nodes=0b10),)
