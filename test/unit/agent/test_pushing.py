"""The chosen ConfigMap comes to the daemon: once, again when it must, and never when the daemon has it."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from cri_resmgr.agent import pushing
from cri_resmgr.agent.choosing import ConfigMap, Nothing, Undecided
from cri_resmgr.agent.daemon import Away, Status
from cri_resmgr.agent.pushing import Pusher
from cri_resmgr.config.protocol import Verdict
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.kube.backoff import Backoff
from unit.agent.voices import turns, until, voice

ONE, TWO = ConfigMap("ns/one", {"policy": "1"}), ConfigMap("ns/two", {"policy": "2"})
WRONG = ConfigMap("ns/wrong", {"wrong": ""})
SOON, NEVER = Backoff(0.001, 0.002), Backoff(3600.0, 3600.0)


class Taker:
    """A daemon that takes what it is given."""

    def __init__(self) -> None:
        self.status_ = Status(source="built-in defaults", next=5)
        self.pushed = []
        self.asked = 0
        self.error = ""
        self.broken = None
        self.holding = asyncio.Event()
        self.holding.set()

    async def status(self, _since):
        self.asked += 1
        if self.broken:
            raise self.broken
        return self.status_

    async def set_config(self, pushed):
        self.pushed.append(pushed)
        await self.holding.wait()
        if self.broken:
            raise self.broken
        if not self.error:
            self.status_ = Status(source=pushed.source, digest=f"digest of {pushed.source}")
        return Verdict(self.error, self.status_.digest)


class Pushed:
    """A pusher with all around it."""

    def __init__(self) -> None:
        self.choice = Undecided("the API server has not said yet what there is")
        self.taker = Taker()
        self.voice, self.told = voice()
        self.checked = []
        self.check_fails = None
        self.pusher = Pusher(self.taker, lambda: self.choice, voice=self.voice, check=self.check)

    async def check(self, data, source):
        self.checked.append(source)
        await asyncio.sleep(0)
        if self.check_fails:
            raise self.check_fails
        if "wrong" in data:
            raise BadInput(f"{source}: line 1: wrong: unknown key")
        return Settings(source=source, digest=f"digest of {source}")

    def chooses(self, choice) -> None:
        self.choice = choice
        self.pusher.changed()

    def is_seen(self) -> None:
        """The daemon answers `following`."""
        self.pusher.seen(self.taker.status_)

    @property
    def text(self) -> str:
        return self.voice.standing.text()

    @property
    def ready(self) -> bool:
        return self.voice.standing.ready

    @property
    def sources(self) -> list[str]:
        return [pushed.source for pushed in self.taker.pushed]


@pytest.fixture(name="here")
async def _here(monkeypatch):
    for name in ("AWAY", "REFUSED", "REPLACED"):
        monkeypatch.setattr(pushing, name, NEVER)
    async with running(Pushed()) as made:
        yield made


@asynccontextmanager
async def running(made):
    task = asyncio.create_task(made.pusher.run())
    try:
        yield made
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_what_is_chosen_is_checked_pushed_and_told(here):
    here.chooses(ONE)
    await until(lambda: here.ready)
    (pushed,) = here.taker.pushed
    assert (pushed.node, pushed.source) == ("node-1", "ns/one")
    assert '"digest":"digest of ns/one"' in pushed.settings
    assert here.text == "configuration: ns/one is in use\n"
    assert here.told.told() == [("ConfigApplied", "ns/one is in use: policy none, digest digest of ns")]
    assert here.told.reports[0].warning is False


async def test_before_anything_is_known_it_is_not_ready_and_says_why(here):
    here.pusher.changed()
    await until(lambda: "has not said" in here.text)
    assert not here.ready
    assert here.taker.asked == 0


async def test_what_the_daemon_has_is_not_pushed_and_no_news(here):
    here.taker.status_ = Status(source="ns/one", digest="digest of ns/one")
    here.chooses(ONE)
    await until(lambda: here.ready)
    assert here.taker.pushed == []
    assert here.told.told() == []


@pytest.mark.parametrize("has", [("ns/one", "another"), ("a file", "digest of ns/one")])
async def test_what_it_has_must_be_the_same_from_the_same_place(here, has):
    here.taker.status_ = Status(source=has[0], digest=has[1])
    here.chooses(ONE)
    await until(lambda: here.ready)
    assert here.sources == ["ns/one"]


async def test_without_a_configmap_nothing_is_pushed_and_all_is_well(here):
    here.chooses(ONE)
    await until(lambda: here.ready)
    here.chooses(Nothing(("a", "b")))
    await until(lambda: "neither a nor b" in here.text)
    assert here.ready
    assert here.sources == ["ns/one"]
    here.chooses(ONE)
    await until(lambda: "in use" in here.text)
    assert here.sources == ["ns/one"], "the daemon has kept it"


async def test_an_outage_of_the_api_server_takes_nothing_back(here):
    here.chooses(ONE)
    await until(lambda: here.ready)
    here.chooses(Undecided("away"))
    await turns()
    assert here.text == "configuration: ns/one is in use\n"


async def test_what_is_wrong_is_told_once_and_not_pushed(here):
    here.chooses(WRONG)
    await until(lambda: here.told.reports)
    assert not here.ready
    assert here.text == "configuration: rejected: ns/wrong: line 1: wrong: unknown key\n"
    here.pusher.changed()
    here.is_seen()
    await turns()
    assert here.told.told() == [("ConfigRejected", "ns/wrong: line 1: wrong: unknown key")]
    assert (here.checked, here.taker.pushed, here.pusher.rejected) == (["ns/wrong"], [], True)
    here.chooses(ONE)
    await until(lambda: here.ready)
    assert not here.pusher.rejected


async def test_what_is_wrong_is_told_while_the_daemon_is_away(here):
    here.taker.broken = Away("nobody")
    here.chooses(WRONG)
    await until(lambda: here.told.reports)


async def test_a_refusal_has_the_daemons_words_and_is_tried_again_after_a_while(here, monkeypatch):
    here.taker.error = "no such CPUs"
    with capture_logs() as logs:
        here.chooses(ONE)
        await until(lambda: "no such CPUs" in here.text)
        assert not here.ready
        assert here.pusher.rejected
        assert here.told.told() == [], "the daemon tells of it itself"
        monkeypatch.setattr(pushing, "REFUSED", SOON)
        here.pusher.changed()
        await until(lambda: len(here.taker.pushed) > 3)
        here.taker.error = ""
        await until(lambda: here.ready)
    assert [entry["event"] for entry in logs] == ["config.refused", "config.in_use"]


async def test_while_the_daemon_is_away_it_waits_and_pushes_when_it_is_back(here):
    here.taker.broken = Away("nobody")
    here.chooses(ONE)
    await until(lambda: "not in use yet: nobody" in here.text)
    assert not here.ready
    here.taker.broken = None
    here.is_seen()
    await until(lambda: here.ready)
    assert here.sources == ["ns/one"]


async def test_without_word_from_following_it_tries_again_by_itself(here, monkeypatch):
    monkeypatch.setattr(pushing, "AWAY", SOON)
    here.taker.broken = Away("nobody")
    here.chooses(ONE)
    await until(lambda: here.taker.asked > 3)
    here.taker.broken = None
    await until(lambda: here.ready)
    assert here.checked == ["ns/one"], "checked once"


async def test_a_daemon_that_dies_under_a_push_is_asked_first_when_it_is_back(here):
    here.taker.holding.clear()
    here.chooses(ONE)
    await until(lambda: here.taker.pushed)
    here.taker.broken = Away("died")
    here.taker.holding.set()
    await until(lambda: "not in use yet: died" in here.text)
    here.taker.broken, here.taker.status_ = None, Status(source="ns/one", digest="digest of ns/one")
    here.is_seen()
    await until(lambda: here.ready)
    assert here.sources == ["ns/one"], "it had been taken"


async def test_a_daemon_that_comes_back_without_it_gets_it_at_once(here):
    here.chooses(ONE)
    await until(lambda: here.ready)
    here.pusher.lost()
    here.taker.status_ = Status(source="built-in defaults")
    here.is_seen()
    await until(lambda: len(here.taker.pushed) == 2)
    assert here.checked == ["ns/one"]


async def test_a_daemon_that_comes_back_with_it_is_left_alone(here):
    here.chooses(ONE)
    await until(lambda: here.ready)
    here.is_seen()
    await turns()
    here.pusher.lost()
    here.is_seen()
    await turns()
    assert here.sources == ["ns/one"]


async def test_two_agents_that_do_not_agree_take_turns_ever_more_slowly(here):
    here.is_seen()
    here.chooses(ONE)
    await until(lambda: here.ready)
    here.taker.status_ = Status(source="ns/two", digest="digest of ns/two")
    with capture_logs() as logs:
        for _ in range(5):
            here.is_seen()
        await turns()
    assert here.sources == ["ns/one"], "not at once"
    assert [entry["event"] for entry in logs] == ["config.replaced"]


async def test_what_another_has_replaced_comes_back(here, monkeypatch):
    monkeypatch.setattr(pushing, "REPLACED", SOON)
    here.is_seen()
    here.chooses(ONE)
    await until(lambda: here.ready)
    here.taker.status_ = Status(source="ns/two", digest="digest of ns/two")
    here.is_seen()
    await until(lambda: here.sources == ["ns/one", "ns/one"])


def test_turns_grow_from_seconds_to_minutes():
    delays = [pushing.REPLACED.delay_s(count) for count in range(1, 12)]
    assert 2.5 <= delays[0] <= 5.0
    assert delays[-1] >= 300.0


async def test_a_change_during_a_push_is_pushed_after_it(here):
    here.taker.holding.clear()
    here.chooses(ONE)
    await until(lambda: here.taker.pushed)
    here.chooses(TWO)
    here.chooses(WRONG)
    here.chooses(TWO)
    here.taker.holding.set()
    await until(lambda: here.text == "configuration: ns/two is in use\n")
    assert here.sources == ["ns/one", "ns/two"]


async def test_what_is_no_longer_chosen_after_its_check_is_not_pushed(here):
    release = asyncio.Event()
    check = here.check

    async def slow(data, source):
        if source == "ns/one":
            await release.wait()
        return await check(data, source)

    here.pusher._check = slow
    here.chooses(ONE)
    await turns()
    here.chooses(TWO)
    release.set()
    await until(lambda: here.ready)
    assert here.sources == ["ns/two"]


async def test_a_check_that_cannot_be_made_is_no_verdict_and_made_again(here, monkeypatch):
    monkeypatch.setattr(pushing, "REFUSED", SOON)
    here.check_fails = Degraded("no memory")
    here.chooses(ONE)
    await until(lambda: len(here.checked) > 2)
    assert "not in use yet: no memory" in here.text
    assert here.told.told() == []
    here.check_fails = None
    await until(lambda: here.ready)


async def test_an_error_of_another_kind_is_said_once_and_no_absence(here, monkeypatch):
    monkeypatch.setattr(pushing, "REFUSED", SOON)
    here.taker.broken = Degraded("INTERNAL")
    with capture_logs() as logs:
        here.chooses(ONE)
        await until(lambda: here.taker.asked > 3)
    assert [entry["event"] for entry in logs] == ["config.undelivered"]
    assert not here.ready


async def test_a_daemon_without_configuration_socket_is_given_nothing_and_all_is_well(here):
    here.taker.broken = Away("nobody")
    here.chooses(ONE)
    await until(lambda: "not in use yet" in here.text)
    here.pusher.off("forced")
    await until(lambda: here.ready)
    assert here.text == "configuration: none is given to the daemon: forced\n"
    here.taker.broken = None
    here.is_seen()
    await until(lambda: "ns/one is in use" in here.text)


async def test_the_counters_say_what_became_of_them(here):
    here.chooses(WRONG)
    await until(lambda: here.told.reports)
    here.taker.error = "no"
    here.chooses(ONE)
    await until(lambda: "rejected" in here.text and "ns/one" in here.text)
    here.taker.error = ""
    here.chooses(TWO)
    await until(lambda: here.ready)
    counters = here.pusher.counters
    assert (counters.pushed, counters.refused, counters.invalid) == (2, 1, 1)


async def test_the_real_check_is_a_child_process():
    settings = await pushing.checked({"policy": "Active: none\n"}, "ns/one")
    assert (settings.policy.active, settings.source) == ("none", "ns/one")
    with pytest.raises(BadInput, match="ns/one: line 1 of polcy"):
        await pushing.checked({"polcy": ""}, "ns/one")
