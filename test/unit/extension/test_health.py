"""When a condition is written, and when not; hours pass in milliseconds."""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from cri_resmgr.kube.errors import Unavailable
from extension.health import SETTLING_S, Health, hibernated
from extension.rendering.managed import NAME
from extension.verdicts import CONDITION
from unit.extension.seeds import Seed
from unit.kube.virtual_time import now_s, run

NAMESPACE, TYPE = "shoot--p--s", "cri-resmgr-extension"
STARTED = datetime(2026, 1, 1, tzinfo=UTC)
KINDS = ("extensions", "managedresources", "clusters")
Test = Callable[[Seed], Coroutine[Any, Any, None]]


def extension(*, state="Succeeded", kind="Create", **metadata):
    last = {"type": kind, "state": state, "description": "", "lastUpdateTime": "2026-01-01T00:00:00Z"}
    return {
        "metadata": {"namespace": NAMESPACE, "name": TYPE, "generation": 1, **metadata},
        "spec": {"type": TYPE},
        "status": {"lastOperation": last},
    }


def resource(*, healthy="True", applied="True", observed=1):
    conditions = [("ResourcesApplied", applied), ("ResourcesHealthy", healthy)]
    return {
        "metadata": {"namespace": NAMESPACE, "name": NAME, "generation": 1},
        "status": {
            "observedGeneration": observed,
            "conditions": [{"type": kind, "status": status, "message": "m"} for kind, status in conditions if status],
        },
    }


def cluster(*, asleep=False, generation=1):
    shoot = {"spec": {"hibernation": {"enabled": asleep}}}
    return {"metadata": {"name": NAMESPACE, "generation": generation}, "spec": {"shoot": shoot}}


def looked_after(test: Test, *things: Any, refresh_s: float = 0.0) -> Seed:
    """The seed after `test`, during which health is looked after; `things` are there before, by kind."""

    async def main() -> Seed:
        seed = Seed(*KINDS)
        for plural, thing in zip(KINDS, things, strict=False):
            if thing:
                seed.put(plural, thing)
        clock = lambda: STARTED + timedelta(seconds=now_s())  # noqa: E731
        task = asyncio.create_task(Health(seed, workers=2, refresh_s=refresh_s, now=clock).run())  # type: ignore[arg-type]
        await asyncio.sleep(1)
        await test(seed)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return seed

    return run(main())


async def nothing(_: Seed) -> None:
    await asyncio.sleep(0)


def said(seed: Seed) -> list[str]:
    """The statuses that were written, in order."""
    return [next(c for c in w["status"]["conditions"] if c["type"] == CONDITION)["status"] for w in seed.writes]


def asked(seed: Seed) -> int:
    """How often a Cluster was fetched."""
    return [what for _, what in seed.kinds["clusters"].requests].count("get")


def test_what_the_resource_manager_reports_is_passed_on_and_written_once() -> None:
    async def test(seed: Seed) -> None:
        seed.put("managedresources", resource(healthy="False"))
        await asyncio.sleep(1)
        seed.put("managedresources", resource())
        await asyncio.sleep(10_000)

    assert said(looked_after(test, extension(), resource(), cluster())) == ["True", "False", "True"]


def test_while_nothing_changes_nothing_is_written_and_no_cluster_is_fetched() -> None:
    async def test(seed: Seed) -> None:
        written, fetched = len(seed.writes), asked(seed)
        await asyncio.sleep(10_000)
        seed.change("extensions", TYPE, labels={"a": "b"})
        await asyncio.sleep(10)
        assert (len(seed.writes), asked(seed)) == (written, fetched)

    assert said(looked_after(test, extension(), resource(), cluster())) == ["True"]


def test_a_restart_writes_nothing_that_is_there_and_fetches_nothing() -> None:
    first = looked_after(nothing, extension(), resource(), cluster())
    there = first.kinds["extensions"].objects[TYPE]
    again = looked_after(nothing, there, resource(), cluster())
    assert (again.writes, asked(again)) == ([], 0)


def test_a_roll_out_is_no_illness_unless_it_never_ends() -> None:
    async def test(seed: Seed) -> None:
        seed.put("managedresources", resource(healthy="Unknown"))
        await asyncio.sleep(SETTLING_S - 1)
        seed.put("managedresources", resource())
        await asyncio.sleep(1000)
        assert said(seed) == ["True"]
        seed.put("managedresources", resource(healthy="Unknown"))
        await asyncio.sleep(SETTLING_S - 1)
        assert said(seed) == ["True"]
        await asyncio.sleep(2)

    assert said(looked_after(test, extension(), resource(), cluster())) == ["True", "False"]


def test_a_managed_resource_is_missed_only_once_there_should_be_one() -> None:
    async def test(seed: Seed) -> None:
        await asyncio.sleep(100)
        assert said(seed) == []
        seed.put("extensions", extension())
        await asyncio.sleep(1)

    found = looked_after(test, extension(state="Processing"), None, cluster())
    assert said(found) == ["False"]
    assert "not found" in found.writes[0]["status"]["conditions"][0]["message"]


def test_a_shoot_that_sleeps_is_well_and_judged_again_when_it_wakes() -> None:
    async def test(seed: Seed) -> None:
        seed.put("clusters", cluster(asleep=True, generation=2))
        await asyncio.sleep(1)
        assert seed.writes[-1]["status"]["conditions"][0]["message"] == "Shoot is hibernated"
        seed.put("managedresources", resource(healthy="Unknown"))
        await asyncio.sleep(1000)
        assert len(seed.writes) == 2
        seed.put("clusters", cluster(generation=3))
        await asyncio.sleep(SETTLING_S + 1)

    assert said(looked_after(test, extension(), resource(healthy="False"), cluster())) == ["False", "True", "False"]


def test_one_that_is_made_asleep_is_well() -> None:
    async def test(_: Seed) -> None:
        await asyncio.sleep(SETTLING_S)

    never = resource(applied="", healthy="", observed=0)
    assert said(looked_after(test, extension(), never, cluster(asleep=True))) == ["True"]


def test_without_a_cluster_nobody_sleeps() -> None:
    assert said(looked_after(nothing, extension(), resource(healthy="False"), None)) == ["False"]


def test_what_leaves_is_let_alone() -> None:
    async def test(seed: Seed) -> None:
        seed.put("managedresources", resource(healthy="False"))
        await asyncio.sleep(100)

    for leaving in (
        extension(deletionTimestamp="2026-01-01T00:00:00Z"),
        extension(annotations={"gardener.cloud/operation": "migrate"}),
        extension(kind="Migrate"),
    ):
        assert looked_after(test, leaving, resource(), cluster()).writes == []


def test_who_writes_to_the_same_object_makes_it_try_again_at_once() -> None:
    async def test(seed: Seed) -> None:
        seed.conflicts = 3
        seed.put("managedresources", resource(healthy="False"))
        await asyncio.sleep(0.1)
        assert said(seed) == ["True", "False"]

    looked_after(test, extension(), resource(), cluster())


def test_when_the_cluster_cannot_be_had_it_is_tried_until_it_can() -> None:
    async def test(seed: Seed) -> None:
        seed.put("clusters", cluster(asleep=True, generation=2))
        seed.kinds["clusters"].broken = Unavailable("away")
        await asyncio.sleep(5)
        assert said(seed) == ["False"]
        seed.kinds["clusters"].mends()
        await asyncio.sleep(100)

    assert said(looked_after(test, extension(), resource(healthy="False"), cluster())) == ["False", "True"]


def test_a_gardenlet_without_heartbeat_gets_conditions_that_are_not_old() -> None:
    async def test(seed: Seed) -> None:
        await asyncio.sleep(10 * 60)

    found = looked_after(test, extension(), resource(), cluster(), refresh_s=60)
    times = [write["status"]["conditions"][0]["lastUpdateTime"] for write in found.writes]
    assert 9 <= len(set(times)) <= 11
    assert len({write["status"]["conditions"][0]["lastTransitionTime"] for write in found.writes}) == 1


def test_hibernation_is_read_from_any_cluster() -> None:
    assert hibernated(cluster(asleep=True))
    for other in (cluster(), {}, {"spec": None}, {"spec": {"shoot": {"spec": {"hibernation": {"enabled": "yes"}}}}}):
        assert not hibernated(other)
