"""The heartbeat as gardenlet reads it; hours pass in milliseconds."""

import asyncio
import re
from contextlib import suppress

from cri_resmgr.kube.errors import Unavailable
from extension.heartbeating import NAME, Heartbeat
from unit.extension.seeds import Seed
from unit.kube.virtual_time import run


def beaten(test) -> Seed:
    """The seed after `test`, during which the heart beats every 30 s."""

    async def main() -> Seed:
        seed = Seed("leases")
        task = asyncio.create_task(Heartbeat(seed, namespace="extension-x", interval_s=30).run())
        await test(seed)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        return seed

    return run(main())


def test_the_lease_is_made_and_renewed() -> None:
    async def test(seed: Seed) -> None:
        await asyncio.sleep(1)
        assert list(seed.kinds["leases"].objects) == [NAME]
        assert seed.writes == []
        await asyncio.sleep(3600)

    found = beaten(test)
    assert 118 <= len(found.writes) <= 121
    spec = found.kinds["leases"].objects[NAME]["spec"]
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"]) == ("cri-resmgr", 30)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", spec["renewTime"])


def test_a_beat_that_fails_is_told_and_tried_again_soon() -> None:
    async def test(seed: Seed) -> None:
        server = seed.kinds["leases"]
        await asyncio.sleep(1)
        server.breaks(Unavailable("away"))
        await asyncio.sleep(60)
        assert list(seed.outages.failing) == [f"lease extension-x/{NAME}"]
        server.mends()
        await asyncio.sleep(6)
        assert seed.outages.failing == {}
        assert len(seed.writes) == 1

    beaten(test)
