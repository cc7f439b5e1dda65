"""A policy that is small enough to be seen through: containers named `x…` get CPUs of their own, all others share.

How many CPUs follows from the shares that are asked for; the lowest that are free are taken, and one is left to share.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cri_resmgr.policies.contract import Answer, PolicyRefusal, Pool, Restored
from cri_resmgr.values import cpusets
from cri_resmgr.values.decisions import HOLDING_NOTHING, Change, Decision, Holding
from cri_resmgr.values.resources import Assignment
from cri_resmgr.values.workloads import Container, Pod

NAME = "private"
State = Mapping[str, int]  # by key: the CPUs that are its own, none for those that share


@dataclass(frozen=True)
class PrivatePolicy:
    """Hands out the CPUs of a machine that has `cpus` of them; `tells` containers which ones are theirs."""

    cpus: int = 8
    tells: bool = False
    name = NAME

    def restore(self, running: Sequence[tuple[Container, Pod]]) -> Restored:
        """Holdings are taken over where they do not overlap, and something is left to share."""
        state: dict[str, int] = {}
        for container, _ in running:
            own = cpusets.parse(container.holding.exclusive) if container.holding.policy == NAME else 0
            taken = self._taken(state)
            fits = not own & (taken | ~self._all) and taken | own != self._all
            state[container.key] = own if fits else 0
        for container, _ in running:
            if container.holding == HOLDING_NOTHING and not container.adopted:
                state[container.key] = self._own(container, state) or 0
        changes = {c.key: self._decision(state, c.key) for c, _ in running}
        return Restored(
            state,
            {
                c.key: changes[c.key]
                for c, _ in running
                if (c.given, c.holding) != (changes[c.key].assignment, changes[c.key].holding)
            },
        )

    def create(self, state: State, container: Container, pod: Pod) -> Answer:
        """Refused where nothing would be left to share."""
        assert container.key not in state, "a container is created once"
        return self._answer(state, container)

    def update(self, state: State, container: Container, pod: Pod) -> Answer:
        """It keeps those CPUs that it may."""
        assert container.key in state, "a container that is resized is known"
        return self._answer(state, container)

    def release(self, state: State, key: str) -> Answer:
        """Its CPUs are everybody's again."""
        after = {other: own for other, own in state.items() if other != key}
        return Decision(neighbours=dict(self._changes(state, after, but=key))), after

    def revisit(self, state: State, container: Container, pod: Pod) -> Answer:
        """All stays."""
        return self._decision(state, container.key), state

    def rebalance(self, state: State) -> Answer:
        """Everybody with CPUs of his own moves to the lowest that are shared now."""
        after = dict(state)
        for key, own in state.items():
            free = self._all & ~self._taken(state) & ~self._taken(after)
            after[key] = _lowest(own | free, own.bit_count())
        return Decision(neighbours=dict(self._changes(state, after, but=""))), after

    def exports(self, container: Container) -> Mapping[str, str]:
        """Its own CPUs, if it may know."""
        return {"EXCLUSIVE_CPUS": container.holding.exclusive} if self.tells else {}

    def pools(self, state: State) -> Sequence[Pool]:
        """None."""
        return ()

    def warnings(self, state: State) -> Sequence[str]:
        """None."""
        return ()

    @property
    def _all(self) -> int:
        return (1 << self.cpus) - 1

    def _answer(self, state: State, container: Container) -> Answer:
        others = {key: own for key, own in state.items() if key != container.key}
        own = self._own(container, others, kept=state.get(container.key, 0))
        if own is None:
            raise PolicyRefusal("no CPU would be left to share")
        after = {**state, container.key: own}
        neighbours = dict(self._changes(state, after, but=container.key))
        decision = self._decision(after, container.key)
        return Decision(decision.assignment, decision.holding, decision.reasons, neighbours=neighbours), after

    def _own(self, container: Container, others: State, kept: int = 0) -> int | None:
        count = 1 + container.wanted.cpu_shares // 2048 if container.name.startswith("x") else 0
        free = self._all & ~self._taken(others)
        if count and count >= free.bit_count():
            return None
        own = _lowest(kept, count)
        return own | _lowest(free & ~kept, count - own.bit_count())

    def _decision(self, state: State, key: str) -> Decision:
        own, shared = state[key], self._all & ~self._taken(state)
        holding = Holding(NAME, "machine", exclusive=cpusets.text(own), shared="" if own else cpusets.text(shared))
        reason = f"its own CPUs {cpusets.text(own)}" if own else "it shares"
        return Decision(Assignment(cpuset_cpus=cpusets.text(own or shared)), holding, (reason,))

    def _changes(self, before: State, after: State, but: str) -> Iterator[tuple[str, Change]]:
        for key in after:
            if key != but and key in before:
                now = self._decision(after, key)
                if now != self._decision(before, key):
                    yield key, Change(now.assignment, now.holding, now.reasons)

    @staticmethod
    def _taken(state: State) -> int:
        taken = 0
        for own in state.values():
            taken |= own
        return taken


def _lowest(cpus: int, count: int) -> int:
    return cpusets.of(list(cpusets.ids(cpus))[:count])
