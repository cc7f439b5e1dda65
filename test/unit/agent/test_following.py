"""The daemon is asked for ever; those who want to know hear when it goes, when it is back, and what it says."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest
from structlog.testing import capture_logs

from cri_resmgr.agent import following
from cri_resmgr.agent.daemon import connected
from cri_resmgr.agent.following import Following, Pace
from cri_resmgr.kube.backoff import Backoff
from cri_resmgr.wire.server import Status as Refusal
from unit.agent.answering import Answerer, served
from unit.agent.voices import until, voice

PACE = Pace(poll_s=0.005, patience_s=0.2, believe_s=0.0)


class Follower:
    def __init__(self) -> None:
        self.heard = []
        self.seen_ = []

    def seen(self, status) -> None:
        self.seen_.append(status)
        if self.heard[-1:] != ["seen"]:
            self.heard.append("seen")

    def lost(self) -> None:
        self.heard.append("lost")

    def off(self, reason) -> None:
        self.heard.append(f"off: {reason}")


class Here:
    def __init__(self, directory, daemon) -> None:
        self.path = directory / "config.sock"
        self.relay = directory / following.RELAY
        self.answerer, self.follower = Answerer(), Follower()
        self.voice, _ = voice()
        self.number = 7
        self.following = Following(
            daemon, self.path, voice=self.voice, since=lambda: self.number, followers=[self.follower]
        )

    @property
    def text(self) -> str:
        return self.voice.standing.text()


@pytest.fixture(name="here")
async def _here(tmp_path, monkeypatch):
    monkeypatch.setattr(following, "BACKOFF", Backoff(0.01, 0.02))
    async with connected(tmp_path / "config.sock", attempt_s=0.1) as daemon:
        yield Here(tmp_path, daemon)


@asynccontextmanager
async def running(here, pace=PACE):
    task = asyncio.create_task(here.following.run(pace))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_followers_hear_all_that_the_daemon_says(here):
    here.answerer.status["health"] = ["the store is full"]
    async with served(here.path, here.answerer), running(here):
        await until(lambda: len(here.follower.seen_) > 2)
    assert here.follower.heard == ["seen"]
    assert here.follower.seen_[0].policy == "none"
    assert set(here.answerer.asked_since) == {7}
    assert "daemon: policy none, amiss: the store is full\n" in here.text
    assert here.following.health == ("the store is full",)


async def test_a_daemon_that_goes_and_comes_back_is_one_line_each(here):
    with capture_logs() as logs:
        async with running(here):
            async with served(here.path, here.answerer):
                await until(lambda: here.following.connected)
            await until(lambda: "does not answer" in here.text)
            assert not here.following.connected
            await asyncio.sleep(0.5)  # more than one round of patience
            async with served(here.path, here.answerer):
                await until(lambda: here.following.connected)
    assert here.follower.heard == ["seen", "lost", "seen"]
    told = [entry["event"] for entry in logs]
    assert told.count("daemon.connected") == 2
    assert 1 <= told.count("daemon.away") <= 3, "one for each reason"
    assert len({entry.get("error") for entry in logs if entry["event"] == "daemon.away"}) == told.count("daemon.away")
    assert "daemon: policy none\n" in here.text


async def test_one_that_never_came_is_told_though_nobody_lost_it(here):
    async with running(here):
        await until(lambda: "UNAVAILABLE" in here.text)
    assert here.follower.heard == []
    assert not here.voice.standing.ready


async def test_an_answer_that_is_none_is_no_answer(here):
    async def broken(_message):
        raise Refusal(13, "the log says more")

    async with served(here.path, here.answerer, Status=broken), running(here):
        await until(lambda: "INTERNAL" in here.text)
    assert here.follower.heard == []


async def listening(path):
    return await asyncio.start_unix_server(lambda _reader, writer: writer.close(), path)


async def test_a_relay_without_a_configuration_socket_is_left_alone_and_said_once(here):
    with capture_logs() as logs:
        async with await listening(here.relay), running(here):
            await until(lambda: here.follower.heard)
            await asyncio.sleep(0.5)
        assert here.follower.heard == [f"off: {following.OFF}"]
        assert f"daemon: {following.OFF}\n" in here.text
        assert [entry["event"] for entry in logs].count("daemon.unconfigurable") == 1
        async with served(here.path, here.answerer), running(here):
            await until(lambda: here.following.connected)
    assert here.follower.heard[-1] == "seen"


async def test_a_relay_that_has_just_begun_is_given_time(here):
    async with await listening(here.relay), running(here, Pace(poll_s=0.005, patience_s=0.05, believe_s=3600.0)):
        await until(lambda: "does not answer" in here.text)
        await asyncio.sleep(0.2)
    assert here.follower.heard == []


async def test_a_relay_that_goes_too_is_a_daemon_that_is_away(here):
    async with running(here):
        async with await listening(here.relay):
            await until(lambda: here.follower.heard)
        await until(lambda: "does not answer" in here.text)
        assert not here.voice.standing.ready


async def test_a_socket_that_somebody_left_behind_is_no_daemon_that_wants_nothing(here):
    async with served(here.path, here.answerer):
        left = here.path.with_name("left")
        here.path.rename(left)
    left.rename(here.path)
    async with await listening(here.relay), running(here):
        await until(lambda: "does not answer" in here.text)
        await asyncio.sleep(0.3)
    assert here.follower.heard == []
