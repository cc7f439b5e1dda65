"""What a shoot is to have: the operator's and the owner's words, and the shoot as it is, as one `Installation`."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from extension.beside import Beside
from extension.carrying import Cargo, cargo
from extension.checking import Checker
from extension.clusters import Pool, Shoot
from extension.configs import Base, checked, merged
from extension.contract import Extension
from extension.errors import ConfigurationProblem, NotYet
from extension.images import Source, image_sets
from extension.provider_config import SOURCE, ProviderConfig, StaticPools, parse
from extension.remembering import Renderer
from extension.rendering import Installation
from extension.rendering.inputs import PullSecret, Selection

BASE_DEADLINE_S = 20.0


@dataclass(frozen=True, slots=True)
class Installer:
    """Says what a shoot is to have."""

    base: Base
    checker: Checker
    renderer: Renderer
    vector: Sequence[Source]
    beside: Beside
    pull_secrets: tuple[PullSecret, ...] = ()

    async def cargo(self, found: Extension, shoot: Shoot) -> Cargo:
        """What is to be brought to a shoot.

        Raises ConfigurationProblem for its owner's mistakes, BaseProblem for the operator's, NotYet if the operator's
        configurations cannot be read.
        """
        installation = await self._installation(found, shoot)
        return cargo(found.ref.namespace, await self.renderer.objects(installation))

    async def _installation(self, found: Extension, shoot: Shoot) -> Installation:
        wanted = parse(found.provider_config)
        selected = selection(wanted, shoot.pools)
        await self._base_is_known()
        configs = await checked(merged(self.base.texts(), wanted.configs), self.checker)
        return Installation(
            images=image_sets(
                self.vector, kubernetes_version=shoot.kubernetes_version, architectures=shoot.architectures
            ),
            configs=configs,
            on_policy_error=wanted.on_policy_error or "",
            selection=selected,
            max_unavailable=wanted.max_unavailable,
            webhook=await self.beside.certificate(found.ref.namespace) if wanted.webhook else None,
            pull_secrets=self.pull_secrets,
        )

    async def _base_is_known(self) -> None:
        try:
            async with asyncio.timeout(BASE_DEADLINE_S):
                await self.base.known.wait()
        except TimeoutError as error:
            raise NotYet("the operator's configurations cannot be read yet; see the log for why") from error


def selection(wanted: ProviderConfig, pools: Sequence[Pool] | None) -> Selection:
    """Which nodes are meant.  Raises ConfigurationProblem for a pool that is not there, or must not be selected."""
    known = {pool.name: pool for pool in pools or ()}
    if pools is not None:
        _refuse(_absent(name, known) for name in wanted.worker_pools if name not in known)
    named = set(wanted.worker_pools or known)
    static = [pool for pool in known.values() if pool.static and pool.name in named]
    if wanted.static_kubelet_pools is StaticPools.REFUSE:
        _refuse(map(_managed_twice, static))
    excluded = tuple(sorted(pool.name for pool in static))
    return Selection(tuple(wanted.worker_pools), excluded, dict(wanted.node_selector))


def _refuse(problems: Iterable[str]) -> None:
    if found := [*problems]:
        raise ConfigurationProblem("\n".join(found))


def _absent(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known) or 'none'}"
    return f"{SOURCE}.workerPools: the shoot has no worker pool '{name}'; {hint}"


def _managed_twice(pool: Pool) -> str:
    return (
        f"{SOURCE}.staticKubeletPools: the kubelet of worker pool '{pool.name}' has a static {pool.static}, so both it "
        "and CRI resource manager would place containers; take that out of the pool, name the other pools in "
        "workerPools, or write leaveOut"
    )
