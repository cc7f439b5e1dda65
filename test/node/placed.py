"""The daemon with policy topology-aware, and what its store says of containers."""

from dataclasses import dataclass
from pathlib import Path

from cri_resmgr.values import cpusets
from equipment import cgroups
from equipment.processes import wait_for
from equipment.runtimes import Runtime
from node.test_faults import SETTLE_DEADLINE_S, Watched, wait_equal


@dataclass(frozen=True)
class Row:
    """A container that has not ended, as the store has it; sets are masks."""

    key: str
    id: str
    state: str
    given: int
    told: int
    own: int
    holding: str

    def check(self) -> None:
        """The kernel holds it to what the store says, if it runs."""
        if self.state == "running":
            assert cpusets.parse(cgroups.container_cgroup(self.id).cpus_allowed) == self.given, self


class Placed(Watched):
    """One daemon, from which more can be learnt than from others."""

    def __init__(self, runtime: Runtime, root: Path, config: str, *flags: str) -> None:
        file = root / "forced.cfg"
        file.write_text(config)
        super().__init__(runtime, root, "--force-config", str(file), *flags)

    def holders(self) -> list[Row]:
        """Who holds something, at one moment."""
        found = self.rows(
            "SELECT key, id, state, given_cpuset_cpus, told_cpuset_cpus,"
            " holding_exclusive, holding_pool || ' ' || holding_memo FROM containers WHERE state != 'exited'"
        )
        return [Row(*row[:3], *(cpusets.parse(text or "") for text in row[3:6]), row[6]) for row in found]

    def settle(self, runtime: Runtime) -> list[Row]:
        """Wait until everybody has what was decided; what the store says then."""
        wait_equal(self, runtime)
        wait_for(lambda: self.metric("cri_resmgr_reconcile_rounds_total"), "the first comparison", SETTLE_DEADLINE_S)
        wait_for(lambda: self.metric("cri_resmgr_updates_queued") == 0, "the updates", SETTLE_DEADLINE_S)
        wait_for(lambda: all(row.given == row.told for row in self.holders()), "the store to know", SETTLE_DEADLINE_S)
        return self.holders()
