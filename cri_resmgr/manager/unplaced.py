"""Containers that passed although the policy had no answer: they share what is nobody's own.

The policy does not know of them, so it is seen to here that they are where they harm nobody: on the CPUs that are
available, without those of the kernel's isolation and without those that containers have for themselves, now and
whenever that changes.  They hold nothing; when the policy begins anew it decides about them as about all that runs.
"""

from collections.abc import Iterable, Mapping

from cri_resmgr.manager.differences import own_cpus
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.values import cpusets
from cri_resmgr.values.decisions import HOLDING_NOTHING, Change
from cri_resmgr.values.resources import NOTHING, Assignment, Resources

MOVED = "the policy does not know of it: it shares the CPUs that are nobody's own"


class Unplaced:
    """Who they are; `cpus` is the set that they may share at most, empty for a policy that gives nobody CPUs."""

    def __init__(self, ledger: Ledger, *, cpus: int) -> None:
        self._ledger, self._cpus = ledger, cpus
        self._keys: set[str] = set()

    def __len__(self) -> int:
        return len(self._keys)

    def share(self, cpus: int) -> None:
        """This is the set from now on."""
        self._cpus = cpus

    def begin(self, keys: Iterable[str]) -> None:
        """These are all of them."""
        self._keys = set(keys)

    def add(self, key: str) -> None:
        """One more."""
        self._keys.add(key)

    def assignment(self, asked: Resources) -> Assignment:
        """What one of them gets: the kubelet's own set where it has named one, as far as that is nobody's."""
        shared = self._shared()
        cpus = shared & _members(asked.cpuset_cpus) or shared
        return Assignment(cpuset_cpus=cpusets.text(cpus)) if cpus else NOTHING

    def changes(self) -> Mapping[str, Change]:
        """Those that must go elsewhere now; who has ended, or has been placed, is forgotten."""
        if not self._keys:
            return {}
        holders = self._ledger.holders
        there = {key: holders[key] for key in self._keys if key in holders}
        self._keys = {key for key, container in there.items() if container.holding == HOLDING_NOTHING}
        wanted = {key: self.assignment(there[key].asked) for key in self._keys}
        return {
            key: Change(assignment, HOLDING_NOTHING, (MOVED,))
            for key, assignment in wanted.items()
            if assignment != there[key].given
        }

    def _shared(self) -> int:
        taken = 0
        for container in self._ledger.holders.values():
            if container.holding != HOLDING_NOTHING:
                taken |= own_cpus(container)
        return self._cpus & ~taken


def _members(text: str) -> int:
    try:
        return cpusets.parse(text)
    except ValueError:  # the kubelet's text, which the runtime is to refuse
        return 0
