"""The sandbox itself: a whole machine that comes in a second and goes without a trace."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from equipment import cgroups, sysctls, worker
from equipment.mounts import mounts_below
from equipment.processes import wait_for
from equipment.sandbox import Bind, Sandbox
from node.cluster_fixtures import SANDBOX, run_directory

pytestmark = pytest.mark.needs_root

BOOT_AND_CRASH = """
import os, sys
from pathlib import Path
from equipment.sandbox import Sandbox
Sandbox(Path(sys.argv[1]), Path(sys.argv[2]), name=sys.argv[3]).boot()
os._exit(9)
"""


@pytest.fixture
def sandbox(rootfs: Path, tmp_path: Path) -> Iterator[Sandbox]:
    (tmp_path / "word").write_text("from outside")
    made = Sandbox(run_directory(SANDBOX), rootfs, name=SANDBOX, binds=(Bind(tmp_path, "/mnt"),))
    yield made
    made.down()


def traces() -> dict[str, object]:
    """What a sandbox could leave behind."""
    return {
        "mounts": mounts_below(run_directory(SANDBOX)),
        "cgroups": [tree / SANDBOX for tree in cgroups.trees() if (tree / SANDBOX).exists()],
        "files": run_directory(SANDBOX).exists(),
        "links": Path("/sys/class/net", SANDBOX).exists(),
        "sysctls": {name: (sysctls.ROOT / name).read_text() for name in sysctls.NAMES},
    }


def test_the_machine_boots_without_a_failed_unit_and_runs_containerd(sandbox):
    sandbox.boot()
    assert sandbox.inside("systemctl", "is-system-running").strip() == "running"
    wait_for(lambda: "Server:" in sandbox.inside("ctr", "version", check=False), "containerd")
    assert sandbox.inside("cat", "/proc/1/comm") == "systemd\n"
    assert "Started containerd" in sandbox.journal("containerd")


def test_files_are_written_and_read_before_and_after_booting(sandbox):
    sandbox.write_file("/etc/early", "1", mode=0o600)
    sandbox.write_file("/var/lib/kubelet/early", "2")
    sandbox.boot()
    sandbox.write_file("/var/run/late", "3", mode=0o640)
    assert sandbox.inside("cat", "/etc/early", "/var/lib/kubelet/early", "/run/late") == "123"
    assert sandbox.inside("stat", "--format=%a", "/etc/early", "/run/late").split() == ["600", "640"]
    # /var/run is an absolute link, which from outside would lead to the host's own.
    assert sandbox.outside("/var/run/late").read_text() == "3"


def test_a_bind_shows_the_hosts_files_and_protects_them(sandbox):
    sandbox.boot()
    assert sandbox.inside("cat", "/mnt/word") == "from outside"
    with pytest.raises(RuntimeError, match="Read-only file system"):
        sandbox.inside("touch", "/mnt/new")


def test_a_command_that_fails_says_what_where_and_why(sandbox):
    sandbox.boot()
    with pytest.raises(RuntimeError, match=rf"ls /nowhere in {SANDBOX} ended with 2: .*No such file"):
        sandbox.inside("ls", "/nowhere")
    assert sandbox.inside("ls", "/nowhere", check=False) == ""


def test_a_unit_that_fails_at_boot_is_named(sandbox):
    unit = "[Service]\nType=oneshot\nExecStart=/bin/false\n[Install]\nWantedBy=multi-user.target\n"
    sandbox.write_file("/etc/systemd/system/broken.service", unit)
    sandbox.enable("broken.service")
    with pytest.raises(RuntimeError, match=r"broken\.service"):
        sandbox.boot()


def test_a_reboot_keeps_the_disk_and_nothing_else(sandbox):
    sandbox.boot()
    sandbox.write_file("/etc/kept", "kept")
    sandbox.write_file("/run/lost", "lost")
    machine = sandbox.inside("cat", "/etc/machine-id")
    sandbox.reboot()
    assert sandbox.inside("cat", "/etc/kept") == "kept"
    assert sandbox.inside("cat", "/etc/machine-id") == machine
    assert sandbox.inside("ls", "/run/lost", check=False) == ""


def test_going_down_leaves_nothing(rootfs):
    before = traces()
    sandbox = Sandbox(run_directory(SANDBOX), rootfs, name=SANDBOX)
    worker.furnish_containerd(sandbox)
    sandbox.boot()
    # As a kubelet and a pod network would.
    sandbox.inside("sh", "-c", "echo $((1 - $(cat /proc/sys/vm/overcommit_memory))) >/proc/sys/vm/overcommit_memory")
    sandbox.inside("ip", "link", "add", sandbox.bridge, "type", "bridge")
    pid = sandbox.leader()
    assert traces() != before
    sandbox.down()
    assert traces() == before
    assert not Path(f"/proc/{pid}").exists()


def test_the_next_run_clears_away_what_a_killed_run_has_left(rootfs):
    before = traces()
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", BOOT_AND_CRASH, run_directory(SANDBOX), rootfs, SANDBOX]
    assert subprocess.run(command, env=environment, check=False).returncode == 9
    assert cgroups.processes_below(SANDBOX)
    Sandbox(run_directory(SANDBOX), rootfs, name=SANDBOX).down()
    assert not cgroups.processes_below(SANDBOX)
    assert traces() == before
