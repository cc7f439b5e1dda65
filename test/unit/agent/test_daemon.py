"""The agent's end of the configuration socket: what is asked, what the answers mean, who waits for whom."""

import asyncio
import json

import pytest

from cri_resmgr.agent.daemon import Away, Status, Unknown, connected
from cri_resmgr.config import protocol
from cri_resmgr.config.protocol import Pushed, Verdict
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import Degraded
from cri_resmgr.values.events import Event
from unit.agent.answering import Answerer, served

EVENT = {"kind": "PolicyPassed", "text": "broke", "first_s": 1.0, "last_s": 2.0, "count": 3}


@pytest.fixture(name="answerer")
async def _answerer() -> Answerer:
    return Answerer()


@pytest.fixture(name="path")
def _path(tmp_path):
    return tmp_path / "config.sock"


async def test_a_configuration_gets_the_daemons_verdict(path, answerer):
    pushed = Pushed("node-1", "kube-system/a", "7", Settings(digest="abc", source="kube-system/a").to_json())
    async with served(path, answerer), connected(path) as daemon:
        assert await daemon.set_config(pushed) == Verdict("", "abc")
        answerer.refusing = "no such CPUs"
        assert await daemon.set_config(pushed) == Verdict("no such CPUs", "abc")
    assert answerer.pushed == [pushed, pushed]


async def test_the_status_is_read_field_by_field_and_kept_as_a_whole(path, answerer):
    answerer.status |= {
        "config": {"source": "a/b", "digest": "d", "error": "e", "newer": 1},
        "health": ["the store is full"],
        "events": [EVENT | {"newer": 1}],
        "next": 9,
        "newer": {"x": 1},
    }
    async with served(path, answerer), connected(path) as daemon:
        status = await daemon.status(5)
    assert status == Status("none", "a/b", "d", "e", ("the store is full",), (Event(**EVENT),), 9)
    assert status.said["newer"] == {"x": 1}
    assert answerer.asked_since == [5]


async def test_an_older_daemon_may_say_less(path, answerer):
    answerer.status = {}
    async with served(path, answerer), connected(path) as daemon:
        assert await daemon.status() == Status()


async def test_metrics_are_its_text(path, answerer):
    async with served(path, answerer), connected(path) as daemon:
        assert await daemon.metrics() == answerer.metrics


async def test_a_large_configuration_passes(path, answerer):
    pushed = Pushed("node-1", "a/b", "7", json.dumps({"source": "a/b", "digest": "d", "x": "y" * (3 << 20)}))
    async with served(path, answerer), connected(path) as daemon:
        assert (await daemon.set_config(pushed)).digest == "d"


async def test_who_is_not_patient_hears_at_once_that_nobody_is_there(path):
    async with connected(path) as daemon:
        with pytest.raises(Away, match=r"config\.sock: Status: UNAVAILABLE"):
            await daemon.status(deadline_s=60)


async def test_who_is_patient_gets_an_answer_when_the_daemon_comes_and_when_it_comes_back(path, answerer):
    async with connected(path) as daemon:
        for _ in range(2):
            waiting = asyncio.create_task(daemon.status(deadline_s=60, patient=True))
            await asyncio.sleep(0)
            async with served(path, answerer):
                assert (await waiting).policy == "none"


async def test_a_call_ends_at_its_deadline(path, answerer):
    answerer.holding.clear()
    async with served(path, answerer), connected(path) as daemon:
        with pytest.raises(Away, match="DEADLINE_EXCEEDED"):
            await daemon.set_config(Pushed("n", "s", "1", ""), deadline_s=0.05)


async def test_a_daemon_that_dies_under_a_call_is_away(path, answerer):
    answerer.holding.clear()
    async with connected(path) as daemon:
        async with served(path, answerer):
            waiting = asyncio.create_task(daemon.set_config(Pushed("n", "s", "1", "")))
            while not answerer.pushed:
                await asyncio.sleep(0.01)
        with pytest.raises(Away):
            await waiting


async def test_an_older_daemon_does_not_know_every_question(path, answerer):
    async with served(path, answerer, Metrics=None), connected(path) as daemon:
        with pytest.raises(Unknown, match="update it"):
            await daemon.metrics()


@pytest.mark.parametrize("reply", [b"\xff\xff", protocol.write_status("[]"), protocol.write_status("{")])
async def test_an_answer_that_is_none_is_said_and_is_no_absence(path, answerer, reply):
    async def garbled(_message: bytes) -> bytes:
        return reply

    async with served(path, answerer, Status=garbled), connected(path) as daemon:
        with pytest.raises(Degraded, match="of one version") as caught:
            await daemon.status()
    assert type(caught.value) is Degraded


async def test_a_handler_that_breaks_is_no_absence_either(path, answerer):
    async def broken(_message: bytes) -> bytes:
        raise RuntimeError("broken")

    async with served(path, answerer, Status=broken), connected(path) as daemon:
        with pytest.raises(Degraded, match="INTERNAL") as caught:
            await daemon.status()
    assert type(caught.value) is Degraded
