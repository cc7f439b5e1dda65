"""The agent that runs inside of guests, asked over a socket pair as the host asks it over its port."""

import base64
import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from equipment.guest import JobFailed, Lost
from equipment.guest.emulator import Jobs
from equipment.guest.inside.agent import TIMED_OUT, Agent
from equipment.processes import start_ticks


@pytest.fixture
def ports() -> Iterator[tuple[socket.socket, socket.socket]]:
    host, guest = socket.socketpair()
    yield host, guest
    host.close()
    guest.close()


@pytest.fixture
def jobs(ports: tuple[socket.socket, socket.socket]) -> Iterator[Jobs]:
    """The host's end; an agent serves the other one."""
    host, guest = ports
    agent = Agent(guest.sendall)

    def serve() -> None:
        while received := guest.recv(7):  # pieces of any size
            agent.feed(received)

    serving = threading.Thread(target=serve)
    serving.start()
    asked = Jobs(host, grace_s=30)
    yield asked
    asked.close()
    serving.join()


def test_a_command_gives_its_status_and_what_it_wrote(jobs: Jobs):
    done = jobs("run", argv=["sh", "-c", "echo out; echo err >&2; exit 3"])
    assert (done["status"], done["output"], done["errors"]) == (3, "out\n", "err\n")


def test_a_command_that_takes_too_long_is_ended_and_what_it_wrote_is_kept(jobs: Jobs):
    done = jobs("run", argv=["sh", "-c", "echo begun; exec sleep 1000"], deadline_s=0.5)
    assert (done["status"], done["output"]) == (TIMED_OUT, "begun\n")


def test_a_job_that_cannot_be_done_fails_and_the_next_one_is_done(jobs: Jobs):
    with pytest.raises(JobFailed, match=r"no-such-program.*FileNotFoundError"):
        jobs("run", argv=["/no-such-program"])
    with pytest.raises(JobFailed, match="AttributeError"):
        jobs("nothing-that-it-knows")
    assert jobs("run", argv=["true"])["status"] == 0


def test_a_short_job_does_not_wait_for_a_long_one(jobs: Jobs, tmp_path: Path):
    os.mkfifo(tmp_path / "gate")
    long = threading.Thread(target=lambda: jobs("run", argv=["cat", str(tmp_path / "gate")]))
    long.start()
    assert jobs("run", argv=["true"])["status"] == 0
    assert long.is_alive()
    (tmp_path / "gate").write_text("open\n")
    long.join()


def test_a_started_program_goes_on_writes_its_log_and_ends_when_told(jobs: Jobs, tmp_path: Path):
    log = tmp_path / "log"
    pid = jobs("start", argv=["sh", "-c", "echo first; exec sleep 1000"], log=str(log))["pid"]
    while log.read_text() != "first\n":
        time.sleep(0.01)
    assert jobs("status", pid=pid)["status"] is None
    assert jobs("end", pid=pid, signal=signal.SIGKILL)["status"] == -signal.SIGKILL
    assert jobs("status", pid=pid)["status"] == -signal.SIGKILL
    assert start_ticks(pid) is None


def test_a_program_that_ignores_a_signal_has_no_status(jobs: Jobs):
    pid = jobs("start", argv=["sh", "-c", "trap '' TERM; echo ready; read x; while :; do sleep 1; done"])["pid"]
    assert jobs("ask", pid=pid, line="go on")["line"] == "ready\n"
    assert jobs("end", pid=pid, signal=signal.SIGTERM, deadline_s=0.1)["status"] is None
    assert jobs("end", pid=pid, signal=signal.SIGKILL)["status"] == -signal.SIGKILL


def test_a_conversation_has_a_line_for_each_line(jobs: Jobs):
    pid = jobs("start", argv=["sh", "-c", 'while read x; do echo "$x and more"; done'])["pid"]
    assert [jobs("ask", pid=pid, line=word)["line"] for word in ("a", "b")] == ["a and more\n", "b and more\n"]
    assert jobs("end", pid=pid, signal=signal.SIGTERM)["status"] == -signal.SIGTERM


def test_who_does_not_answer_within_the_deadline_has_failed(jobs: Jobs):
    pid = jobs("start", argv=["sleep", "1000"])["pid"]
    with pytest.raises(JobFailed, match=r"no answer within 0\.1 s"):
        jobs("ask", pid=pid, line="hello", deadline_s=0.1)
    jobs("end", pid=pid, signal=signal.SIGKILL)


def test_files_are_written_with_their_directories_and_read_back(jobs: Jobs, tmp_path: Path):
    path, data = tmp_path / "some" / "where", bytes(range(256))
    jobs("write", path=str(path), data=base64.b64encode(data).decode(), mode=0o750)
    assert path.stat().st_mode & 0o777 == 0o750
    contents = jobs("read", paths=[str(path), str(tmp_path / "nowhere")])["contents"]
    assert (base64.b64decode(contents[0]), contents[1]) == (data, None)


def test_a_database_is_read_while_others_write_to_it(jobs: Jobs, tmp_path: Path):
    path = tmp_path / "state.db"
    writer = sqlite3.connect(path)
    writer.execute("PRAGMA journal_mode = WAL")
    writer.execute("CREATE TABLE containers (name TEXT, cpus TEXT)")
    writer.execute("INSERT INTO containers VALUES ('a', '0-3'), ('b', NULL)")
    writer.commit()
    writer.execute("INSERT INTO containers VALUES ('c', '4')")
    rows = jobs("query", path=str(path), sql="SELECT name, cpus FROM containers")["rows"]
    writer.close()
    assert rows == [["a", "0-3"], ["b", None]]
    with pytest.raises(JobFailed, match="no such table"):
        jobs("query", path=str(path), sql="SELECT 1 FROM nowhere")


def test_it_is_known_whether_somebody_listens(jobs: Jobs, tmp_path: Path):
    path = str(tmp_path / "s")
    assert not jobs("connects", path=path)["connects"]
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        assert not jobs("connects", path=path)["connects"]
        listener.listen()
        assert jobs("connects", path=path)["connects"]
    assert not jobs("connects", path=path)["connects"]


def test_half_a_line_from_before_a_restore_is_no_job(ports):
    host, guest = ports
    agent = Agent(guest.sendall)
    agent.feed(b'"do": "run", "argv": ["touch"\n{"id": 5, "do": "read", "paths": []}\n')
    assert host.recv(1000) == b'{"id": 5, "contents": []}\n'


def test_a_guest_that_says_nothing_is_lost_not_failed(ports):
    host, _ = ports
    jobs = Jobs(host, grace_s=0.05)
    with pytest.raises(Lost, match=r"does not answer during .*uname"):
        jobs("run", argv=["uname"], deadline_s=0.05)
    jobs.close()


def test_a_guest_that_ends_is_lost_at_once(ports):
    host, guest = ports
    jobs = Jobs(host, grace_s=3600)
    threading.Timer(0.1, lambda: guest.shutdown(socket.SHUT_RDWR)).start()
    with pytest.raises(Lost, match="has ended during"):
        jobs("run", argv=["uname"])
    with pytest.raises(Lost, match=r"is gone before|has ended during"):
        jobs("run", argv=["uname"])
    jobs.close()
