"""The policy is asked again when the time after a start has passed, and only if it still wants that."""

import asyncio
from dataclasses import replace

import pytest

from cri_resmgr.manager.revisiting import Revisits
from cri_resmgr.values.workloads import Container, State

RUNNING = Container("p", "c", 0, state=State.RUNNING, revisit_after_start_s=60.0)


class Timers:
    """In place of the loop's."""

    def __init__(self, monkeypatch):
        self.armed = []
        monkeypatch.setattr(asyncio.get_running_loop(), "call_later", self.call_later)

    def call_later(self, delay_s, ring, *arguments):
        timer = Timer(delay_s, lambda: (self.armed.remove(timer), ring(*arguments)), self.armed)
        self.armed.append(timer)
        return timer


class Timer:
    def __init__(self, delay_s, ring, armed):
        self.delay_s, self.ring, self._armed = delay_s, ring, armed

    def cancel(self):
        self._armed.remove(self)


@pytest.fixture(name="timers")
async def _timers(monkeypatch):
    return Timers(monkeypatch)


@pytest.fixture(name="due")
def _due():
    return []


@pytest.fixture(name="revisits")
def _revisits(due):
    return Revisits(due.append)


async def test_it_is_due_so_long_after_the_start(revisits, due, timers):
    revisits.follow(RUNNING)
    (timer,) = timers.armed
    assert timer.delay_s == 60.0
    timer.ring()
    assert due == ["p/c/0"]
    assert len(revisits) == 0


@pytest.mark.parametrize("state", [State.CREATING, State.CREATED, State.EXITED])
async def test_nothing_is_due_to_what_does_not_run(revisits, timers, state):
    revisits.follow(replace(RUNNING, state=state))
    assert not timers.armed


async def test_the_time_goes_on_while_nothing_else_is_wanted(revisits, timers):
    revisits.follow(RUNNING)
    first = timers.armed[0]
    revisits.follow(replace(RUNNING, reasons=("another",)))
    assert timers.armed == [first]


@pytest.mark.parametrize(("wanted_s", "armed"), [(0.0, []), (5.0, [5.0])])
async def test_another_wish_takes_the_place_of_the_first(revisits, timers, wanted_s, armed):
    revisits.follow(RUNNING)
    revisits.follow(replace(RUNNING, revisit_after_start_s=wanted_s))
    assert [timer.delay_s for timer in timers.armed] == armed


async def test_nobody_is_asked_about_what_has_ended(revisits, due, timers):
    revisits.follow(RUNNING)
    revisits.drop("p/c/0")
    revisits.drop("p/other/0")
    assert not timers.armed


async def test_after_the_end_no_timer_rings(revisits, timers):
    for name in "abc":
        revisits.follow(Container("p", name, 0, state=State.RUNNING, revisit_after_start_s=1.0))
    revisits.close()
    assert (timers.armed, len(revisits)) == ([], 0)
