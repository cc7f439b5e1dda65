"""Containers that come, grow and go at random on a stage: what a policy is measured with.

The same seed gives the same wishes.  Whatever the size of the machine, about a third of its CPUs is asked for as
exclusive ones and a third as fractions, so everybody has neighbours; a fifth of the containers asks for nothing.  As
with a scheduler, who would ask for more than is left does not come: he asks for nothing, or is not resized.
"""

import random
from collections.abc import Callable

from cri_resmgr.policies.contract import Policy, PolicyRefusal
from cri_resmgr.policies.staging import Stage
from cri_resmgr.values import quantities
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod

PART = 1 / 3  # of the machine, for either kind of request
EXCLUSIVE_CPUS = (1, 1, 2, 4)
SCHEDULABLE = 0.8  # of the machine, for both together
NOTHING_ASKED = Resources(cpu_shares=quantities.MIN_SHARES)
NOTHING_ASKED_CHANCE = 0.2
MEMORY_LIMIT_BYTES = 32 << 20
TIDE = 0.1  # by how much the number of containers comes and goes


class Crowd:
    """About `alive` containers under one policy, on a machine of so many CPUs."""

    def __init__(self, policy: Policy, *, cpus: int, alive: int, seed: int = 0) -> None:
        self.stage = Stage(policy)
        self.asked = 0
        """How often the policy was asked for something that it may refuse."""
        self.refused = 0
        self._alive = alive
        self._random = random.Random(seed)
        self._made = 0
        self._left_millicpu = SCHEDULABLE * cpus * 1000
        wanted = PART * cpus / alive
        self._exclusive_chance = wanted * len(EXCLUSIVE_CPUS) / sum(EXCLUSIVE_CPUS)
        self._fraction_millicpu = 1000 * wanted / (1 - self._exclusive_chance - NOTHING_ASKED_CHANCE)
        for _ in range(alive):
            self.create(*self.next())

    @property
    def pools(self) -> int:
        """The number of pools that the policy has made of the machine."""
        return len(self.stage.policy.pools(self.stage.state))

    def next(self) -> tuple[Container, Pod]:
        """A container that does not exist yet, and its pod."""
        self._made += 1
        uid, draw = f"pod-{self._made}", self._random.random()
        if draw < self._exclusive_chance:
            parent, asked = "/kubepods", self._exclusive()
        else:
            parent, asked = "/kubepods/burstable", self._fraction()
        if draw > 1 - NOTHING_ASKED_CHANCE or _millicpu(asked) > self._left_millicpu:
            parent, asked = "/kubepods/besteffort", NOTHING_ASKED
        pod = Pod(uid, uid, "default", uid, cgroup_parent=f"{parent}/pod{uid}")
        return Container(uid, "c", 0, asked=asked), pod

    def create(self, container: Container, pod: Pod) -> bool:
        """Let it come; False if the policy does not."""
        return self._granted(_millicpu(container.asked), lambda: self.stage.create(container, pod))

    def delete(self, container: Container) -> None:
        """Let it go with its pod."""
        self._left_millicpu += _millicpu(container.asked)
        self.stage.delete_pod(container.pod_id)

    def step(self) -> None:
        """One thing happens: somebody comes, goes, or is resized."""
        act, count = self._random.choice((self._come, self._go, self._resize)), len(self.stage.containers)
        if count < self._alive * (1 - TIDE):
            act = self._come
        elif count > self._alive * (1 + TIDE):
            act = self._go
        act()

    def _come(self) -> None:
        self.create(*self.next())

    def _go(self) -> None:
        self.delete(self._random.choice(list(self.stage.containers.values())))

    def _resize(self) -> None:
        container = self._random.choice([c for c in self.stage.containers.values() if c.asked != NOTHING_ASKED])
        wish = self._exclusive() if container.asked.cpu_quota_us else self._fraction()
        more_millicpu = _millicpu(wish) - _millicpu(container.asked)
        if more_millicpu <= self._left_millicpu:
            self._granted(more_millicpu, lambda: self.stage.update(container.key, wish))

    def _granted(self, more_millicpu: int, ask: Callable[[], object]) -> bool:
        self.asked += 1
        try:
            ask()
        except PolicyRefusal:
            self.refused += 1
            return False
        self._left_millicpu -= more_millicpu
        return True

    def _exclusive(self) -> Resources:
        millicpu = 1000 * self._random.choice(EXCLUSIVE_CPUS)
        return Resources(
            cpu_shares=quantities.shares_of(millicpu),
            cpu_quota_us=quantities.quota_of(millicpu),
            cpu_period_us=quantities.PERIOD_US,
            memory_limit_bytes=MEMORY_LIMIT_BYTES,
        )

    def _fraction(self) -> Resources:
        millicpu = round(self._fraction_millicpu * self._random.uniform(0.5, 1.5))
        return Resources(cpu_shares=quantities.shares_of(millicpu), memory_limit_bytes=MEMORY_LIMIT_BYTES)


def _millicpu(asked: Resources) -> int:
    return quantities.millicpu_of(asked.cpu_shares)
