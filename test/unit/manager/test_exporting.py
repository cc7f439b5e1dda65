"""A container finds its own CPUs in a file that any shell can read, and never half of it."""

import asyncio
import os
import stat
import subprocess
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.cri.messages import Mount
from cri_resmgr.manager import exporting
from cri_resmgr.manager.exporting import Exporter, text_of
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import Holding
from cri_resmgr.values.workloads import Container, State
from doubles.runtime import FakeRuntime
from unit.manager.managers import Manager

CONTAINER = Container("pod1", "web", 0)
EXPORTS = {"SHARED_CPUS": "0-3,8", "ALL_MEMS": "0"}
TEXT = 'ALL_MEMS="0"\nSHARED_CPUS="0-3,8"\n'
names = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True).map(lambda name: f"X_{name}")
values = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)


def file_of(mount: Mount | None) -> Path:
    assert mount is not None
    return Path(mount.host_path, "resources.sh")


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_container_gets_a_directory_of_its_own_read_only(tmp_path):
    exporter = Exporter(tmp_path)
    mount = exporter.mount_for(CONTAINER, EXPORTS)
    assert mount == Mount(str(tmp_path / "containers" / "pod1~web~0"), "/.cri-resmgr", readonly=True)
    assert file_of(mount).read_text() == TEXT
    assert file_of(exporter.mount_for(Container("pod1", "web", 1), EXPORTS)) != file_of(mount)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_any_user_of_the_container_may_read_it_and_nobody_else_finds_it(tmp_path, umask):
    before = os.umask(umask)
    try:
        file = file_of(Exporter(tmp_path).mount_for(CONTAINER, EXPORTS))
    finally:
        os.umask(before)
    assert (mode_of(file), mode_of(file.parent), mode_of(file.parents[1])) == (0o644, 0o755, 0o710)


def test_a_container_about_which_there_is_nothing_to_say_gets_no_mount(tmp_path):
    assert Exporter(tmp_path).mount_for(CONTAINER, {}) is None
    assert list(tmp_path.iterdir()) == []


async def change(exporter: Exporter, exports: dict[str, str], container: Container = CONTAINER) -> None:
    """Change and wait until it is written."""
    exporter.changed(container, exports)
    await exporter.close()


async def test_a_change_takes_the_place_of_the_file_under_a_readers_eyes(tmp_path):
    exporter = Exporter(tmp_path)
    file = file_of(exporter.mount_for(CONTAINER, EXPORTS))
    with file.open() as reader:
        await change(exporter, {"SHARED_CPUS": "1"})
        assert reader.read() == TEXT
    assert file.read_text() == 'SHARED_CPUS="1"\n'
    assert [path.name for path in file.parent.iterdir()] == ["resources.sh"]
    await change(exporter, {})
    assert file.read_text() == ""


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_file_that_says_it_already_is_not_written(tmp_path, restarted):
    exporter = Exporter(tmp_path)
    file = file_of(exporter.mount_for(CONTAINER, EXPORTS))
    before = file.stat().st_ino
    await change(Exporter(tmp_path) if restarted else exporter, dict(reversed(EXPORTS.items())))
    assert file.stat().st_ino == before


async def test_after_a_restart_files_go_on_being_changed_and_removed(tmp_path):
    file = file_of(Exporter(tmp_path).mount_for(CONTAINER, EXPORTS))
    exporter = Exporter(tmp_path)
    await change(exporter, {"SHARED_CPUS": "1"})
    assert file.read_text() == 'SHARED_CPUS="1"\n'
    exporter.gone(CONTAINER)
    await exporter.close()
    assert not file.parent.exists()


async def test_a_container_without_a_file_gets_none_later_and_costs_nothing(tmp_path):
    exporter = Exporter(tmp_path)
    exporter.changed(CONTAINER, EXPORTS)
    exporter.gone(CONTAINER)
    assert exporter._working is None
    assert list(tmp_path.iterdir()) == []


async def test_a_reader_never_sees_half_a_file(tmp_path):
    exporter = Exporter(tmp_path)
    texts = [{"SHARED_CPUS": str(number) * 5000} for number in range(2)]
    file = file_of(exporter.mount_for(CONTAINER, texts[0]))
    whole, over, seen = {text_of(text) for text in texts}, threading.Event(), set()

    def read() -> None:
        while not over.is_set():
            seen.add(file.read_text())

    reader = threading.Thread(target=read)
    reader.start()
    for turn in range(300):
        await change(exporter, texts[turn % 2])
    over.set()
    reader.join()
    assert seen
    assert seen <= whole


async def test_of_many_changes_the_last_is_written_and_the_loop_waits_for_none(tmp_path, monkeypatch):
    threads, write = set(), exporting._replace

    def noted(file: Path, text: str) -> None:
        threads.add(threading.get_ident())
        write(file, text)

    exporter = Exporter(tmp_path)
    containers = [Container("pod1", f"c{number}", 0) for number in range(20)]
    files = [file_of(exporter.mount_for(container, EXPORTS)) for container in containers]
    monkeypatch.setattr(exporting, "_replace", noted)
    for turn in range(50):
        for container in containers:
            exporter.changed(container, {"SHARED_CPUS": str(turn)})
        await asyncio.sleep(0)
    await exporter.close()
    assert {file.read_text() for file in files} == {'SHARED_CPUS="49"\n'}
    assert threading.get_ident() not in threads


async def test_what_is_gone_leaves_nothing(tmp_path):
    exporter = Exporter(tmp_path)
    file = file_of(exporter.mount_for(CONTAINER, EXPORTS))
    (file.parent / ".resources.sh").write_text("half of i")
    exporter.changed(CONTAINER, {"SHARED_CPUS": "1"})
    exporter.gone(CONTAINER)
    exporter.gone(CONTAINER)
    await exporter.close()
    assert list((tmp_path / "containers").iterdir()) == []


async def test_a_container_that_comes_again_keeps_its_file_though_the_earlier_one_is_still_going(tmp_path):
    exporter = Exporter(tmp_path)
    exporter.mount_for(CONTAINER, EXPORTS)
    with exporter._lock:  # the disk is slow
        exporter.gone(CONTAINER)
        while not exporter._doing:
            await asyncio.sleep(0)
    file = file_of(exporter.mount_for(CONTAINER, {"SHARED_CPUS": "7"}))
    await exporter.close()
    assert file.read_text() == 'SHARED_CPUS="7"\n'


@given(st.lists(st.sampled_from(["make", "change", "clear", "gone", "wait", "yield"]), max_size=30))
def test_in_the_end_the_file_is_what_was_last_said_of_it(steps):
    async def check(root: Path) -> None:
        exporter, expected = Exporter(root), None
        for number, step in enumerate(steps):
            if step == "make":
                exporter.mount_for(CONTAINER, {"N": str(number)})
                expected = f'N="{number}"\n'
            elif step == "change":
                exporter.changed(CONTAINER, {"N": str(number)})
                expected = None if expected is None else f'N="{number}"\n'
            elif step == "clear":
                exporter.changed(CONTAINER, {})
                expected = None if expected is None else ""
            elif step == "gone":
                exporter.gone(CONTAINER)
                expected = None
            elif step == "wait":
                await exporter.close()
            else:
                await asyncio.sleep(0)
        await exporter.close()
        file = root / "containers" / "pod1~web~0" / "resources.sh"
        assert (file.read_text() if file.parent.exists() else None) == expected

    with TemporaryDirectory() as root:
        asyncio.run(check(Path(root)))


def test_a_crash_in_the_middle_is_made_good_by_the_next_one(tmp_path):
    (tmp_path / "containers" / "pod1~web~0").mkdir(parents=True, mode=0o700)
    (tmp_path / "containers" / "pod1~web~0" / ".resources.sh").write_text(
        "much longer than what will be written now" * 9
    )
    file = file_of(Exporter(tmp_path).mount_for(CONTAINER, EXPORTS))
    assert file.read_text() == TEXT
    assert mode_of(file.parent) == 0o755


def test_at_start_only_what_still_exists_keeps_its_file(tmp_path):
    exporter = Exporter(tmp_path)
    kept, left = (file_of(exporter.mount_for(Container("pod1", name, 0), EXPORTS)) for name in ("a", "b"))
    Exporter(tmp_path).sweep({"pod1/a/0": "x", "pod9/z/0": "x"}.keys())
    assert kept.exists()
    assert not left.parent.exists()


def test_there_may_be_nothing_to_sweep(tmp_path):
    Exporter(tmp_path).sweep([])
    assert list(tmp_path.iterdir()) == []


def test_what_somebody_else_has_put_there_stays(tmp_path):
    theirs = tmp_path / "containers" / "pod1~web~0" / "notes"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("mine")
    (tmp_path / "containers" / "file").write_text("mine")
    Exporter(tmp_path).sweep([])
    assert theirs.read_text() == (tmp_path / "containers" / "file").read_text() == "mine"


@pytest.mark.parametrize("part", ["../../etc", "", "~", "x" * 300, "é", "\udcff", "a b", ".."])
def test_no_name_leads_elsewhere(tmp_path, part):
    for container in (Container(part, "c", 0), Container("p", part, 0)):
        file = file_of(Exporter(tmp_path).mount_for(container, EXPORTS))
        assert file.parents[1] == tmp_path / "containers"
        assert file.resolve() == file


@given(
    st.lists(st.tuples(st.text("ab~/.", max_size=4), st.text("ab~.", max_size=4)), unique=True, min_size=2, max_size=2)
)
def test_two_containers_never_share_a_directory(ids):
    keys = {Container(pod_id, name, 0).key for pod_id, name in ids}
    assert len({exporting._name(key) for key in keys}) == len(keys)


def test_a_disk_that_takes_no_new_file_is_reported_and_the_container_goes_without(tmp_path, logged):
    (tmp_path / "containers").write_text("a file where a directory should be")
    reports = []
    exporter = Exporter(tmp_path, failed=lambda container, text: reports.append((container, text)))
    assert exporter.mount_for(CONTAINER, EXPORTS) is None
    ((container, text),) = reports
    assert container == CONTAINER
    assert text.startswith(f"{tmp_path}/containers: File exists; the container goes without resources.sh")
    assert [entry["event"] for entry in logged] == ["export.failed"]


async def test_a_disk_that_takes_no_change_is_reported_and_the_next_one_is_tried(tmp_path, monkeypatch):
    reports = []
    exporter = Exporter(tmp_path, failed=lambda container, text: reports.append((container.key, text)))
    file = file_of(exporter.mount_for(CONTAINER, EXPORTS))

    def full(file: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(file))

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "_replace", full)
        await change(exporter, {"SHARED_CPUS": "1"})
    assert file.read_text() == TEXT
    ((key, text),) = reports
    assert (key, "No space left on device" in text) == ("pod1/web/0", True)
    await change(exporter, {"SHARED_CPUS": "1"})
    assert file.read_text() == 'SHARED_CPUS="1"\n'


async def test_a_file_that_a_crash_has_left_behind_is_brought_up_to_date_by_the_next_daemon(tmp_path):
    container = replace(CONTAINER, id="c1", state=State.RUNNING, holding=Holding(policy="scripted", shared="1-3"))
    with closing(Store.open(tmp_path / "relay")) as store:
        ledger = Ledger()
        ledger.put(container)
        store.write(ledger.take_changes())
        file = file_of(Exporter(tmp_path / "relay").mount_for(container, EXPORTS))
        manager = Manager(store, FakeRuntime(), budget_s=30)
        manager.policy.exports = lambda container: {"SHARED_CPUS": container.holding.shared}
        manager.placing.begin()
        await manager.close()
    assert file.read_text() == 'SHARED_CPUS="1-3"\n'


@given(st.dictionaries(names, values, max_size=4))
def test_a_shell_reads_what_was_said(exports):
    shown = "".join(f'printf "%s\\0" "${name}";' for name in exports)
    done = subprocess.run(["sh", "-uc", f"{text_of(exports)}\n{shown}"], check=True, capture_output=True, timeout=60)
    assert done.stdout.decode().split("\0")[:-1] == list(exports.values())
