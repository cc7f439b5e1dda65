"""The Lease by which gardenlet knows that somebody looks after conditions: when it is old, they count for nothing.

It says that the leader's loop is alive, so it is written from a task beside the leader's others, which ends with them
and with the lease they lead by, and from no thread that would go on when the loop hangs.
"""

import asyncio

import structlog

from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import ApiError, Conflict, NotFound
from cri_resmgr.kube.lease_records import LEASES, micro_time
from cri_resmgr.kube.resources import Object

NAME = "gardener-extension-heartbeat"
HOLDER = "cri-resmgr"
RETRY_S = 5.0

log = structlog.get_logger("heartbeat")


class Heartbeat:
    """Beats in `namespace`, where gardenlet looks: that of our ControllerInstallation."""

    def __init__(self, client: Client, *, namespace: str, interval_s: int) -> None:
        self._client = client
        self._leases = LEASES.within(namespace)
        self._interval_s = interval_s
        self._what = f"lease {namespace}/{NAME}"

    async def run(self) -> None:
        """Beat until cancelled."""
        try:
            while True:
                pause_s = await self._beaten()
                await asyncio.sleep(pause_s)
        finally:
            self._client.outages.forget(self._what)

    async def _beaten(self) -> float:
        """Beat once; after how many seconds to do so again."""
        try:
            await self._beat()
        except ApiError as error:
            self._client.outages.failed(self._what, error)
            return min(RETRY_S, self._interval_s)
        self._client.outages.over(self._what)
        return self._interval_s

    async def _beat(self) -> None:
        spec = {"holderIdentity": HOLDER, "leaseDurationSeconds": self._interval_s, "renewTime": micro_time()}
        try:
            await self._client.merge_patch(self._leases, NAME, {"spec": spec})
        except NotFound:
            lease: Object = {"metadata": {"name": NAME}, "spec": spec}
            try:
                await self._client.create(self._leases, lease)
            except Conflict:
                log.debug("lease.made_by_another", lease=self._what)
