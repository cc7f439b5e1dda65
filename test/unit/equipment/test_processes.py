import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from equipment.processes import Processes, Recorded, start_ticks, wait_for

SLEEP = ["sleep", "1000"]
# Says so once TERM no longer ends it.
STUBBORN = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"]


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    registry = Processes(tmp_path)
    yield registry
    registry.stop_all()


def test_a_started_process_lives_until_it_is_stopped(processes):
    pid = processes.start("a", SLEEP)
    assert processes.alive("a")
    assert processes.pid("a") == pid
    processes.stop("a")
    assert not processes.alive("a")
    assert start_ticks(pid) is None


def test_what_a_process_writes_is_in_its_log_over_all_its_starts(processes):
    for word in ("one", "two"):
        processes.start("a", ["sh", "-c", f"echo {word}; echo {word}-error >&2"])
        wait_for(lambda: not processes.alive("a"), "the process to end")
    assert processes.log("a").split() == ["one", "one-error", "two", "two-error"]
    assert processes.log("never-started") == ""


def test_a_process_that_ignores_term_is_killed_after_the_deadline(processes):
    pid = processes.start("a", STUBBORN)
    processes.wait_for("a", lambda: "ready" in processes.log("a"), "the trap")
    processes.stop("a", deadline_s=0.1)
    assert start_ticks(pid) is None


def test_kill_is_a_crash_not_a_request(processes):
    processes.start("a", ["sh", "-c", "trap 'echo asked; exit' TERM; echo ready; while :; do sleep 0.05; done"])
    processes.wait_for("a", lambda: "ready" in processes.log("a"), "the trap")
    processes.kill("a")
    assert "asked" not in processes.log("a")
    assert not processes.alive("a")


def test_a_name_is_taken_while_its_process_runs_and_free_afterwards(processes):
    processes.start("a", SLEEP)
    with pytest.raises(RuntimeError, match="a runs already"):
        processes.start("a", SLEEP)
    processes.kill("a")
    processes.start("a", SLEEP)


def test_the_environment_and_the_directory_are_handed_on(processes, tmp_path):
    processes.start("a", ["sh", "-c", "echo $WORD in $PWD"], env={"WORD": "seen"}, cwd=tmp_path)
    wait_for(lambda: f"seen in {tmp_path}" in processes.log("a"), "the words")


def test_a_process_is_in_its_cgroups_before_it_runs(processes, tmp_path):
    cgroups = [tmp_path / "cpu", tmp_path / "memory with blanks"]
    for cgroup in cgroups:
        cgroup.mkdir()
    pid = processes.start("a", ["sleep", "1000"], cgroups=cgroups)
    wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "exec")
    assert [(cgroup / "cgroup.procs").read_text() for cgroup in cgroups] == [f"{pid}\n"] * 2


def test_what_a_crashed_run_has_left_is_ended_by_the_next(tmp_path):
    program = "import sys; from pathlib import Path; from equipment.processes import Processes; "
    program += "print(Processes(Path(sys.argv[1])).start('a', ['sleep', '1000'])); "
    program += "import os; os._exit(9)"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        check=False,
    )
    pid = int(done.stdout)
    try:
        assert start_ticks(pid) is not None
        Processes(tmp_path).stop_all()
        assert start_ticks(pid) is None
    finally:
        if start_ticks(pid):
            os.kill(pid, signal.SIGKILL)


def test_a_stranger_with_a_recorded_id_is_left_alone(tmp_path):
    stranger = subprocess.Popen(SLEEP)
    ticks = start_ticks(stranger.pid)
    assert ticks
    (tmp_path / "processes.json").write_text(json.dumps({"a": vars(Recorded(stranger.pid, ticks - 1))}))
    Processes(tmp_path).stop_all()
    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_directory_in_use_is_refused_and_its_processes_live_on(processes, tmp_path):
    processes.start("a", SLEEP)
    with pytest.raises(RuntimeError, match="in use by another test run"):
        Processes(tmp_path)
    assert processes.alive("a")


def test_stop_all_ends_the_last_started_first(processes):
    telling = "trap 'echo $0 >>order; exit' TERM; echo ready; while :; do sleep 0.05; done"
    for name in ("a", "b", "c"):
        processes.start(name, ["sh", "-c", telling, name])
        processes.wait_for(name, lambda name=name: "ready" in processes.log(name), "the trap")
    processes.stop_all()
    assert (processes.directory / "order").read_text().split() == ["c", "b", "a"]


def test_waiting_for_a_dead_process_ends_at_once_and_shows_its_log(processes):
    processes.start("a", ["sh", "-c", "echo no such file; exit 1"])
    with pytest.raises(RuntimeError, match="ended while waiting for readiness") as caught:
        processes.wait_for("a", lambda: False, "readiness")
    assert "no such file" in caught.value.__notes__[0]


def test_waiting_ends_at_the_deadline_with_what_was_awaited():
    with pytest.raises(TimeoutError, match=r"waited 0\.1 s for rain"):
        wait_for(lambda: False, "rain", 0.1)
