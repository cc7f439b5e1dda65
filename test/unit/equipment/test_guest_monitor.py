import json
import socket
import threading
from collections.abc import Iterator

import pytest

from equipment.guest import JobFailed, Lost
from equipment.guest.emulator import Monitor


class Qemu:
    """The other end of a monitor: greets, and answers each command with what it was given."""

    def __init__(self, *answers: list[dict[str, object]]) -> None:
        self.heard: list[dict[str, object]] = []
        self._answers = [[{"return": {}}], *answers]
        self.socket, self._own = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with self._own, self._own.makefile("rw") as lines:
            print(json.dumps({"QMP": {"version": {}}}), file=lines, flush=True)
            for answer in self._answers:
                self.heard.append(json.loads(lines.readline()))
                for each in answer:
                    print(json.dumps(each), file=lines, flush=True)

    def join(self) -> None:
        self._thread.join()


def connected(*answers: list[dict[str, object]]) -> Iterator[tuple[Qemu, Monitor]]:
    qemu = Qemu(*answers)
    monitor = Monitor(qemu.socket)
    yield qemu, monitor
    monitor.close()
    qemu.join()


def test_a_command_gets_what_it_returns_and_events_in_between_are_passed_over():
    for qemu, monitor in connected([{"event": "STOP"}, {"return": {"status": "paused"}}]):
        assert monitor("blockdev-add", node_name="payload", read_only=True) == {"status": "paused"}
        assert [each["execute"] for each in qemu.heard] == ["qmp_capabilities", "blockdev-add"]
        assert qemu.heard[1]["arguments"] == {"node-name": "payload", "read-only": True}


def test_a_refused_command_has_failed_with_qemus_words():
    for _, monitor in connected([{"error": {"class": "GenericError", "desc": "no such drive"}}]):
        with pytest.raises(JobFailed, match="device_add: no such drive"):
            monitor("device_add", drive="x")


def test_a_monitor_that_ends_means_a_lost_guest():
    for _, monitor in connected([]):
        with pytest.raises(Lost, match="the monitor"):
            monitor("cont")
        with pytest.raises(Lost, match="the monitor"):
            monitor("cont")
