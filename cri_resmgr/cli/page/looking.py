"""What the page shows, as JSON: the machine, who sits where, what is left, and what is amiss.

A thousand containers are not made into text at once, for the loop has calls to relay: after each few of them others
have their turn.  An entry of a container that has not changed since the last look is not made again.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from cri_resmgr.policies.contract import Pool
from cri_resmgr.policies.requirements import qos_of
from cri_resmgr.values import cpusets
from cri_resmgr.values.events import Event
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, Pod

AT_ONCE = 25
_TEXTS = json.JSONEncoder(separators=(",", ":"))


@dataclass(frozen=True, slots=True)
class Look:
    """One moment of a node; containers are those that have not ended, `astray` are ids of those that have drifted."""

    policy: str
    source: str
    machine: Machine
    pods: Mapping[str, Pod]
    containers: Sequence[Container]
    pools: Sequence[Pool]
    events: Sequence[Event] = ()
    health: Sequence[str] = ()
    warnings: Sequence[str] = ()
    astray: frozenset[str] = frozenset()


class Looker:
    """Makes the text of one look after another."""

    def __init__(self) -> None:
        self._policy = ""
        self._entries: dict[str, tuple[Container, bool, str]] = {}

    async def text(self, look: Look) -> str:
        """The JSON object; `docs/page.md` says what is in it."""
        known = self._entries if look.policy == self._policy else {}
        entries: dict[str, tuple[Container, bool, str]] = {}
        for number, container in enumerate(look.containers):
            astray = container.id in look.astray
            was, was_astray, entry = known.get(container.key, (None, False, ""))
            same = was is container and was_astray == astray
            entries[container.key] = container, astray, entry if same else _entry(look, container, astray=astray)
            if number % AT_ONCE == AT_ONCE - 1 and not same:
                await asyncio.sleep(0)
        self._entries, self._policy = entries, look.policy
        head = _TEXTS.encode(_head(look))
        return f'{head[:-1]},"containers":[{",".join(entry for _, _, entry in entries.values())}]}}\n'


def _head(look: Look) -> dict[str, Any]:
    reserved = 0
    for pool in look.pools:
        reserved |= cpusets.parse(pool.reserved)
    return {
        "policy": look.policy,
        "source": look.source,
        "health": list(look.health),
        "warnings": list(look.warnings),
        "machine": _machine(look.machine),
        "reserved": cpusets.text(reserved),
        "pools": [asdict(pool) for pool in look.pools],
        "events": [{**asdict(event), "subject": event.subject} for event in look.events],
    }


def _machine(machine: Machine) -> dict[str, Any]:
    return {
        "online": cpusets.text(machine.online),
        "offline": cpusets.text(machine.offline),
        "isolated": cpusets.text(machine.isolated),
        "packages": [{"id": one.id, "cpus": cpusets.text(one.cpus)} for one in machine.packages],
        "dies": [{"id": one.id, "package": one.package, "cpus": cpusets.text(one.cpus)} for one in machine.dies],
        "nodes": [
            {
                "id": node.id,
                "cpus": cpusets.text(node.cpus),
                "memory_bytes": node.memory_bytes,
                "kind": node.kind.value,
                "near": min(((d, id_) for id_, d in node.distances.items() if id_ != node.id), default=(0, -1))[1],
            }
            for node in machine.nodes
        ],
        "cores": [cpusets.text(core.cpus) for core in machine.cores],
        "caches": [
            {"level": cache.level, "size_bytes": cache.size_bytes, "cpus": cpusets.text(cache.cpus)}
            for cache in machine.caches
            if cache.kind != "Instruction"
        ],
    }


def _entry(look: Look, container: Container, *, astray: bool) -> str:
    pod = look.pods.get(container.pod_id) or Pod(container.pod_id, "", "", "")
    holding, has = container.holding, container.due.over(container.asked)
    flags = {
        "pending": container.told != container.due,
        "adopted": container.adopted,
        "unplaced": not holding.policy and look.policy != "none",
        "astray": astray,
        "adjusted": bool(container.adjustment.by),
    }
    return _TEXTS.encode(
        {
            "key": container.key,
            "namespace": pod.namespace,
            "pod": pod.name,
            "name": container.name,
            "state": container.state.value,
            "qos": found.value if (found := qos_of(pod)) else "",
            "cpus": has.cpuset_cpus,
            "mems": has.cpuset_mems,
            "exclusive": holding.exclusive,
            "isolated": holding.isolated,
            "pool": holding.pool,
            "reason": container.reasons[0] if container.reasons else "",
            "flags": [name for name, holds in flags.items() if holds],
        }
    )
