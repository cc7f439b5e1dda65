"""The bundle runs on a machine that has a shell and nothing else, wherever it lies there."""

import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from doubles.runtime import FakeRuntime, served
from equipment import machine
from equipment.bundles import bare_root, build, copy_checkout
from equipment.cri import CriClient
from equipment.processes import Processes, wait_for

pytestmark = [pytest.mark.needs_root, pytest.mark.timeout(600)]

TREES = ("dev", "proc", "sys")
LIMIT_BYTES = 100_000_000


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_checkout(tmp_path_factory.mktemp("source") / "checkout")


@pytest.fixture(scope="module")
def bundle(checkout: Path, tmp_path_factory: pytest.TempPathFactory, shown) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("bundles")
    begun_s = time.monotonic()
    tree = build(checkout, place / "bundle")
    with shown():
        size_bytes = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file())
        print(f"\nbundle: {size_bytes / 1e6:.0f} MB, made in {time.monotonic() - begun_s:.0f} s")
    yield tree
    shutil.rmtree(place)


@pytest.fixture
def root(bundle: Path, tmp_path: Path) -> Path:
    """A machine with the bundle in the place where the installer puts it."""
    machine.ensure_apt("busybox-static")
    made = bare_root(tmp_path / "root")
    version = (bundle / "VERSION").read_text().strip()
    shutil.copytree(bundle, made / "opt/cri-resmgr" / version)
    (made / "opt/cri-resmgr/current").symlink_to(version)
    return made


def inside(root: Path, *command: str, environment: dict[str, str] | None = None) -> str:
    entry = [shutil.which("chroot"), str(root), *command]
    done = subprocess.run(entry, env=environment or {}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_answers_where_there_is_neither_python_nor_a_c_library(root: Path):
    assert "build:   test" in inside(root, "/opt/cri-resmgr/current/bin/cri-resmgr", "--version")
    assert "topology-aware" in inside(root, "/opt/cri-resmgr/current/bin/cri-resmgr", "--list-policies")
    assert "VERB" in inside(root, "/opt/cri-resmgr/current/bin/cri-resmgr-installer", "--help")


def test_it_runs_wherever_it_is_moved_and_through_links(root: Path):
    (root / "opt/cri-resmgr").rename(root / "var/a place")
    (root / "bin/relative").symlink_to("../var/a place/current/bin/cri-resmgr")
    (root / "bin/absolute").symlink_to("/bin/relative")
    for name in ("/bin/relative", "/bin/absolute", "/var/a place/current/bin/cri-resmgr"):
        assert "build:   test" in inside(root, name, "--version")


def test_what_is_started_through_the_link_stays_with_its_version(root: Path):
    python = "/opt/cri-resmgr/current/bin/python3"
    version = (root / "opt/cri-resmgr/current").readlink()
    said = inside(root, python, "-c", "import sys, cri_resmgr; print(sys.executable, cri_resmgr.__file__, *sys.path)")
    assert "current" not in said
    assert all(word.startswith(f"/opt/cri-resmgr/{version}/") for word in said.split() if word)


def test_preloaded_libraries_and_pythons_of_the_host_do_not_matter(root: Path):
    foreign = {"LD_PRELOAD": "/nowhere.so", "LD_LIBRARY_PATH": "/lib", "PYTHONHOME": "/usr", "PYTHONPATH": "/tmp"}
    assert "version" in inside(root, "/opt/cri-resmgr/current/bin/cri-resmgr", "--version", environment=foreign)


def test_each_library_finds_what_it_needs_in_the_tree(root: Path):
    tree = "/opt/cri-resmgr/current"
    found = [
        path for path in (root / tree[1:]).resolve().rglob("*") if ".so" in path.suffixes or path.name == "python3.11"
    ]
    programs = [
        path for path in found if path.is_file() and path.read_bytes()[:4] == b"\x7fELF" and path.name != "ld.so"
    ]
    assert len(programs) > 20
    for program in programs:
        inner = "/" + str(program.relative_to(root))
        listed = inside(root, f"{tree}/lib/ld.so", "--inhibit-cache", "--library-path", f"{tree}/lib", "--list", inner)
        assert "not found" not in listed, f"{inner}:\n{listed}"


def test_the_daemon_serves_from_it_and_reads_its_configuration(root: Path, tmp_path: Path, shown):
    runtime = FakeRuntime()
    (root / "run/forced.cfg").write_text("policy:\n  Active: topology-aware\n  ReservedResources:\n    CPU: 1\n")
    processes = Processes(tmp_path / "processes")
    for tree in TREES:
        subprocess.run(["mount", "--bind", f"/{tree}", root / tree], check=True)
    try:
        with served(runtime, root / "run/runtime.sock"):
            begun_s = time.monotonic()
            processes.start("daemon", [
                "chroot", root, "/opt/cri-resmgr/current/bin/cri-resmgr", "--runtime-socket", "/run/runtime.sock",
                "--relay-socket", "/run/relay.sock", "--relay-dir", "/var/state", "--force-config", "/run/forced.cfg",
                "--pid-file", "/run/pid",
            ])  # fmt: skip
            processes.wait_for("daemon", (root / "run/relay.sock").exists, "the relay's socket")
            took_s = time.monotonic() - begun_s
            with CriClient(root / "run/relay.sock") as cri:
                assert cri("Version").runtime_name == "containerd"
            wait_for(lambda: "topology-aware" in processes.log("daemon"), "the policy", 30)
            status = Path(f"/proc/{processes.pid('daemon')}/status").read_text()
            resident_kb = int(re.search(r"VmRSS:\s+(\d+)", status)[1])
            with shown():
                print(
                    f"\nthe daemon from the bundle: listens after {took_s:.2f} s, {resident_kb / 1024:.0f} MiB resident"
                )
    finally:
        processes.stop_all()
        for tree in TREES:
            subprocess.run(["umount", root / tree], check=True)


def test_the_manifest_names_every_file_with_its_sum(bundle: Path):
    told = dict(reversed(line.split("  ", 1)) for line in (bundle / "MANIFEST").read_text().splitlines())
    files = {path.relative_to(bundle).as_posix(): path for path in bundle.rglob("*") if path.is_file()}
    assert told.keys() == files.keys() - {"MANIFEST"}
    assert all(hashlib.sha256(files[name].read_bytes()).hexdigest() == told[name] for name in told)


def test_it_has_files_and_directories_only_that_nobody_but_the_owner_may_change(bundle: Path):
    modes = {stat.filemode(path.lstat().st_mode) for path in bundle.rglob("*")}
    assert modes == {"drwxr-xr-x", "-rw-r--r--", "-rwxr-xr-x"}
    assert all(os.access(path, os.X_OK) for path in (bundle / "bin").iterdir())


def test_it_is_small_and_has_nothing_that_a_node_does_not_need(bundle: Path):
    assert sum(path.stat().st_size for path in bundle.rglob("*") if path.is_file()) < LIMIT_BYTES
    packages = bundle / "lib/python3/dist-packages"
    left_out = (
        "kubernetes",
        "grpc",
        "aiohttp",
        "extension",
        "cri_resmgr/agent",
        "cri_resmgr/kube",
        "cri_resmgr/webhook",
    )
    assert [name for name in left_out if (packages / name).exists()] == []
    sources = {path.with_suffix("") for path in packages.rglob("*.py")}
    compiled = {path.parent.parent / path.name.partition(".")[0] for path in packages.rglob("*.pyc")}
    assert sources == compiled


def test_what_is_in_it_is_listed_with_its_licences(bundle: Path):
    document = json.loads((bundle / "share/sbom.spdx.json").read_text())
    names = {package["name"] for package in document["packages"]}
    assert {"libc6", "python3.11-minimal", "protobuf", "pydantic", "PyYAML", "structlog"} <= names
    debian = {path.name for path in (bundle / "share/licenses").iterdir()} - {"LICENSE"}
    assert debian == {package["name"] for package in document["packages"] if "deb" in package["SPDXID"].split("-")}
    for metadata in (bundle / "lib/python3/dist-packages").glob("*.dist-info"):
        assert [path for path in metadata.rglob("*") if "LICEN" in path.name.upper()], f"{metadata} has no licence"


def test_a_second_build_somewhere_else_has_the_same_bytes(bundle: Path, tmp_path: Path):
    other = build(copy_checkout(tmp_path / "another place"), tmp_path / "tree", "--tarball", tmp_path / "bundle.tar.gz")
    assert (other / "MANIFEST").read_text() == (bundle / "MANIFEST").read_text()
    with tarfile.open(tmp_path / "bundle.tar.gz") as archive:
        (name,) = {entry.name.split("/")[0] for entry in archive}
    assert name == f"cri-resmgr-{(bundle / 'VERSION').read_text().strip()}"
