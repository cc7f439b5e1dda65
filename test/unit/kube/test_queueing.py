"""Each change is worked on, one worker a key at a time, until it has succeeded; nothing is tried in a busy loop."""

import asyncio
from collections import defaultdict
from contextlib import asynccontextmanager, suppress
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from structlog.testing import capture_logs

from cri_resmgr.errors import Degraded
from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.errors import Unavailable
from cri_resmgr.kube.queueing import STALE_LIMIT, Backlog, Queue
from unit.kube.virtual_time import now_s, run

BACKOFF = Backoff(first_s=1, last_s=60)
DEADLINE_S = 30.0
LONG_S = 3600.0


class Worker:
    """Takes `takes_s` for each key and fails as often as `fails` says; remembers when it began and ended."""

    def __init__(self, *, takes_s=1.0, fails=None, error=Degraded, again_s=None):
        self.takes_s = takes_s
        self.fails = defaultdict(int, fails or {})
        self.error = error
        self.again_s = again_s
        self.begun = []
        self.ended = []
        self.at_work = []
        self.most = 0

    async def __call__(self, key):
        assert key not in self.at_work
        self.at_work.append(key)
        self.most = max(self.most, len(self.at_work))
        self.begun.append((now_s(), key))
        try:
            await asyncio.sleep(self.takes_s)
        finally:
            self.at_work.remove(key)
        if self.fails[key]:
            self.fails[key] -= 1
            raise self.error(f"{key} is broken")
        self.ended.append((now_s(), key))
        return self.again_s

    def times(self, key):
        return [time_s for time_s, begun in self.begun if begun == key]


@asynccontextmanager
async def working(worker, *, workers=2):
    queue = Queue(worker, workers=workers, deadline_s=DEADLINE_S, backoff=BACKOFF)
    task = asyncio.create_task(queue.run())
    try:
        yield queue
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def test_a_key_that_is_added_often_is_worked_on_once():
    async def main():
        worker = Worker()
        async with working(worker) as queue:
            for _ in range(5):
                queue.add("a")
            await asyncio.sleep(LONG_S)
        assert worker.begun == [(0.0, "a")]

    run(main())


def test_a_change_during_the_work_is_worked_on_afterwards():
    async def main():
        worker = Worker(takes_s=10)
        async with working(worker) as queue:
            queue.add("a")
            await asyncio.sleep(5)
            queue.add("a")
            queue.add("a")
            await asyncio.sleep(LONG_S)
        assert worker.begun == [(0.0, "a"), (10.0, "a")]

    run(main())


def test_no_more_keys_than_workers_are_worked_on_and_the_longest_due_comes_first():
    async def main():
        worker = Worker(takes_s=10)
        async with working(worker) as queue:
            for key in "abcde":
                queue.add(key)
            await asyncio.sleep(LONG_S)
        assert worker.most == 2
        assert worker.begun == [(0.0, "a"), (0.0, "b"), (10.0, "c"), (10.0, "d"), (20.0, "e")]

    run(main())


def test_a_key_may_be_added_for_later_and_the_earliest_time_counts():
    async def main():
        worker = Worker()
        async with working(worker) as queue:
            queue.add("a", after_s=100)
            queue.add("a", after_s=20)
            queue.add("a", after_s=50)
            await asyncio.sleep(LONG_S)
        assert worker.begun == [(20.0, "a")]

    run(main())


def test_work_says_when_it_wants_to_look_again():
    async def main():
        worker = Worker(takes_s=1, again_s=599)
        async with working(worker) as queue:
            queue.add("a")
            await asyncio.sleep(1801)
        assert worker.times("a") == [0, 600, 1200, 1800]

    run(main())


def test_a_key_that_fails_comes_back_less_and_less_often_and_then_begins_anew():
    async def main():
        worker = Worker(takes_s=0, fails={"a": 20})
        async with working(worker) as queue:
            queue.add("a")
            await asyncio.sleep(LONG_S)
            waits = [after - before for before, after in pairwise(worker.times("a"))]
            assert len(waits) == 20
            for failures, wait_s in enumerate(waits):
                assert min(2**failures, 60) / 2 <= wait_s <= min(2**failures, 60)
            worker.fails["a"] = 1
            queue.add("a")
            await asyncio.sleep(LONG_S)
            assert worker.times("a")[-1] - worker.times("a")[-2] <= BACKOFF.first_s

    run(main())


def test_a_change_of_a_key_that_fails_is_tried_at_once_and_the_pause_grows_on():
    async def main():
        worker = Worker(takes_s=0, fails={"a": 7})
        async with working(worker) as queue:
            queue.add("a")
            await asyncio.sleep(40)
            tries = len(worker.begun)
            queue.add("a")
            await asyncio.sleep(0.1)
            assert len(worker.begun) == tries + 1
            await asyncio.sleep(LONG_S)
            assert len(worker.begun) == 8

    run(main())


def test_one_key_that_fails_holds_up_nobody():
    async def main():
        worker = Worker(takes_s=1, fails={"bad": 1000})
        async with working(worker, workers=1) as queue:
            queue.add("bad")
            for number in range(5):
                queue.add(f"good-{number}")
            await asyncio.sleep(8)
        assert {key for _, key in worker.ended} == {f"good-{number}" for number in range(5)}

    run(main())


@pytest.mark.parametrize("error", [ValueError, Degraded, KeyError, TimeoutError])
def test_whatever_an_exception_it_is_the_matter_of_one_key(error):
    async def main():
        worker = Worker(fails={"a": 1}, error=error)
        async with working(worker) as queue:
            queue.add("a")
            queue.add("b")
            await asyncio.sleep(LONG_S)
        assert {key for _, key in worker.ended} == {"a", "b"}

    run(main())


def test_work_that_hangs_is_ended_and_tried_again_and_the_text_says_how_long_it_had():
    async def main():
        worker = Worker(takes_s=10 * DEADLINE_S)
        async with working(worker) as queue:
            queue.add("a")
            await asyncio.sleep(DEADLINE_S + 0.1)
            assert queue.failing == {"a": "not done within 30 s"}
            await asyncio.sleep(BACKOFF.first_s)
            assert worker.at_work == ["a"]

    run(main())


def test_a_failure_is_told_once_until_it_is_another_and_so_is_its_end():
    async def main():
        worker = Worker(fails={"a": 50})
        with capture_logs() as logs:
            async with working(worker) as queue:
                queue.add("a")
                await asyncio.sleep(300)
                worker.error = ValueError  # the same text: no news
                await asyncio.sleep(LONG_S)
        assert [entry["event"] for entry in logs] == ["queue.failed", "queue.recovered"]
        assert queue.failing == {}

    run(main())


def test_a_bug_is_told_with_its_traceback_and_a_failure_of_the_world_without():
    async def main(error):
        with capture_logs() as logs:
            async with working(Worker(fails={"a": 1}, error=error)) as queue:
                queue.add("a")
                await asyncio.sleep(10)
        return logs[0]["exc_info"] is not None

    assert (run(main(ValueError)), run(main(Degraded))) == (True, False)


def test_keys_that_fail_because_the_api_server_is_away_say_nothing_each():
    async def main():
        worker = Worker(fails=dict.fromkeys(range(100), 10), error=Unavailable)
        with capture_logs() as logs:
            async with working(worker, workers=100) as queue:
                for key in range(100):
                    queue.add(key)
                await asyncio.sleep(LONG_S)
        assert len(worker.ended) == 100
        assert logs == []

    run(main())


def test_stop_lets_what_has_begun_end_and_begins_nothing_more():
    async def main():
        worker = Worker(takes_s=10)
        queue = Queue(worker, workers=2, deadline_s=DEADLINE_S, backoff=BACKOFF)
        for key in "abc":
            queue.add(key)
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.run())
            await asyncio.sleep(5)
            queue.stop()
        assert worker.ended == [(10.0, "a"), (10.0, "b")]
        assert len(worker.begun) == 2

    run(main())


def test_stop_waits_no_longer_than_the_deadline():
    async def main():
        queue = Queue(Worker(takes_s=10 * DEADLINE_S), workers=2, deadline_s=DEADLINE_S, backoff=BACKOFF)
        queue.add("a")
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.run())
            await asyncio.sleep(0.1)
            queue.stop()
        assert now_s() == DEADLINE_S

    run(main())


def test_a_queue_without_work_can_be_stopped():
    async def main():
        queue = Queue(Worker(), workers=1, deadline_s=DEADLINE_S)
        async with asyncio.TaskGroup() as group:
            group.create_task(queue.run())
            await asyncio.sleep(1)
            queue.stop()

    run(main())


def test_a_queue_that_is_cancelled_awaits_its_workers():
    async def main():
        worker = Worker(takes_s=10)
        async with working(worker) as queue:
            queue.add("a")
            await asyncio.sleep(1)
            assert worker.at_work == ["a"]
        assert worker.at_work == []
        assert worker.ended == []

    run(main())


def test_a_time_that_was_overtaken_and_comes_again_during_the_work_does_not_give_the_key_to_a_second_worker():
    backlog = Backlog()
    backlog.add("a", 5)
    backlog.add("a", 3)
    assert backlog.take(3) == "a"
    backlog.add("a", 5)
    assert (backlog.take(5), backlog.next_s()) == (None, None)
    backlog.done("a")
    assert backlog.take(5) == "a"


def test_what_is_due_is_counted_and_what_waits_for_its_time_is_not():
    backlog = Backlog()
    for key, due_s in (("a", 1), ("b", 2), ("c", 9)):
        backlog.add(key, due_s)
    assert backlog.due(2) == 2
    backlog.take(2)
    assert (backlog.due(2), len(backlog)) == (1, 2)


def test_times_that_were_overtaken_are_not_kept():
    backlog = Backlog()
    for time_s in range(10_000):
        backlog.add("a", time_s)
        assert backlog.take(time_s) == "a"
        backlog.done("a")
        backlog.add("a", time_s + 1_000_000)
    assert len(backlog._heap) <= STALE_LIMIT + 2


STEPS = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from([0.0, 0.0, 1.0, 5.0, 100.0]),  # for when
        st.sampled_from([0.0, 0.5, 3.0, 40.0]),  # how long until the next step
    ),
    max_size=25,
)


@settings(deadline=None)
@given(
    STEPS,
    st.integers(1, 3),
    st.sampled_from([0.0, 1.0, 10.0]),
    st.dictionaries(st.sampled_from("abc"), st.integers(0, 5)),
)
def test_every_change_is_followed_by_work_that_succeeds(steps, workers, takes_s, fails):
    async def main():
        worker = Worker(takes_s=takes_s, fails=fails)
        added = {}
        async with working(worker, workers=workers) as queue:
            for key, after_s, pause_s in steps:
                queue.add(key, after_s=after_s)
                added[key] = now_s()
                await asyncio.sleep(pause_s)
            await asyncio.sleep(LONG_S)
        # The work after the last change has begun after it, and has succeeded.
        assert all(max(worker.times(key)) >= time_s for key, time_s in added.items())
        assert {key for _, key in worker.ended} == set(added)
        assert queue.failing == {}
        assert worker.most <= workers

    run(main())


class BacklogAgainstModel(RuleBasedStateMachine):
    """The model is a dict of due times and a set of keys at work, searched from end to end."""

    keys = st.sampled_from("abcd")

    def __init__(self):
        super().__init__()
        self.backlog = Backlog()
        self.due = {}
        self.at_work = set()
        self.now = 0

    def next(self):
        return min((due for key, due in self.due.items() if key not in self.at_work), default=None)

    @rule(key=keys, after=st.integers(0, 5))
    def add(self, key, after):
        self.backlog.add(key, self.now + after)
        self.due[key] = min(self.due.get(key, self.now + after), self.now + after)

    @rule(step=st.integers(0, 4))
    def time_passes(self, step):
        self.now += step

    @rule()
    def take(self):
        first = self.next()
        taken = self.backlog.take(self.now)
        if taken is None:
            assert first is None or first > self.now
        else:
            assert taken not in self.at_work
            assert self.due.pop(taken) == first
            self.at_work.add(taken)

    @precondition(lambda self: self.at_work)
    @rule(data=st.data())
    def done(self, data):
        key = data.draw(st.sampled_from(sorted(self.at_work)))
        self.backlog.done(key)
        self.at_work.remove(key)

    @invariant()
    def says_when_there_is_something_to_take_and_how_many_wait(self):
        assert self.backlog.next_s() == self.next()
        assert len(self.backlog) == len(self.due)


TestBacklog = BacklogAgainstModel.TestCase
