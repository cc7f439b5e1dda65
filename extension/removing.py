"""Taking everything away again, a step at a time: each step looks at what there is, so any of them may be the first.

    install form applied ──► uninstall form rolled out on all nodes ──► ManagedResource deleted ──► all of it gone

The uninstall form comes first because gardener-resource-manager deletes all objects at once, and what the nodes have
outside of Kubernetes would stay.  It is left out where there can be no node, and does not wait for ever for one that
does not answer.  When it takes long the shoot is asked which nodes those are; that is told, and nothing depends on it.
Nothing here reads a configuration.

What gardener-resource-manager is just about to apply it does not yet know to be its own: an uninstall form that came in
between would leave in the shoot for ever what it no longer names.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

import structlog

from cri_resmgr.errors import BadInput, Error
from cri_resmgr.kube.resources import Object
from extension.beside import Beside
from extension.carrying import BEGUN, SINCE, Cargo, Carrier, cargo
from extension.clusters import Shoot
from extension.contract import annotation, time_of
from extension.images import Source, image_sets
from extension.options import Options
from extension.remembering import Renderer
from extension.rendering import Installation
from extension.rollouts import blocked, missing
from extension.shoot_access import ShootAccess
from extension.statuses import written
from extension.stragglers import pods, stragglers, told
from extension.verdicts import managed

log = structlog.get_logger("extension")


class Manner(Enum):
    """How a ManagedResource goes."""

    CLEAN = "clean"
    """The nodes are cleaned first."""
    AT_ONCE = "at once"
    """There are no nodes, or nobody waits for them any more."""
    KEEPING = "keeping"
    """The objects stay in the shoot, which another seed takes over."""


@dataclass(frozen=True, slots=True)
class Remover:
    """Takes ManagedResources away."""

    carrier: Carrier
    beside: Beside
    access: ShootAccess
    renderer: Renderer
    vector: Sequence[Source]
    options: Options
    now: Callable[[], datetime]

    async def step(self, namespace: str, shoot: Shoot, manner: Manner) -> str:
        """Go on; returns what is still to come, in words, and empty when everything is gone."""
        current = await self.carrier.find(namespace)
        if current is not None and "deletionTimestamp" not in current["metadata"]:
            if manner is Manner.CLEAN and (rest := await self._uncleaned(current, shoot)):
                return rest
            if manner is Manner.KEEPING:
                await self.carrier.keep_objects(namespace)
            await self._take_away(namespace)
            current = await self.carrier.find(namespace)
        if current is not None:
            return f"the objects are being deleted: {blocked(current)}"
        await self._sweep(namespace)
        return ""

    async def force(self, namespace: str) -> None:
        """Take it away without waiting for anything: the shoot may be gone already."""
        await self._take_away(namespace)
        await self._sweep(namespace)

    async def _take_away(self, namespace: str) -> None:
        """With the token first, while its ServiceAccount is still carried: afterwards it would be made anew."""
        await self.access.forget(namespace)
        await self.carrier.take_away(namespace)

    async def _sweep(self, namespace: str) -> None:
        """What a ManagedResource leaves behind, whoever has deleted it."""
        await self.access.forget(namespace)
        await self.carrier.sweep(namespace)
        await self.beside.forget(namespace)

    async def _uncleaned(self, current: Object, shoot: Shoot) -> str:
        """What keeps us from going on, empty if nothing does or it has taken too long."""
        namespace = current["metadata"]["namespace"]
        since = annotation(current, SINCE)
        if not since and (rest := await self._unapplied(current)):
            return rest
        since = since or written(self.now())
        if await self.carrier.bring(await self._uninstall(namespace, shoot, since)):
            return "the nodes are being cleaned: the uninstall form has just been written"
        if not (rest := missing(current)):
            return ""
        waited = self.now() - time_of(since)
        if waited > timedelta(seconds=self.options.named_s):
            rest += await self._stragglers(namespace)
        if waited > timedelta(seconds=self.options.removal_s):
            log.warning("removal.incomplete", namespace=namespace, since=since, missing=rest)
            return ""
        return f"the nodes are being cleaned: {rest}"

    async def _stragglers(self, namespace: str) -> str:
        """The nodes that are not clean, as the end of a sentence, if the shoot says so."""
        try:
            async with self.access.shoot(namespace) as shoot:
                return told(stragglers(await pods(shoot)))
        except Error as error:
            log.info("stragglers.unknown", namespace=namespace, error=str(error))
            return ""

    async def _unapplied(self, current: Object) -> str:
        """What there is to wait for before the uninstall form; a manager that is away is not waited for long."""
        state = managed(current)
        if state.failed or state.observed == state.generation:
            return ""
        if not (begun := annotation(current, BEGUN)):
            await self.carrier.note(current["metadata"]["namespace"], BEGUN, written(self.now()))
        elif self.now() - time_of(begun) > timedelta(seconds=self.options.applied_s):
            return ""
        return "the nodes are being cleaned: gardener-resource-manager has not applied the newest objects yet"

    async def _uninstall(self, namespace: str, shoot: Shoot, since: str) -> Cargo:
        version, architectures = shoot.kubernetes_version, shoot.architectures
        try:
            images = image_sets(self.vector, kubernetes_version=version, architectures=architectures)
        except BadInput:  # nothing that somebody has written may keep what was installed from being removed
            images = image_sets(self.vector, kubernetes_version="", architectures=architectures)
        installation = Installation(images=images, form="uninstall", pull_secrets=self.options.pull_secrets)
        return cargo(namespace, await self.renderer.objects(installation), annotations={SINCE: since})
