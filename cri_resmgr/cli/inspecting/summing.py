"""What there is to say about the node, as plain values: policy, machine, pools with what is left, and what is amiss."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from cri_resmgr.cli import making
from cri_resmgr.cli.inspecting.stored import Stored
from cri_resmgr.errors import BadInput
from cri_resmgr.policies.contract import Policy, State
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, Pod


def summed(stored: Stored, *, cgroup_cpus: Callable[[str], int]) -> dict[str, Any]:
    """The JSON answer.

    Pools and warnings are the policy's own, made from what its containers hold; `problems` says why there are none
    where that is not possible.
    """
    alive = stored.alive()
    pools, warnings, problems = _asked_of_the_policy(stored, cgroup_cpus)
    return {
        "daemon": {"pid": stored.pid or None, "store": str(stored.path)},
        "policy": asdict(stored.settings.policy) | {"source": stored.settings.source, "digest": stored.settings.digest},
        "machine": _machine(stored.machine) if stored.machine else None,
        "pools": pools,
        "containers": {
            "alive": [stored.name(c) for c in alive],
            "adopted": [stored.name(c) for c in alive if c.adopted],
            "unplaced": [stored.name(c) for c in _unplaced(stored, alive)],
            "pending": [stored.name(c) for c in alive if c.told != c.due],
        },
        "adjustments": {
            "in_force": {
                one.name: [stored.name(c) for c in alive if c.adjustment.by == one.name] for one in stored.adjustments
            },
            "errors": {name: dict(said) for name, said in stored.adjustment_errors.items()},
        },
        "events": [{**asdict(event), "subject": event.subject} for event in stored.events],
        "warnings": warnings,
        "problems": problems,
    }


def _asked_of_the_policy(
    stored: Stored, cgroup_cpus: Callable[[str], int]
) -> tuple[list[dict[str, Any]], list[str], list[str]]:
    if stored.machine is None:
        return [], [], []
    try:
        policy = making.policy(stored.settings.policy, stored.machine, cgroup_cpus=cgroup_cpus)
    except BadInput as error:
        return [], [], [f"policy: {error}"]
    held = [c for c in stored.alive() if c.holding.policy == policy.name]
    state = policy.restore([(c, stored.pods.get(c.pod_id) or Pod(c.pod_id, "", "", "")) for c in held]).state
    return list(_pools(stored, policy, state, held)), list(policy.warnings(state)), []


def _pools(stored: Stored, policy: Policy, state: State, held: Sequence[Container]) -> Iterator[dict[str, Any]]:
    for pool in policy.pools(state):
        members = [stored.name(c) for c in held if c.holding.pool == pool.name]
        yield asdict(pool) | {"members": members}


def _unplaced(stored: Stored, alive: Sequence[Container]) -> Iterator[Container]:
    """Those of whom the policy does not know, where there are any of whom it does know something."""
    if stored.settings.policy.active != "none":
        yield from (c for c in alive if not c.holding.policy)


def _machine(machine: Machine) -> dict[str, Any]:
    return {
        "packages": len(machine.packages),
        "dies": len(machine.dies),
        "cores": len(machine.cores),
        "cpus": cpusets.text(machine.online),
        "isolated": cpusets.text(machine.isolated),
        "offline": cpusets.text(machine.offline),
        "nodes": [
            {
                "id": node.id,
                "cpus": cpusets.text(node.cpus),
                "memory_bytes": node.memory_bytes,
                "kind": node.kind.value,
            }
            for node in machine.nodes
        ],
    }
