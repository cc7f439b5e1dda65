"""The state for people and for containers: pools, warnings, and the file `resources.sh`."""

from collections.abc import Iterator, Mapping

from cri_resmgr.policies import contract
from cri_resmgr.policies.topology_aware import remembering, tiers
from cri_resmgr.policies.topology_aware.capacity import Capacity, capacity
from cri_resmgr.policies.topology_aware.state import Draft
from cri_resmgr.policies.topology_aware.tree import Pool, Tree
from cri_resmgr.values import cpusets
from cri_resmgr.values.decisions import Holding

_NAMED_CONTAINERS = 5


def pools(draft: Draft) -> list[contract.Pool]:
    """The pools, each before those below it."""
    now = capacity(draft)
    in_order = sorted(draft.tree.pools, key=lambda pool: (pool.first, pool.depth))
    return [_pool(draft, pool, now) for pool in in_order]


def _pool(draft: Draft, pool: Pool, now: Capacity) -> contract.Pool:
    around = (pool, *(draft.tree.pools[index] for index in pool.ancestors))
    return contract.Pool(
        name=pool.name,
        parent=around[1].name if pool.ancestors else "",
        cpus=cpusets.text(pool.cpus),
        mems=cpusets.text(pool.nodes[0] | pool.nodes[1] | pool.nodes[2]),
        shared=cpusets.text(draft.free(pool)),
        exclusive=cpusets.text(draft.taken & pool.cpus),
        reserved=cpusets.text(pool.reserved),
        free_millicpu=now.shared_millicpu[pool.index],
        free_memory_bytes=min(_unpromised_bytes(draft, one) for one in around),
    )


def _unpromised_bytes(draft: Draft, pool: Pool) -> int:
    below = draft.memory_bytes[pool.first : pool.index + 1]
    return sum(pool.memory_bytes) - sum(map(sum, below))


def warnings(draft: Draft) -> Iterator[str]:
    """What will hurt: a reserve that is too small, and containers to which nothing could be promised."""
    wanted = sum(grant.request.rest_millicpu for grant in draft.grants.values() if grant.request.reserved)
    reserved = draft.tree.root.reserved
    if wanted > 1000 * reserved.bit_count():
        yield (
            f"policy.ReservedResources: containers for the reserved CPUs request {wanted}m, and "
            f"{1000 * reserved.bit_count()}m are reserved ({cpusets.text(reserved)}); "
            f"the rest shares with everybody; write CPU: {-(-wanted // 1000)}"
        )
    unplaced = [f"{g.request.pod.name}:{g.request.container.name}" for g in draft.grants.values() if g.unplaced]
    if unplaced:
        more = f" and {len(unplaced) - _NAMED_CONTAINERS} more" if len(unplaced) > _NAMED_CONTAINERS else ""
        yield (
            f"nothing could be promised to {', '.join(unplaced[:_NAMED_CONTAINERS])}{more}: they share in the root; "
            "make more CPUs available, or end some containers"
        )


def exports(holding: Holding, tree: Tree) -> Mapping[str, str]:
    """What a container with this holding is told about itself; nothing if it is not one of ours."""
    said = remembering.read(holding)
    home = tree.named(str(said.get("home")))
    if home is None:
        return {}
    marks = said["marks"]
    mems = home.mems((tiers.PMEM,) if "cold" in marks else said["tiers"])
    sets = {"ALL_MEMS": cpusets.text(mems)}
    sets |= {f"{kind.name}_MEMS": cpusets.text(mems & home.nodes[tier]) for tier, kind in enumerate(tiers.KINDS)}
    if "reserved" not in marks:
        sets |= {"EXCLUSIVE_CPUS": holding.exclusive, "ISOLATED_CPUS": holding.isolated}
        sets |= {"SHARED_CPUS": holding.shared if said["part"] else ""}
    return {name: text for name, text in sorted(sets.items()) if text}
