"""Which ConfigMap configures the node, as Node and ConfigMaps come, change and go."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from cri_resmgr.agent import choosing
from cri_resmgr.agent.choosing import ConfigMap, NodeFacts, Nothing, Undecided
from cri_resmgr.agent.watching import Watch
from unit.agent.cluster import DEFAULT, NAMES, OWN, Cluster

BATCH = NAMES.shared("batch")


@pytest.fixture(name="cluster")
async def _cluster() -> Cluster:
    return Cluster()


class Watched:
    def __init__(self, cluster: Cluster) -> None:
        self._news = asyncio.Event()
        self.watch = Watch(cluster, NAMES, changed=self._news.set)
        self.seen: list[str] = []

    async def becomes(self, name: str) -> ConfigMap:
        """Wait until a ConfigMap is chosen."""
        async with asyncio.timeout(30):
            while not (isinstance(self.watch.choice, ConfigMap) and self.watch.choice.source.endswith(f"/{name}")):
                await self.change()
        return self.watch.choice

    async def change(self) -> None:
        await self._news.wait()
        self._news.clear()
        self.seen.append(getattr(self.watch.choice, "source", type(self.watch.choice).__name__))

    async def is_nothing(self) -> Nothing:
        async with asyncio.timeout(30):
            while not isinstance(self.watch.choice, Nothing):
                await self.change()
        return self.watch.choice


@asynccontextmanager
async def watching(cluster):
    watched = Watched(cluster)
    task = asyncio.create_task(watched.watch.run())
    try:
        yield watched
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_node_without_a_group_gets_the_default(cluster):
    cluster.node()
    cluster.configmap(DEFAULT, policy="Active: none")
    async with watching(cluster) as watched:
        assert await watched.becomes(DEFAULT) == ConfigMap(f"kube-system/{DEFAULT}", {"policy": "Active: none"})
        assert watched.watch.node == NodeFacts("", 8000)


async def test_its_own_configmap_comes_first_and_what_is_next_comes_back_when_it_goes(cluster):
    cluster.node("batch")
    for name in (OWN, BATCH, DEFAULT):
        cluster.configmap(name, logger=f"Debug: {name}")
    async with watching(cluster) as watched:
        await watched.becomes(OWN)
        cluster.drop(OWN)
        await watched.becomes(BATCH)
        cluster.configmap(OWN)
        assert (await watched.becomes(OWN)).data == {}


async def test_a_group_whose_configmap_is_not_there_does_not_get_the_default(cluster):
    cluster.node("batch")
    cluster.configmap(DEFAULT)
    async with watching(cluster) as watched:
        assert await watched.is_nothing() == Nothing((OWN, BATCH))
        cluster.configmap(BATCH)
        await watched.becomes(BATCH)
        cluster.drop(BATCH)
        await watched.is_nothing()


async def test_another_group_is_looked_for_at_once_and_the_old_one_is_watched_no_more(cluster):
    cluster.node()
    cluster.configmap(DEFAULT)
    cluster.configmap(BATCH)
    async with watching(cluster) as watched:
        await watched.becomes(DEFAULT)
        watched.seen.clear()
        cluster.node("batch")
        await watched.becomes(BATCH)
        assert f"kube-system/{DEFAULT}" not in watched.seen
        async with asyncio.timeout(30):
            while cluster.watched() != {NAMES.node, OWN, BATCH}:
                await asyncio.sleep(0)
        cluster.node()
        await watched.becomes(DEFAULT)
        cluster.node("")
        cluster.node("batch")
        await watched.becomes(BATCH)


async def test_a_node_that_is_not_there_is_said_and_gets_what_names_it(cluster):
    cluster.configmap(DEFAULT)
    async with watching(cluster) as watched:
        async with asyncio.timeout(30):
            while "NODE_NAME" not in getattr(watched.watch.choice, "reason", ""):
                await watched.change()
        assert NAMES.node in watched.watch.choice.reason
        cluster.configmap(OWN)
        await watched.becomes(OWN)
        cluster.drop(OWN)
        cluster.node()
        await watched.becomes(DEFAULT)
        cluster.drop(NAMES.node)
        async with asyncio.timeout(30):
            while not isinstance(watched.watch.choice, Undecided):
                await watched.change()


async def test_before_anything_is_known_nothing_is_decided(cluster):
    watch = Watch(cluster, NAMES, changed=lambda: None)
    assert isinstance(watch.choice, Undecided)
    assert watch.node is None


async def test_what_changes_beside_the_data_is_no_news(cluster):
    cluster.node()
    cluster.configmap(DEFAULT, a="1")
    async with watching(cluster) as watched:
        await watched.becomes(DEFAULT)
        cluster.configmap(DEFAULT, a="1")
        cluster.configmap(DEFAULT, a="2")
        watched.seen.clear()
        async with asyncio.timeout(30):
            await watched.change()
        assert watched.watch.choice.data == {"a": "2"}
        assert watched.seen == [f"kube-system/{DEFAULT}"]


async def test_only_single_objects_are_asked_for(cluster):
    cluster.node("batch")
    async with watching(cluster) as watched:
        await watched.is_nothing()
    assert all("metadata.name=" in collection for _, collection in cluster.requests)
    assert len({collection for _, collection in cluster.requests}) == 3


@pytest.mark.parametrize("status", [None, {}, {"allocatable": None}, {"allocatable": {"cpu": "much"}}])
def test_a_node_that_does_not_say_what_it_has_has_nothing_to_compare(status):
    assert choosing.facts({"metadata": {"name": "n"}, "status": status}, NAMES.label) == NodeFacts("", 0)


def test_a_nodes_cpus_may_have_thousandths():
    node = {"metadata": {"labels": {NAMES.label: "g"}}, "status": {"allocatable": {"cpu": "7920m"}}}
    assert choosing.facts(node, NAMES.label) == NodeFacts("g", 7920)


def test_a_configmap_may_have_no_data():
    found = {"metadata": {"name": "a", "namespace": "b", "resourceVersion": "7"}, "data": None}
    assert choosing.configmap(found) == ConfigMap("b/a", {})
    assert choosing.configmap(found).version == "7"
