"""Which news become work, of whom, and when: the controller with a seed that lists and watches in memory."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from extension.controller import Controller
from extension.images import AGENT, INSTALLATION, WEBHOOK, Source
from extension.observing import CLASSES, class_of
from extension.options import Options
from extension.rendering.managed import NAME
from unit.extension.seeds import Seed
from unit.extension.things import TYPE, extension_object

VECTOR = tuple(Source(name=name, repository=f"example.org/{name}", tag="v1") for name in (INSTALLATION, AGENT, WEBHOOK))
NAMESPACE = "shoot--p--s"


class Work:
    """What the queue is given to work on."""

    def __init__(self):
        self.refs = asyncio.Queue()

    async def __call__(self, ref):
        self.refs.put_nowait(ref)

    async def next(self):
        async with asyncio.timeout(20):
            return await self.refs.get()


@asynccontextmanager
async def working(seed, **options):
    """A controller whose work is only noted."""
    controller, work = Controller(seed, Options(**options), VECTOR), Work()
    controller.queue._work = work
    task = asyncio.create_task(controller.run())
    try:
        async with asyncio.timeout(20):
            await controller.known.wait()
            await controller._carried.known.wait()
            await controller._clusters.known.wait()
        yield controller, work
    finally:
        task.cancel()
        await asyncio.wait({task})


@pytest.fixture
async def seed():
    return Seed("extensions", "clusters", "managedresources", "configmaps")


def resource(**spec):
    return {"metadata": {"name": NAME, "namespace": NAMESPACE, "generation": 1}, "spec": {"secretRefs": [], **spec}}


async def test_what_somebody_waits_for_is_worked_on_at_once_and_the_rest_later(seed):
    seed.put("extensions", extension_object("reconcile", name="asked"))
    seed.put("extensions", extension_object(name="idle"))
    async with working(seed) as (controller, work):
        assert (await work.next()).name == "asked"
        assert work.refs.empty()
        assert len(controller.queue._backlog) == 1


async def test_annotation_is_worked_on_and_our_own_writes_are_not(seed):
    seed.put("extensions", extension_object())
    async with working(seed) as (_, work):
        seed.put("extensions", extension_object("reconcile"))
        assert (await work.next()).name == TYPE
        seed.put("extensions", extension_object("", ("Reconcile", "Processing"), finalizers=["ours"]))
        seed.put("extensions", extension_object("", ("Reconcile", "Succeeded"), finalizers=["ours"]))
        seed.put("extensions", extension_object("reconcile", name="next"))
        assert (await work.next()).name == "next"


async def test_cluster_that_changes_wakes_those_with_unfinished_work_only(seed):
    seed.put("extensions", extension_object("", ("Create", "Error"), name="failed"))
    seed.put("extensions", extension_object(name="idle"))
    async with working(seed) as (_, work):
        assert (await work.next()).name == "failed"
        seed.put("clusters", {"metadata": {"name": NAMESPACE}})
        assert (await work.next()).name == "failed"
        seed.put("clusters", {"metadata": {"name": "another"}})
        seed.put("clusters", {"metadata": {"name": NAMESPACE, "labels": {}}})
        assert (await work.next()).name == "failed"
        assert work.refs.empty()


async def test_resource_that_others_change_or_delete_is_looked_at_and_what_we_wrote_is_not(seed):
    seed.put("extensions", extension_object())
    async with working(seed) as (controller, work):
        controller._carrier.expected[NAMESPACE] = resource()["spec"]
        seed.put("managedresources", resource())
        changed = resource(keepObjects=True)
        seed.put("managedresources", changed)
        assert (await work.next()).name == TYPE
        seed.put("managedresources", resource())
        seed.kinds["managedresources"].drop(NAME)
        assert (await work.next()).name == TYPE
        assert work.refs.empty()


async def test_secret_that_the_resource_manager_misses_is_looked_at(seed):
    seed.put("extensions", extension_object())
    async with working(seed) as (controller, work):
        controller._carrier.expected[NAMESPACE] = resource()["spec"]
        applied = {"type": "ResourcesApplied", "status": "False", "reason": "CannotReadSecret", "message": "not found"}
        seed.put("managedresources", {**resource(), "status": {"conditions": [applied]}})
        assert (await work.next()).name == TYPE


async def test_resource_of_what_is_being_deleted_is_followed(seed):
    seed.put("extensions", extension_object(deleted=True))
    async with working(seed) as (_, work):
        assert (await work.next()).name == TYPE
        seed.put("managedresources", resource())
        assert (await work.next()).name == TYPE
        seed.put("managedresources", {**resource(), "status": {"observedGeneration": 1}})
        assert (await work.next()).name == TYPE


async def test_operators_configuration_concerns_everybody_who_stays(seed):
    seed.put("extensions", extension_object(name="stays"))
    seed.put("extensions", extension_object("wait-for-state", ("Migrate", "Succeeded"), name="leaves"))
    async with working(seed, namespace="ours") as (controller, work):
        async with asyncio.timeout(20):
            await controller._base.known.wait()
        name = "gardener-extension-cri-resmgr-configs"
        seed.put("configmaps", {"metadata": {"name": name, "namespace": "ours"}, "data": {"default": "x"}})
        assert (await work.next()).name == "stays"
        assert controller._base.texts() == {"default": "x"}
        assert work.refs.empty()


async def test_extension_that_has_gone_is_forgotten(seed):
    seed.put("extensions", extension_object())
    async with working(seed) as (controller, work):
        seed.kinds["extensions"].drop(TYPE)
        seed.put("extensions", extension_object("reconcile", name="next", namespace="another"))
        await work.next()
        assert [*controller._sights] == ["another"]


def test_every_error_has_a_class():
    assert class_of(ValueError()) == "internal"
    assert class_of(TimeoutError()) == "deadline"
    assert {class_of(ValueError()), class_of(TimeoutError())} < set(CLASSES)
