"""sd_notify(3) and sd_listen_fds(3), from the process's end."""

import array
import fcntl
import os
import socket

import pytest

from cri_resmgr.cli import systemd
from cri_resmgr.cli.systemd import ServiceManager, kept_sockets, service_manager


@pytest.fixture(name="end", params=["path", "abstract"])
def _end(request, tmp_path):
    """Where systemd listens, and what it says in NOTIFY_SOCKET."""
    name = str(tmp_path / "notify") if request.param == "path" else f"\0cri-resmgr-test-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(name)
        listening.settimeout(20)
        yield listening, name.replace("\0", "@")


def test_lines_arrive_as_one_message_at_a_path_or_an_abstract_address(end):
    listening, address = end
    service_manager({"NOTIFY_SOCKET": address}).notify("READY=1", "STATUS=fine")
    assert listening.recv(100) == b"READY=1\nSTATUS=fine"


def test_a_descriptor_goes_along_with_its_name(end, tmp_path):
    listening, address = end
    with (tmp_path / "x").open("w") as file:
        service_manager({"NOTIFY_SOCKET": address}).keep("relay-1-2", file.fileno())
        data, ancillary, _, _ = listening.recvmsg(100, socket.CMSG_SPACE(4))
        (fd,) = array.array("i", ancillary[0][2])
        assert os.fstat(fd).st_ino == os.fstat(file.fileno()).st_ino
        os.close(fd)
    assert data.split(b"\n") == [b"FDSTORE=1", b"FDNAME=relay-1-2", b"FDPOLL=0"]


def test_more_time_is_asked_for_in_microseconds(end):
    listening, address = end
    manager = service_manager({"NOTIFY_SOCKET": address})
    manager.extend(2.5)
    manager.forget("x")
    assert listening.recv(100) == b"EXTEND_TIMEOUT_USEC=2500000"
    assert listening.recv(100) == b"FDSTOREREMOVE=1\nFDNAME=x"


def test_without_systemd_every_message_goes_nowhere(tmp_path):
    assert not service_manager({})
    ServiceManager().notify("READY=1")
    ServiceManager(str(tmp_path / "nobody")).notify("READY=1")


@pytest.mark.parametrize(
    ("variables", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_only_if_systemd_means_us(variables, watchdog_s):
    assert service_manager(dict(variables)).watchdog_s == watchdog_s


def test_what_systemd_said_is_kept_from_children():
    environment = {
        "NOTIFY_SOCKET": "/n",
        "WATCHDOG_USEC": "1",
        "WATCHDOG_PID": "1",
        "LISTEN_PID": "1",
        "LISTEN_FDS": "2",
        "LISTEN_FDNAMES": "a:b",
        "HOME": "/",
    }
    service_manager(environment)
    kept_sockets(environment)
    assert environment == {"HOME": "/"}


def test_kept_sockets_come_by_their_names_and_are_not_inherited(monkeypatch, tmp_path):
    with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
        for number, each in enumerate((first, second)):
            each.bind(str(tmp_path / str(number)))
        base = fcntl.fcntl(first.fileno(), fcntl.F_DUPFD, 700)
        assert fcntl.fcntl(second.fileno(), fcntl.F_DUPFD, 700) == base + 1
        monkeypatch.setattr(systemd, "FIRST_FD", base)
        kept = kept_sockets({"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a"})
        names = {name: each.getsockname() for name, each in kept.items()}
        inheritable = [each.get_inheritable() for each in kept.values()]
        for each in kept.values():
            each.close()
    assert names == {"a": str(tmp_path / "0"), "fd1": str(tmp_path / "1")}
    assert inheritable == [False, False]


@pytest.mark.parametrize("variables", [{}, {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "a"}])
def test_nothing_is_taken_that_is_not_for_us(variables):
    assert kept_sockets(dict(variables)) == {}
