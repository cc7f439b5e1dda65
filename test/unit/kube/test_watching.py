"""What is kept in memory is what the server has, whatever happens between the two, and nobody is pestered meanwhile."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager, suppress

from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.kube.errors import Expired, Forbidden, NotFound, Unavailable
from cri_resmgr.kube.resources import Resource
from cri_resmgr.kube.watching import Pace, Reflector
from unit.kube.model_server import ModelServer
from unit.kube.virtual_time import now_s, run

THINGS = Resource("v1", "things").all()
PACE = Pace(watch_s=480, silence_s=240, settled_s=5, backoff=Backoff(0.5, 30), page_size=2)
AWAY = Unavailable("connection refused")
SOON_S, LONG_S = 1.0, 3600.0


class Watched:
    """A reflector at work and what its handler was told."""

    def __init__(self, server, project):
        self.told = []
        self.seen = []
        self.reflector = Reflector(server, THINGS, project=project, changed=self._changed, pace=PACE)

    @property
    def objects(self):
        return {ref.name: value for ref, value in self.reflector.objects.items()}

    def _changed(self, old, new):
        assert old != new
        self.told.append((old, new))
        self.seen.append(self.objects)


@asynccontextmanager
async def watched(server, project=lambda thing: thing["value"]):
    """A reflector that runs; its task must end when it is cancelled."""
    kept = Watched(server, project)
    task = asyncio.create_task(kept.reflector.run())
    try:
        yield kept
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def settled(kept):
    """Listed, and watching."""
    await kept.reflector.known.wait()
    await asyncio.sleep(SOON_S)


def in_virtual_time(test):
    """Run an asynchronous test with a server of its own, on a loop that does not wait."""

    def wrapped():
        async def main():
            await test(ModelServer())

        run(main())

    wrapped.__name__ = test.__name__
    return wrapped


def asked(server, what):
    return [time_s for time_s, request in server.requests if request == what]


@in_virtual_time
async def test_what_there_is_is_known_after_the_first_list_however_many_pages_it_has(server):
    for number in range(5):
        server.put(str(number), number)
    async with watched(server) as kept:
        assert not kept.reflector.known.is_set()
        await kept.reflector.known.wait()
        assert kept.objects == {str(number): number for number in range(5)}
    assert len(asked(server, "page")) == 2


@in_virtual_time
async def test_that_there_is_nothing_is_known_as_well(server):
    async with watched(server) as kept:
        await settled(kept)
        assert (kept.objects, kept.told) == ({}, [])


@in_virtual_time
async def test_objects_that_come_change_and_go_are_told_with_what_was_before(server):
    async with watched(server) as kept:
        await settled(kept)
        server.put("a", 1)
        server.put("a", 2)
        server.drop("a")
        await asyncio.sleep(SOON_S)
        assert kept.told == [(None, 1), (1, 2), (2, None)]


@in_virtual_time
async def test_the_handler_finds_the_change_in_the_memory_already(server):
    async with watched(server) as kept:
        await settled(kept)
        server.put("a", 1)
        server.drop("a")
        await asyncio.sleep(SOON_S)
        assert kept.seen == [{"a": 1}, {}]


@in_virtual_time
async def test_what_was_projected_away_is_no_change(server):
    async with watched(server, project=lambda thing: thing["value"]["spec"]) as kept:
        server.put("a", {"spec": 1, "status": "new"})
        await settled(kept)
        server.put("a", {"spec": 1, "status": "done"})
        await asyncio.sleep(SOON_S)
        assert kept.told == [(None, 1)]


@in_virtual_time
async def test_what_is_projected_to_none_is_not_there(server):
    async with watched(server, project=lambda thing: thing["value"] or None) as kept:
        server.put("a", 0)
        await settled(kept)
        server.put("a", 1)
        server.put("a", 0)
        server.drop("a")
        await asyncio.sleep(SOON_S)
        assert (kept.objects, kept.told) == ({}, [(None, 1), (1, None)])


@in_virtual_time
async def test_a_watch_that_the_server_ends_goes_on_from_where_it_was_without_a_list(server):
    async with watched(server) as kept:
        await settled(kept)
        await asyncio.sleep(LONG_S)
        server.put("a", 1)
        await asyncio.sleep(SOON_S)
        assert kept.objects == {"a": 1}
    assert len(asked(server, "list")) == 1


@in_virtual_time
async def test_a_quiet_watch_is_renewed_every_few_minutes_and_without_a_gap(server):
    async with watched(server) as kept:
        await settled(kept)
        await asyncio.sleep(LONG_S)
    assert asked(server, "watch") == [PACE.silence_s * number for number in range(int(LONG_S / PACE.silence_s) + 1)]


@in_virtual_time
async def test_a_watch_that_ends_again_and_again_at_once_is_not_a_busy_loop(server):
    async with watched(server) as kept:
        await settled(kept)
        while now_s() < LONG_S:
            server.tells(None)
            await asyncio.sleep(SOON_S)
    assert len(asked(server, "watch")) < LONG_S / (PACE.backoff.last_s / 2) + 10


@in_virtual_time
async def test_a_watch_that_has_told_something_is_followed_by_the_next_at_once(server):
    async with watched(server) as kept:
        await settled(kept)
        for number in range(20):
            server.put("a", number)
            server.tells(None)
            await asyncio.sleep(SOON_S)
        assert len(kept.told) == 20
    assert len(asked(server, "watch")) == 21


@in_virtual_time
async def test_a_forgotten_version_costs_one_list_and_what_happened_meanwhile_is_told(server):
    async with watched(server) as kept:
        for name in "ab":
            server.put(name, 1)
        await settled(kept)
        server.breaks(AWAY)
        await asyncio.sleep(SOON_S)
        server.drop("a")
        server.put("b", 2)
        server.put("c", 1)
        server.forgets()
        server.mends()
        await asyncio.sleep(PACE.backoff.last_s)
        assert kept.objects == {"b": 2, "c": 1}
        assert Counter(kept.told) == Counter([(None, 1), (None, 1), (1, None), (1, 2), (None, 1)])
    assert len(asked(server, "list")) == 2


@in_virtual_time
async def test_bookmarks_spare_the_list(server):
    async with watched(server) as kept:
        await settled(kept)
        server.version += 100  # somebody else's objects
        server.bookmark()
        await asyncio.sleep(SOON_S)
        server.forgets()
        server.breaks(AWAY)
        server.mends()
        server.put("a", 1)
        await asyncio.sleep(PACE.backoff.last_s)
        assert kept.objects == {"a": 1}
    assert len(asked(server, "list")) == 1


@in_virtual_time
async def test_a_version_that_is_forgotten_in_the_middle_of_a_watch_is_listed_anew(server):
    async with watched(server) as kept:
        await settled(kept)
        server.tells(Expired("too old resource version"))
        await asyncio.sleep(SOON_S)
        server.put("a", 1)
        await asyncio.sleep(SOON_S)
        assert kept.objects == {"a": 1}
    assert len(asked(server, "list")) == 2


@in_virtual_time
async def test_a_server_that_forgets_at_once_what_it_has_just_listed_is_not_pestered(server):
    with capture_logs() as logs:
        async with watched(server):
            while now_s() < LONG_S:
                server.version += 1
                server.forgets()
                server.version -= 1
                await asyncio.sleep(SOON_S)
    assert [entry["event"] for entry in logs] == ["api.refused"]
    assert len(asked(server, "list")) < LONG_S / (PACE.backoff.last_s / 2) + 10


@in_virtual_time
async def test_an_outage_is_told_once_and_its_end_once_however_long_it_lasts(server):
    with capture_logs() as logs:
        async with watched(server) as kept:
            await settled(kept)
            server.breaks(AWAY)
            await asyncio.sleep(LONG_S)
            server.mends()
            await asyncio.sleep(PACE.backoff.last_s)
    assert [entry["event"] for entry in logs] == ["api.unavailable", "api.recovered"]


@in_virtual_time
async def test_tries_during_an_outage_become_rare_and_keep_no_common_time(server):
    async with watched(server) as one, watched(server) as other:
        await asyncio.gather(one.reflector.known.wait(), other.reflector.known.wait())
        server.requests.clear()
        server.breaks(AWAY)
        await asyncio.sleep(LONG_S)
        tries = asked(server, "watch")
    assert LONG_S / PACE.backoff.last_s < len(tries) / 2 < LONG_S / (PACE.backoff.last_s / 2) + 10
    assert len(set(tries)) == len(tries)


@in_virtual_time
async def test_what_is_known_stays_during_an_outage(server):
    async with watched(server) as kept:
        server.put("a", 1)
        await settled(kept)
        server.breaks(AWAY)
        await asyncio.sleep(LONG_S)
        assert kept.objects == {"a": 1}
        assert kept.reflector.known.is_set()


@in_virtual_time
async def test_after_an_outage_the_first_try_that_is_answered_brings_everything(server):
    async with watched(server) as kept:
        await settled(kept)
        server.breaks(AWAY)
        await asyncio.sleep(LONG_S)
        server.put("a", 1)
        server.forgets()
        server.mends()
        server.requests.clear()
        await asyncio.sleep(PACE.backoff.last_s)
        assert kept.objects == {"a": 1}
    assert [what for _, what in server.requests] == ["watch", "list", "watch"]
    assert len({time_s for time_s, _ in server.requests}) == 1


@in_virtual_time
async def test_a_server_that_wants_to_be_left_alone_is(server):
    server.breaks(Unavailable("429 too many requests", retry_after_s=120))
    async with watched(server):
        await asyncio.sleep(LONG_S)
    assert len(asked(server, "list")) == LONG_S / 120


@in_virtual_time
async def test_a_kind_that_does_not_exist_has_no_objects_and_is_found_when_it_comes(server):
    server.breaks(NotFound("404 page not found"))
    with capture_logs() as logs:
        async with watched(server) as kept:
            await settled(kept)
            assert kept.objects == {}
            await asyncio.sleep(LONG_S)
            server.mends()
            server.put("a", 1)
            await asyncio.sleep(PACE.backoff.last_s)
            assert kept.objects == {"a": 1}
    assert [entry["event"] for entry in logs] == ["api.refused", "api.recovered"]


@in_virtual_time
async def test_the_objects_of_a_kind_that_goes_are_gone(server):
    async with watched(server) as kept:
        server.put("a", 1)
        await settled(kept)
        server.breaks(NotFound("404 page not found"))
        await asyncio.sleep(PACE.backoff.last_s)
        assert kept.told[-1] == (1, None)


@in_virtual_time
async def test_the_objects_of_a_kind_that_went_and_came_back_are_found_again(server):
    async with watched(server) as kept:
        server.put("a", 1)
        await settled(kept)
        server.breaks(NotFound("404 page not found"))
        await asyncio.sleep(PACE.backoff.last_s)
        server.mends()
        await asyncio.sleep(PACE.backoff.last_s)
        assert kept.told == [(None, 1), (1, None), (None, 1)]


@in_virtual_time
async def test_who_may_not_list_knows_nothing_and_is_not_told_that_there_is_nothing(server):
    server.breaks(Forbidden("403 things is forbidden"))
    async with watched(server) as kept:
        await asyncio.sleep(LONG_S)
        assert not kept.reflector.known.is_set()
        assert server.outages.failing == {"things": "403 things is forbidden"}


@in_virtual_time
async def test_a_reflector_that_is_stopped_in_an_outage_is_no_part_of_it_any_more(server):
    server.breaks(AWAY)
    async with watched(server):
        await asyncio.sleep(SOON_S)
    assert server.outages.failing == {}


HAPPENINGS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.sampled_from("abcd"), st.integers(0, 3)),
        st.tuples(st.just("drop"), st.sampled_from("abcd")),
        st.sampled_from([("breaks",), ("mends",), ("forgets",), ("bookmark",), ("ends",), ("expires",)]),
        st.tuples(st.just("time"), st.sampled_from([0.0, 0.1, 7.0, 300.0])),
    ),
    max_size=40,
)


@settings(deadline=None)
@given(HAPPENINGS)
def test_whatever_happens_the_memory_and_what_was_told_end_up_as_the_server_is(happenings):
    async def main():
        server = ModelServer()
        async with watched(server, project=lambda thing: (thing["metadata"]["name"], thing["value"])) as kept:
            for what, *arguments in happenings:
                await happen(server, what, *arguments)
            server.mends()
            await asyncio.sleep(PACE.silence_s + 2 * PACE.backoff.last_s)
            assert kept.objects == {name: (name, thing["value"]) for name, thing in server.objects.items()}
            assert followed(kept.told) == kept.objects

    run(main())


async def happen(server, what, *arguments):
    if what == "time":
        await asyncio.sleep(*arguments)
    elif what == "drop":
        if arguments[0] in server.objects:
            server.drop(*arguments)
    elif what == "breaks":
        server.breaks(AWAY)
    elif what == "ends":
        server.tells(None)
    elif what == "expires":
        server.tells(Expired("too old resource version"))
    else:
        getattr(server, what)(*arguments)


def followed(told):
    """The state that a handler has which takes every call at its word."""
    state = {}
    for old, new in told:
        name = (old or new)[0]
        assert state.get(name) == old
        state[name] = new
    return {name: value for name, value in state.items() if value is not None}
