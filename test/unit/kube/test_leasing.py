"""Two never lead at once, somebody always leads soon, whatever happens to requests, clocks and work."""

import asyncio
import random
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cri_resmgr.errors import BadInput
from cri_resmgr.kube import leasing
from cri_resmgr.kube.errors import LeaseLost, Unavailable
from cri_resmgr.kube.lease_records import Terms
from cri_resmgr.kube.leasing import Elector
from cri_resmgr.kube.resources import Ref
from unit.kube.model_server import LOST_AFTER, LOST_BEFORE, PASSES, ModelServer
from unit.kube.virtual_time import now_s, run

TERMS = Terms(duration_s=15, renew_deadline_s=10, retry_s=2, request_deadline_s=4)
REF = Ref("garden", "leader")
AWAY = Unavailable("connection refused")
SOON_S = 4 * TERMS.retry_s
LONG_S = 600.0


@dataclass
class Candidate:
    """Somebody who wants to lead again and again; `acting` has when it began to and when it had ended."""

    server: ModelServer
    name: str
    ending_s: float = 0.0
    clock: object = now_s
    acting: list = field(default_factory=list)
    lost: list = field(default_factory=list)

    def __post_init__(self):
        self.elector = Elector(self.server, REF, identity=self.name, terms=TERMS, clock=self.clock)

    @property
    def acts(self):
        return bool(self.acting) and self.acting[-1][1] is None

    async def work(self):
        self.acting.append((now_s(), None))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            try:
                await asyncio.sleep(self.ending_s)
            finally:
                self.acting[-1] = (self.acting[-1][0], now_s())

    async def run(self):
        while True:
            with suppress(LeaseLost):
                await self.elector.lead(self.work)
            self.lost.append(now_s())

    @asynccontextmanager
    async def running(self):
        task = asyncio.create_task(self.run())
        try:
            yield self
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def lease(server):
    return server.objects[REF.name]["spec"]


@pytest.fixture(autouse=True)
def survived(monkeypatch):
    """How often a process would have ended because its work did not."""
    ended = []
    monkeypatch.setattr(leasing, "end_process", lambda: ended.append(now_s()))
    return ended


def test_the_first_candidate_makes_the_lease_and_leads():
    async def main():
        server = ModelServer()
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(LONG_S)
            assert a.acts
            assert a.lost == []
            assert (lease(server)["holderIdentity"], lease(server)["leaseDurationSeconds"]) == ("a", 15)
            assert lease(server)["leaseTransitions"] == 0

    run(main())


def test_a_second_candidate_waits_and_leads_at_once_when_the_first_stops():
    async def main():
        server = ModelServer()
        a, b = Candidate(server, "a"), Candidate(server, "b")
        async with a.running():
            await asyncio.sleep(SOON_S)
            follower = asyncio.create_task(b.run())
            await asyncio.sleep(LONG_S)
            assert not b.acting
        await asyncio.sleep(TERMS.retry_s)
        assert b.acts
        follower.cancel()

    run(main())


def test_who_stops_has_released_the_lease_after_its_work_had_ended():
    async def main():
        server = ModelServer()
        a = Candidate(server, "a", ending_s=3)
        async with a.running():
            await asyncio.sleep(SOON_S)
        assert lease(server)["holderIdentity"] == ""
        async with Candidate(server, "b").running() as b:
            await asyncio.sleep(SOON_S)
            assert b.acts
            assert b.acting[0][0] >= a.acting[0][1]
            assert lease(server)["leaseTransitions"] == 1

    run(main())


def test_who_stops_in_the_middle_of_a_renewal_releases_the_lease_all_the_same():
    async def main():
        server = ModelServer()
        server.delay_s = lambda: 0.2
        async with Candidate(server, "a").running():
            while "replace" not in [what for _, what in server.requests]:
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.2)  # it has been written, and its answer is under way
        assert lease(server)["holderIdentity"] == ""

    run(main())


def test_work_that_ends_by_itself_ends_the_lead_with_its_result():
    async def main():
        server = ModelServer()

        async def brief():
            await asyncio.sleep(1)

        async def broken():
            raise KeyError("bug")

        elector = Elector(server, REF, identity="a", terms=TERMS, clock=now_s)
        await elector.lead(brief)
        with pytest.raises(KeyError, match="bug"):
            await elector.lead(broken)
        assert lease(server)["holderIdentity"] == ""

    run(main())


def test_a_lease_whose_holder_is_gone_is_taken_after_its_duration_and_not_before():
    async def main():
        server = ModelServer()
        server.put(REF.name)
        server.objects[REF.name]["spec"] = {"holderIdentity": "dead", "leaseDurationSeconds": 60}
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(LONG_S)
            assert 60 <= a.acting[0][0] <= 60 + TERMS.retry_s

    run(main())


def test_the_times_that_stand_in_a_lease_mean_nothing():
    async def main():
        server = ModelServer()
        server.put(REF.name)
        server.objects[REF.name]["spec"] = {
            "holderIdentity": "alive",
            "leaseDurationSeconds": 15,
            "renewTime": "1970-01-01T00:00:00.000000Z",
        }
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(14)
            assert not a.acting

    run(main())


def test_a_lease_without_a_holder_or_without_anything_is_free():
    async def main(spec):
        server = ModelServer()
        server.put(REF.name)
        server.objects[REF.name]["spec"] = spec
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(SOON_S)
            return a.acts

    assert run(main({}))
    assert run(main({"holderIdentity": "", "leaseDurationSeconds": 60}))
    assert run(main(None))


def test_what_others_have_written_to_the_lease_stays_and_costs_nobody_the_lead():
    async def main():
        server = ModelServer()
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(SOON_S)
            changed = server.objects[REF.name]
            changed["metadata"]["labels"] = {"touched": "yes"}
            server._store(changed, "MODIFIED")
            await asyncio.sleep(LONG_S)
            assert (len(a.acting), a.acts) == (1, True)
            assert server.objects[REF.name]["metadata"]["labels"] == {"touched": "yes"}

    run(main())


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_a_leader_that_cannot_renew_ends_its_work_before_anybody_could_take_the_lease(survived, how):
    async def main():
        server = ModelServer()
        a = Candidate(server, "a", ending_s=TERMS.duration_s - TERMS.renew_deadline_s - 0.1)
        async with a.running():
            await asyncio.sleep(SOON_S)
            renewed_s = max(time_s for time_s, what in server.requests if what == "replace")
            if how == "refuses":
                server.breaks(AWAY)
                server.delay_s = lambda: 0.7
            else:
                server.fate = lambda: LOST_BEFORE
            await asyncio.sleep(LONG_S)
            assert a.acting[0][1] - renewed_s < TERMS.duration_s
            assert a.acting[0][1] - renewed_s >= TERMS.renew_deadline_s
            assert survived == []

    run(main())


def test_a_short_outage_costs_nobody_the_lead():
    async def main():
        server = ModelServer()
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(SOON_S)
            server.breaks(AWAY)
            await asyncio.sleep(TERMS.renew_deadline_s - 2 * TERMS.retry_s - 0.5)
            server.mends()
            await asyncio.sleep(LONG_S)
            assert (len(a.acting), a.lost) == (1, [])

    run(main())


def test_a_renewal_whose_answer_is_lost_costs_nobody_the_lead():
    async def main():
        server = ModelServer()
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(SOON_S)
            fates = iter([LOST_AFTER])
            server.fate = lambda: next(fates, PASSES)
            await asyncio.sleep(LONG_S)
            assert (len(a.acting), a.lost) == (1, [])

    run(main())


def test_a_claim_whose_answer_is_lost_is_made_again_without_waiting_for_oneself():
    async def main():
        server = ModelServer()
        fates = iter([PASSES, LOST_AFTER])  # the look, the claim
        server.fate = lambda: next(fates, PASSES)
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(LONG_S)
            assert a.acting[0][0] <= TERMS.request_deadline_s + 2 * TERMS.retry_s

    run(main())


@pytest.mark.parametrize("how", ["taken", "deleted"])
def test_a_leader_whose_lease_is_taken_away_ends_its_work_at_once_and_does_not_touch_the_lease(how):
    async def main():
        server = ModelServer()
        async with Candidate(server, "a").running() as a:
            await asyncio.sleep(SOON_S)
            if how == "taken":
                server._store({**server.objects[REF.name], "spec": {"holderIdentity": "thief"}}, "MODIFIED")
            else:
                server.drop(REF.name)
            taken_s = now_s()
            await asyncio.sleep(TERMS.retry_s + 0.1)
            assert a.acting[0][1] <= taken_s + TERMS.retry_s
            if how == "taken":
                assert lease(server) == {"holderIdentity": "thief"}

    run(main())


def test_a_deleted_lease_is_not_free_for_those_who_have_seen_its_holder():
    async def main():
        server = ModelServer()
        async with Candidate(server, "b").running() as b:
            server.put(REF.name)
            server.objects[REF.name]["spec"] = {"holderIdentity": "a", "leaseDurationSeconds": 15}
            await asyncio.sleep(SOON_S)
            server.drop(REF.name)
            await asyncio.sleep(TERMS.duration_s - SOON_S - TERMS.retry_s)
            assert not b.acting
            await asyncio.sleep(LONG_S)
            assert b.acts

    run(main())


def test_work_that_does_not_end_takes_the_process_with_it_before_the_lease_ends(survived):
    async def main():
        server = ModelServer()
        a = Candidate(server, "a", ending_s=LONG_S)
        with capture_logs() as logs:
            async with a.running():
                await asyncio.sleep(SOON_S)
                renewed_s = max(time_s for time_s, what in server.requests if what == "replace")
                server.breaks(AWAY)
                await asyncio.sleep(2 * TERMS.duration_s)
                assert survived == [renewed_s + TERMS.duration_s]
        assert "lease.work_survives" in [entry["event"] for entry in logs]

    run(main())


def test_who_is_stopped_twice_still_does_not_outlive_its_lease(survived):
    async def main():
        server = ModelServer()
        a = Candidate(server, "a", ending_s=LONG_S)
        task = asyncio.create_task(a.run())
        await asyncio.sleep(SOON_S)
        for _ in range(2):
            task.cancel()
            await asyncio.sleep(1)
        assert task.done()
        await asyncio.sleep(TERMS.duration_s)
        assert len(survived) == 1

    run(main())


def test_work_that_fails_while_it_is_ended_is_told():
    async def main():
        server = ModelServer()

        async def work():
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                raise ValueError("bug")

        elector = Elector(server, REF, identity="a", terms=TERMS, clock=now_s)
        task = asyncio.create_task(elector.lead(work))
        await asyncio.sleep(SOON_S)
        task.cancel()
        with capture_logs() as logs, pytest.raises(asyncio.CancelledError):
            await task
        assert [entry["event"] for entry in logs] == ["lease.work_failed"]
        assert lease(server)["holderIdentity"] == ""

    run(main())


def test_the_guard_lets_write_for_what_is_left_of_the_lease_and_nobody_else():
    async def main():
        server = ModelServer()
        a = Candidate(server, "a")
        with pytest.raises(LeaseLost):
            a.elector.guard()
        async with a.running():
            await asyncio.sleep(SOON_S)
            assert TERMS.duration_s - TERMS.retry_s - 0.1 <= a.elector.guard() <= TERMS.duration_s
        with pytest.raises(LeaseLost, match="garden/leader"):
            a.elector.guard()

    run(main())


def test_a_process_that_was_stopped_for_longer_than_its_lease_may_not_write_when_it_goes_on():
    async def main():
        server = ModelServer()
        stopped_s = 0.0
        a = Candidate(server, "a", clock=lambda: now_s() + stopped_s)
        async with a.running():
            await asyncio.sleep(SOON_S)
            stopped_s = 60.0
            with pytest.raises(LeaseLost):
                a.elector.guard()
            await asyncio.sleep(TERMS.retry_s + 0.1)
            assert a.acting[0][1] is not None

    run(main())


def test_a_candidate_does_not_ask_in_a_busy_loop_whatever_the_answer():
    async def main(error):
        server = ModelServer()
        if error:
            server.breaks(error)
        async with Candidate(server, "a").running(), Candidate(server, "b").running():
            await asyncio.sleep(LONG_S)
        return len(server.requests)

    often = 2 * LONG_S / (TERMS.retry_s / 2)
    assert run(main(None)) <= often
    assert run(main(AWAY)) <= often


def test_an_outage_is_told_once_and_forgotten_when_the_candidate_stops():
    async def main():
        server = ModelServer()
        with capture_logs() as logs:
            async with Candidate(server, "a").running():
                await asyncio.sleep(SOON_S)
                server.breaks(AWAY)
                await asyncio.sleep(LONG_S)
        assert Counter(entry["event"] for entry in logs)["api.unavailable"] <= 2  # as a leader, as a candidate
        assert server.outages.failing == {}

    run(main())


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"renew_deadline_s": 15}, "15 s is to be renewed within 15 s"),
        ({"retry_s": 11}, "every 11 s"),
        ({"retry_s": 0}, "every 0 s"),
        ({"request_deadline_s": 10}, "a request of up to 10 s"),
        ({"request_deadline_s": 0}, "a request of up to 0 s"),
    ],
)
def test_terms_that_cannot_be_kept_are_refused(wrong, text):
    with pytest.raises(BadInput, match=text):
        Terms(**wrong)


SEEDS = st.integers(0, 2**32 - 1)


@settings(deadline=None, max_examples=60)
@example(3615447, ["lossy", "good", "restart", "slow", "lossy", "restart"])  # ended while it was ending its work
@given(SEEDS, st.lists(st.sampled_from(["away", "lossy", "slow", "good", "restart"]), min_size=1, max_size=6))
def test_whatever_happens_two_never_act_at_once_and_in_good_times_somebody_does(seed, times):
    chance = random.Random(seed)

    async def main():
        server = ModelServer()
        candidates = [Candidate(server, name, ending_s=chance.uniform(0, 4.9)) for name in "abc"]
        tasks = {candidate.name: asyncio.create_task(candidate.run()) for candidate in candidates}
        for kind in times:
            if kind == "restart":
                candidate = chance.choice(candidates)
                tasks[candidate.name].cancel()
                with suppress(asyncio.CancelledError):
                    await tasks[candidate.name]
                while candidate.acts:  # stopped while it was ending its work: no process ends before all of its tasks
                    await asyncio.sleep(0.1)
                tasks[candidate.name] = asyncio.create_task(candidate.run())
            else:
                becomes(server, kind, chance)
            await asyncio.sleep(chance.uniform(1, 40))
        becomes(server, "good", chance)
        await asyncio.sleep(2 * TERMS.duration_s + SOON_S)
        assert sum(candidate.acts for candidate in candidates) == 1
        for task in tasks.values():
            task.cancel()
        await asyncio.wait(tasks.values())
        spans = sorted(span for candidate in candidates for span in candidate.acting)
        assert all(before[1] <= after[0] for before, after in pairwise(spans))

    run(main())


def becomes(server, kind, chance):
    """The server and the way to it are so from now on."""
    server.mends()
    server.fate, server.delay_s = (lambda: PASSES), (lambda: 0.01)
    if kind == "away":
        server.breaks(AWAY)
    if kind == "lossy":
        server.fate = lambda: chance.choice([PASSES, PASSES, LOST_BEFORE, LOST_AFTER])
    if kind == "slow":
        server.delay_s = lambda: chance.uniform(0, 5)
