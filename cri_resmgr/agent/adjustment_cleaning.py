"""Entries of nodes that are gone for good are taken out of the status of Adjustments.

A node that goes takes its agent with it, so others must do it, and cheaply: from time to time each agent reads one
Adjustment, picks one of the other nodes in its status by chance, and asks for that Node.  If there is none it takes the
entries out of all Adjustments that it knows.  So all agents of a cluster together look at each entry about once in a
period, whatever the size of the cluster, and nobody lists anything.
"""

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import structlog

from cri_resmgr.agent.adjustment_records import Record, patch
from cri_resmgr.kube.backoff import spread
from cri_resmgr.kube.clients import Client
from cri_resmgr.kube.errors import ApiError, NotFound
from cri_resmgr.kube.resources import Resource

PERIOD_S = 900.0
BETWEEN_S = 0.1
NODES = Resource("v1", "nodes")

log = structlog.get_logger("resource-manager-agent")


class Cleaner:
    """`choose` picks one of several names."""

    def __init__(
        self,
        client: Client,
        resource: Resource,
        node: str,
        *,
        records: Callable[[], Mapping[str, Record]],
        choose: Callable[[Sequence[str]], str] = random.choice,
    ) -> None:
        self._client, self._resource, self._node = client, resource, node
        self._records, self._choose = records, choose

    async def run(self, period_s: float = PERIOD_S) -> NoReturn:
        """Clean until cancelled."""
        while True:
            await asyncio.sleep(spread(period_s))
            try:
                await self.once()
            except ApiError as error:  # another time
                log.info("adjustment.not_cleaned", error=str(error))

    async def once(self) -> None:
        """Look at one node in one Adjustment; raises ApiError."""
        names = sorted(self._records())
        if not names:
            return
        thing = await self._client.get(self._resource, self._choose(names))
        others = sorted(((thing.get("status") or {}).get("nodes") or {}).keys() - {self._node})
        if others and await self._is_gone(node := self._choose(others)):
            log.info("adjustment.node_gone", node=node)
            for name in names:
                await self._client.merge_patch(self._resource, name, patch(node, {}, None), subresource="status")
                await asyncio.sleep(BETWEEN_S)

    async def _is_gone(self, node: str) -> bool:
        try:
            await self._client.get(NODES, node)
        except NotFound:
            return True
        return False
