"""What a grant means for its container, and for whom that has changed.

The kubelet's own CPU shares are right for whoever has only CPUs of its own, or only a part of shared ones.  Who has
both competes on the shared set with that part alone: on its own CPUs there is nobody to compete with.
"""

from functools import cache

from cri_resmgr.policies.topology_aware import remembering
from cri_resmgr.policies.topology_aware.settings import Settings
from cri_resmgr.policies.topology_aware.state import Draft, Grant, State
from cri_resmgr.values import cpusets
from cri_resmgr.values.decisions import Change, Holding
from cri_resmgr.values.quantities import shares_of
from cri_resmgr.values.resources import Assignment


class Pins:
    """What the grants of a draft mean, as long as it does not change."""

    __slots__ = ("_draft", "_numbered", "_settings", "_text")

    def __init__(self, draft: Draft, settings: Settings) -> None:
        self._draft, self._settings = draft, settings
        self._text, self._numbered = cache(cpusets.text), cache(numbered)  # a few sets for many containers

    def shared_cpus(self, grant: Grant) -> int:
        """The CPUs that a container runs on together with others."""
        if grant.reserved:
            return self._draft.tree.root.reserved
        return self._draft.free(grant.pool) if grant.shares else 0

    def assignment(self, grant: Grant) -> Assignment:
        """What its container gets."""
        pin_cpu, pin_memory = self._settings.pin_cpu, self._settings.pin_memory
        return Assignment(
            cpuset_cpus=self._text(grant.own | self.shared_cpus(grant)) if pin_cpu else None,
            cpuset_mems=self._text(grant.mems) if pin_memory else None,
            cpu_shares=shares_of(grant.part_millicpu) if pin_cpu and grant.own and grant.part_millicpu else None,
        )

    def holding(self, grant: Grant) -> Holding:
        """What its container has."""
        return Holding(
            policy=remembering.POLICY,
            pool=grant.pool.name,
            exclusive=self._text(grant.exclusive),
            isolated=self._text(grant.isolated),
            shared=self._text(self.shared_cpus(grant)),
            memo=remembering.memo(grant),
        )

    def change(self, grant: Grant, reason: str) -> Change:
        """What it means for a container that is somebody's neighbour."""
        return Change(self.assignment(grant), self.holding(grant), (f"{reason}: {self._told(grant)}",))

    def _told(self, grant: Grant) -> str:
        shared = self.shared_cpus(grant)
        cpus = f"shares {self._numbered('CPU', shared)} of {grant.pool.name}, " if shared else ""
        return f"{cpus}memory of {grant.home.name}"


def numbered(word: str, ids: int) -> str:
    """CPUs or nodes for people: `CPU 4`, `CPUs 4-7`."""
    return f"{word}{'s' if ids & (ids - 1) else ''} {cpusets.text(ids)}"


def changes(before: State, after: Draft, *, pins: Pins, subject: str = "", cause: str = "") -> dict[str, Change]:
    """Everybody but the subject whose grant or whose shared set is not what it was; `cause` is what has happened."""
    others = after.touched - {subject}
    keys = {key for key in others if key in after.grants and after.grants[key] is not before.grants[key]}
    if shifted := before.taken ^ after.taken:
        pools = {pool.index for pool in after.tree.pools if pool.sharable & shifted}
        keys.update(key for key, grant in after.grants.items() if grant.pool.index in pools and grant.shares)
    return {key: pins.change(after.grants[key], cause) for key in sorted(keys - {subject})}
