"""Another policy, or the same one with other limits, while containers run: all of it, or nothing.

    plan      the new policy says what it would do with what runs; should it break, nothing has happened
    switch    at once, with nothing in between: from here on it decides, and the ledger says so
    commit    its decisions and the settings that they follow from are one write
    verify    the runtime takes what was decided, within a time
              └─ it does not, or the store does not: the old policy again, with what it had decided

Calls of the kubelet go on meanwhile; each meets either the old policy or the new one.  What has come and gone during a
switch that fails is told to the old policy, which begins with what runs then.  A container of which the runtime took
nothing before proves nothing against a policy, nor does one that it has not made yet.

A crash leaves one or the other in the store, as a whole, and the next start goes on from there.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import structlog

from cri_resmgr.errors import Degraded
from cri_resmgr.manager.book import Book
from cri_resmgr.manager.enforcing import Enforcer
from cri_resmgr.manager.interrupting import OverBudget
from cri_resmgr.manager.turns import within
from cri_resmgr.policies.contract import Policy, Restored
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.workloads import Container

BEGIN_DEADLINE_S = 10.0  # for the comparison with the runtime, at start
VERIFY_DEADLINE_S, VERIFY_EACH_S = 10.0, 0.05
_SHOWN = 3

log = structlog.get_logger("resource-manager")


@dataclass(frozen=True, slots=True)
class Regime:
    """Who decides, and the CPUs that containers may share when he has no answer."""

    policy: Policy
    cpus: int


class Reconfigurer:
    """Switches from one regime to another.  One switch at a time: the caller sees to that."""

    def __init__(self, book: Book, enforcer: Enforcer, writer: Writer, *, regime: Regime) -> None:
        self._book, self._enforcer, self._writer = book, enforcer, writer
        self._regime = regime

    def keep(self, values: Mapping[str, str]) -> None:
        """Write values that change no decision beside the ledger."""
        self._writer.keep(values)

    async def switch(self, regime: Regime, *, values: Mapping[str, str], values_before: Mapping[str, str]) -> None:
        """Let `regime` decide, with `values` in the store; raises `Degraded`, and everything is as before.

        `values_before` are those that go with the regime in use, for the way back.
        """
        restored = await self._planned(regime.policy)
        placing, old, before = self._book.placing, self._regime, dict(self._book.ledger.holders)
        troubled = self._enforcer.troubled()
        placing.switch(regime.policy, restored, cpus=regime.cpus)
        self._regime = regime
        self._writer.keep(values)
        changed = [key for key in self._book.ledger.owed if key not in troubled]
        log.info("policy.switched", policy=regime.policy.name, was=old.policy.name, changed=len(changed))
        objection = await self._objection(changed)
        if objection:
            self._switch_back(old, before)
            self._writer.keep(values_before)
            await self._writer.now()
            raise Degraded(f"{objection}; policy {old.policy.name} goes on as before")

    async def _planned(self, policy: Policy) -> Restored:
        """What the policy would do; nothing is awaited after it has been asked."""
        await within(self._book.reconciled, BEGIN_DEADLINE_S)
        if not self._book.placing.begun:
            raise Degraded("what runs is not known, since the runtime does not answer; give the configuration again")
        try:
            return self._book.placing.planned(policy)
        except (Exception, OverBudget) as error:
            log.error("policy.failed", policy=policy.name, event_kind="switch", exc_info=error)
            text = f"policy {policy.name} cannot take over what runs ({type(error).__name__}: {error})"
            raise Degraded(f"{text}; nothing has changed") from error

    async def _objection(self, keys: Collection[str]) -> str:
        """Why the switch cannot stand, "" if it can."""
        if not await self._writer.now():
            return f"the store does not take it: {self._writer.last_error or 'its disk is busy'}"
        failed = await self._enforcer.verified(keys, VERIFY_DEADLINE_S + VERIFY_EACH_S * len(keys))
        shown = [f"{self._name(key)}: {text}" for key, text in list(failed.items())[:_SHOWN]]
        beyond = f" and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
        return f"the runtime does not take what was decided for {', '.join(shown)}{beyond}" if failed else ""

    def _switch_back(self, old: Regime, before: Mapping[str, Container]) -> None:
        log.warning("policy.switched_back", policy=old.policy.name)
        self._regime = old
        self._book.placing.switch_back(old.policy, before, cpus=old.cpus)
        if self._book.placing.stale:  # then reconciling lets it begin again
            self._book.doubted.set()

    def _name(self, key: str) -> str:
        container = self._book.ledger.containers.get(key)
        if container is None:
            return key
        pod = self._book.placing.pod_of(container)
        return f"{pod.namespace}/{pod.name}:{container.name}"
