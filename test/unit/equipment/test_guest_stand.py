"""Which guest a test gets, with guests that need no emulator."""

from pathlib import Path

import pytest

from equipment.guest import JobFailed, Lost, stand
from equipment.guest.inits import MINIMAL, SYSTEMD
from equipment.guest.stand import Stand
from equipment.guest.topologies import N4C16

MACHINE, OTHER = (N4C16, SYSTEMD), (N4C16, MINIMAL)


class Guests:
    """Takes the place of snapshots and of nodes, and counts."""

    def __init__(self) -> None:
        self.restored: list[str] = []
        self.closed = self.emptied = 0
        self.losses: list[Exception] = []  # of the next ones, when their disk is plugged in
        self.removing: Exception | None = None

    def snapshot(self, _topology: object, init: object) -> "Guests":
        self.restored.append(init.name)  # type: ignore[attr-defined]
        return self

    def restore(self) -> "Guests":
        return self

    def close(self) -> None:
        self.closed += 1


class FakeNode:
    def __init__(self, guest: Guests, _disk: Path) -> None:
        if guest.losses:
            raise guest.losses.pop()
        self.guest = guest
        self.pods = self

    def remove_all(self) -> None:
        self.guest.emptied += 1
        if self.guest.removing:
            raise self.guest.removing


@pytest.fixture
def guests(monkeypatch: pytest.MonkeyPatch) -> Guests:
    made = Guests()
    monkeypatch.setattr(stand, "snapshot", made.snapshot)
    monkeypatch.setattr(stand, "Node", FakeNode)
    return made


@pytest.fixture
def given(guests: Guests) -> Stand:
    return Stand(Path("/disk"))


def test_tests_of_one_machine_share_a_guest(given: Stand, guests: Guests):
    assert given.node(MACHINE) is given.node(MACHINE)
    assert (guests.restored, guests.closed, guests.emptied) == (["systemd"], 0, 1)


def test_another_machine_is_another_guest_and_there_is_one_at_a_time(given: Stand, guests: Guests):
    for machine in (MACHINE, OTHER, MACHINE):
        given.node(machine)
        assert guests.closed == len(guests.restored) - 1
    assert guests.restored == ["systemd", "minimal", "systemd"]


def test_a_guest_that_is_no_longer_good_is_replaced(given: Stand, guests: Guests):
    first = given.node(MACHINE)
    given.discard()
    assert given.node(MACHINE) is not first
    assert guests.closed == 1


def test_a_guest_that_is_lost_between_two_tests_is_replaced_for_all_to_see(given: Stand, guests: Guests):
    given.node(MACHINE)
    guests.removing = Lost("it is gone")
    given.node(MACHINE)
    assert (len(guests.restored), guests.closed) == (2, 1)
    assert any(event.startswith("LOST during the removal of pods") for event in given.events)


def test_pods_that_do_not_go_are_an_error_and_the_guest_goes(given: Stand, guests: Guests):
    given.node(MACHINE)
    guests.removing = JobFailed("StopPodSandbox: no")
    with pytest.raises(JobFailed, match="StopPodSandbox"):
        given.node(MACHINE)
    assert guests.closed == 1
    guests.removing = None
    given.node(MACHINE)
    assert len(guests.restored) == 2


def test_a_guest_that_is_lost_at_once_is_tried_once_more_for_all_to_see(given: Stand, guests: Guests):
    guests.losses = [Lost("no answer")]
    given.node(MACHINE)
    assert (len(guests.restored), guests.closed) == (2, 1)
    assert any(event.startswith("LOST during restore") and "no answer" in event for event in given.events)


def test_a_guest_that_is_lost_twice_is_an_error_and_nothing_is_left(given: Stand, guests: Guests):
    guests.losses = [Lost("again"), Lost("once")]
    with pytest.raises(Lost, match="again"):
        given.node(MACHINE)
    assert guests.closed == 2


def test_no_guest_outlives_the_test_run(guests: Guests):
    with Stand(Path("/disk")) as used:
        used.node(MACHINE)
    assert guests.closed == 1
