"""A machine that was captured for a bug report is, unpacked somewhere else, the same machine."""

import subprocess
import sys
import tarfile
from pathlib import Path

from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.host.topology import discover
from cri_resmgr.values.machines import Machine, MemoryKind, Priority
from equipment.sysfs_tree import CPU, NODE, put, write

PROGRAM = Path(__file__).parents[3] / "hacks" / "capture-sysfs"


def captured(*arguments: object) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, PROGRAM, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, check=False)


def unpacked(archive: Path, where: Path) -> Machine:
    with tarfile.open(archive) as tar:
        tar.extractall(where, filter="data")
    return discover(where)


def test_everything_that_discovery_reads_is_in_it(tmp_path):
    machine = grid(
        packages=3,
        cores=2,
        threads=2,
        offline=0xF01,
        isolated=0b100,
        memory_nodes=[MemoryNode(1 << 30, MemoryKind.HBM, 0, 12)],
    )
    root = write(machine, tmp_path / "host")
    put(
        root, {"sys/devices/cpu_core/cpus": "1-3", "sys/devices/cpu_atom/cpus": "4-7", f"{NODE}/has_normal_memory": "0"}
    )
    put(root, {f"{CPU}/cpufreq/policy{cpu}/base_frequency": 1_000_000 * (2 + cpu % 2) for cpu in range(8)})
    put(
        root,
        {
            f"{CPU}/cpufreq/policy{cpu}/energy_performance_preference": ("power", "performance")[cpu > 5]
            for cpu in range(8)
        },
    )
    for cpu in range(8):  # cpufreq is a link in sysfs
        (root / CPU / f"cpu{cpu}/cpufreq").symlink_to(f"../cpufreq/policy{cpu}")
    archive = tmp_path / "host.tar.gz"
    done = captured(archive, root)
    found = unpacked(archive, tmp_path / "elsewhere")
    assert (done.returncode, done.stderr) == (0, "")
    assert found == discover(root)
    assert (found.offline, found.isolated, found.nodes[2].kind) == (0xF01, 0b100, MemoryKind.DRAM)
    assert (found.priorities[Priority.HIGH], set(found.core_kinds)) == (0b11001010, {"performance", "efficient"})


def test_this_machine_can_be_captured(tmp_path):
    archive = tmp_path / "here.tgz"
    assert captured(archive).returncode == 0
    found, here = unpacked(archive, tmp_path / "elsewhere"), discover()
    assert (found.online, found.cores, found.caches) == (here.online, here.cores, here.caches)


def test_a_machine_without_numa_takes_its_memory_along(tmp_path):
    root = write(grid(cores=2), tmp_path / "host")
    (root / NODE).rename(tmp_path / "away")
    put(root, {"proc/meminfo": "MemTotal: 4096 kB"})
    assert captured(tmp_path / "a.tgz", root).stdout == f"{tmp_path}/a.tgz: {len(files(root))} files\n"
    assert unpacked(tmp_path / "a.tgz", tmp_path / "elsewhere").nodes[0].memory_bytes == 4 << 20


def files(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.is_file()]


def test_without_a_name_for_the_archive_it_says_how_it_is_used():
    done = captured()
    assert done.returncode == 2
    assert "hacks/capture-sysfs OUT.tar.gz [ROOT]" in done.stderr
