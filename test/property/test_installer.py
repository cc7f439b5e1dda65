"""The installer killed at every instruction that changes something: what is run next ends in the wanted state, or the
host is byte for byte what it was."""

import contextlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from doubles.node import CONFIG, PLAIN, ModelHost, make_bundle, make_root
from installer import files, installing, layout, undoing
from installer.errors import Error
from installer.journal import Journal
from installer.options import SERVICE, Options

KILLED, FAILED = 137, 1
CHANGING = frozenset({
    "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.symlink", "os.chmod", "os.chown", "os.utime", "os.truncate",
})  # fmt: skip
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
Operation = Callable[["Node"], object]


@dataclass(frozen=True)
class Node:
    """A host below a directory, and what can be installed on it."""

    directory: Path

    @property
    def root(self) -> Path:
        return self.directory / "root"

    @property
    def host(self) -> ModelHost:
        return ModelHost(self.root)

    def options(self, bundle: str = "one", config: str = "plain") -> Options:
        return Options(
            host_root=self.root, bundle=self.directory.parent / bundle, config_dir=self.directory.parent / config
        )

    @contextlib.contextmanager
    def copied(self, name: str) -> Iterator["Node"]:
        """A twin for a while."""
        twin = self.copy(name)
        try:
            yield twin
        finally:
            shutil.rmtree(twin.directory)

    def copy(self, name: str) -> "Node":
        """The same host again."""
        twin = Node(self.directory.with_name(name))
        shutil.copytree(self.directory, twin.directory, symlinks=True)
        return twin


def install(bundle: str = "one", config: str = "plain") -> Operation:
    return lambda node: installing.install(node.options(bundle, config), node.host)  # type: ignore[arg-type]


def uninstall(node: Node) -> object:
    return undoing.uninstall(node.options(), node.host)  # type: ignore[arg-type]


def reboot(node: Node) -> object:
    return node.host.reboot()


def run(node: Node, operation: Operation, *, kill_at: int = 0) -> int:
    """Run in a process of its own that dies before its `kill_at`th change; the exit code."""
    child = os.fork()
    if child == 0:
        code = FAILED
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            if kill_at:
                sys.addaudithook(_killer(str(node.directory), kill_at))
            with contextlib.suppress(Error):
                operation(node)
                code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _killer(below: str, kill_at: int) -> Callable[[str, tuple[object, ...]], None]:
    left = kill_at

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING
        if writes and not str(arguments[0]).startswith(below):
            return
        if writes or event in CHANGING:
            left -= 1
            if not left:
                os._exit(KILLED)

    return hook


def look(node: Node) -> dict[str, files.Found]:
    """Everything on the host; times of files count, those of directories and of what only ever grows do not."""
    found = {}
    for path in sorted(node.root.rglob("*")):
        one = files.look(path)
        found[str(path.relative_to(node.root))] = replace(one, mtime_ns=0) if one.kind == "directory" else one
    return found


def without_times(node: Node) -> dict[str, files.Found]:
    """Two installations differ in their times, and in how the journal came about."""
    return {path: replace(one, mtime_ns=0) for path, one in look(node).items() if "installer/journal" not in path}


def kernel(node: Node) -> dict[str, object]:
    """What runs, without process ids."""
    memory = node.host.memory
    return {**memory, "kubelet": {**memory["kubelet"], "pid": 0}}


@pytest.fixture(scope="module")
def places() -> Iterator[Path]:
    """A directory with bundles and configurations; in memory, where a sync costs nothing."""
    base = "/dev/shm" if Path("/dev/shm").is_dir() else None
    directory = Path(tempfile.mkdtemp(prefix="installer-", dir=base))
    try:
        for version in ("one", "two"):
            make_bundle(directory / version, version)
        make_bundle(directory / "broken", "broken", broken=True)
        for name, configs in (("plain", ("fallback.cfg",)), ("forced", ("force.cfg",))):
            (directory / name).mkdir()
            for config in configs:
                (directory / name / config).write_text("policy:\n  Active: none\n")
        yield directory
    finally:
        shutil.rmtree(directory)


@pytest.fixture(autouse=True)
def calm(monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole machine is not synced a thousand times."""
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(os, "fsync", lambda _: None)


def fresh(places: Path, name: str = "fresh") -> Node:
    """The host before anything, the same to the nanosecond each time."""
    original, node = Node(places / "original"), Node(places / name)
    if not original.directory.exists():
        original.root.mkdir(parents=True)
        make_root(original.root)
    shutil.rmtree(node.directory, ignore_errors=True)
    return original.copy(name)


def prepared(places: Path, *before: Operation) -> Node:
    node = fresh(places, "prepared")
    for operation in before:
        assert run(node, operation) == 0
    return node


def assert_as_at_first(node: Node, first: Node) -> None:
    assert look(node) == look(first)
    assert kernel(node) == kernel(first)


def assert_installed(node: Node, wanted: Node) -> None:
    assert kernel(node) == kernel(wanted)
    assert without_times(node) == without_times(wanted)
    assert Journal(files.inside(node.root, layout.OURS)).record.operation == ""


def kill_points(node: Node, operation: Operation) -> Iterator[tuple[int, Node]]:
    """The host after a kill before the first change, the second, …, until the operation ends by itself."""
    for at in range(1, 2000):
        victim = node.copy("victim")
        code = run(victim, operation, kill_at=at)
        if code == KILLED:
            yield at, victim
        shutil.rmtree(victim.directory)
        if code != KILLED:
            return
    raise AssertionError("the operation never ends")


CASES = {
    "the first installation": ((), install("one")),
    "an upgrade": ((install("one"),), install("two", "forced")),
    "a repair": (
        (install("one"), lambda node: (node.root / "opt/cri-resmgr/one/bin/python3").unlink()),
        install("one"),
    ),
    "an uninstall": ((install("one"), install("two")), uninstall),
    "an upgrade that fails": ((install("one"),), install("broken")),
    "an installation that fails": ((), install("broken")),
}


@pytest.mark.parametrize("case", CASES)
def test_killed_at_any_point_it_is_continued_undone_or_survives_a_reboot(places, case):
    before, operation = CASES[case]
    first, start = fresh(places), prepared(places, *before)
    wanted = start.copy("wanted")
    code, points = run(wanted, operation), 0
    for at, victim in kill_points(start, operation):
        context = f"killed before change {at}"
        with victim.copied("again") as again:
            assert run(again, operation) == code, context
            assert again.host.memory["broken_laws"] == [], context
            assert_installed(again, wanted)
        with victim.copied("undone") as undone:
            assert run(undone, uninstall) == 0, context
            assert_as_at_first(undone, first)
        reboot(victim)
        assert victim.host.kubelet_is_well(), context
        assert victim.host.memory["broken_laws"] == [], context
        points += 1
    shutil.rmtree(wanted.directory)
    print(f"\n{case}: {points} kill points, each continued, undone and rebooted")
    assert points > 10


@pytest.mark.parametrize("lost", ["opt", "etc/systemd/system", "etc/systemd/system.control", "etc/cri-resmgr", "etc"])
def test_a_node_that_has_lost_part_of_us_starts_its_kubelet_on_the_plain_runtime(places, lost):
    node = prepared(places, install("one"))
    shutil.rmtree(node.root / lost)
    node.host.reboot()
    assert node.host.memory["kubelet"]["endpoint"] == PLAIN
    assert node.host.kubelet_is_well()
    assert (node.root / "var/lib/kubelet/extra_args").read_text() == "PROVIDER_ID=some\n"


STEPS = st.sampled_from([
    install("one"), install("two"), install("one", "forced"), install("broken"), uninstall, reboot,
])  # fmt: skip
LIVES = st.lists(st.tuples(STEPS, st.none() | st.integers(1, 120)), max_size=6)


@given(life=LIVES)
@settings(max_examples=40)
def test_whatever_happened_before_an_uninstall_leaves_what_was_there_first(places, life):
    first, node = fresh(places), fresh(places, "node")
    for operation, kill_at in life:
        run(node, operation, kill_at=kill_at or 0)
    assert run(node, uninstall) == 0
    assert node.host.memory["broken_laws"] == []
    assert_as_at_first(node, first)


@given(life=LIVES)
@settings(max_examples=40)
def test_whatever_happened_before_an_installation_is_what_it_would_be_on_a_new_host(places, life):
    wanted, node = fresh(places), fresh(places, "node")
    assert run(wanted, install("two", "forced")) == 0
    for operation, kill_at in life:
        run(node, operation, kill_at=kill_at or 0)
    assert run(node, install("two", "forced")) == 0
    assert node.host.memory["broken_laws"] == []
    assert_installed(node, wanted)


def test_many_rounds_leave_no_trace(places):
    first, node = fresh(places), fresh(places, "node")
    for _ in range(5):
        assert run(node, install("one")) == 0
        assert run(node, install("two")) == 0
        assert node.host.memory["active"] == [SERVICE]
        assert run(node, uninstall) == 0
    assert_as_at_first(node, first)
    assert (node.root / CONFIG.lstrip("/")).exists()


def test_a_directory_that_the_kubelet_has_made_for_a_pod_of_ours_is_closed_and_goes_with_us(places):
    node = Node(places / "early")
    make_root(node.root)
    above = node.root / "var/lib/cri-resmgr"
    (above / "installer").mkdir(parents=True)
    above.chmod(0o755)
    assert run(node, install()) == 0
    assert above.stat().st_mode & 0o777 == 0o710
    assert run(node, uninstall) == 0
    assert not above.exists()


def test_prometheus_is_told_whether_the_configuration_is_forced(places):
    node = fresh(places, "told")
    for config, told in (("plain", 0), ("forced", 1), ("plain", 0)):
        assert run(node, install(config=config)) == 0
        text = files.inside(node.root, f"{layout.OURS}/metrics.prom").read_text()
        assert f"cri_resmgr_installer_forced {told}\n" in text
