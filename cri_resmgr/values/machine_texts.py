"""A machine as one JSON text.

The daemon keeps the one that it has found at its start beside the ledger, under `META_KEY`; there `status` reads it,
which might find another one by now.

    store.set(machine_texts.META_KEY, machine_texts.written(machine))

Sets are Linux lists, so that people can read them, too.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Cache, Core, Die, Machine, MemoryKind, Node, Package, Priority

META_KEY = "machine"

_SETS = ("online", "isolated", "offline", "cpus", "nodes")


def written(machine: Machine) -> str:
    """The machine as text; `read` gives an equal value."""
    parts = {
        "packages": map(asdict, machine.packages),
        "dies": map(asdict, machine.dies),
        "nodes": ({**asdict(node), "kind": node.kind.value} for node in machine.nodes),
        "cores": map(asdict, machine.cores),
        "caches": map(asdict, machine.caches),
    }
    whole = {
        **_with_sets({"online": machine.online, "isolated": machine.isolated, "offline": machine.offline}),
        **{name: [_with_sets(row) for row in rows] for name, rows in parts.items()},
        "core_kinds": {kind: cpusets.text(cpus) for kind, cpus in machine.core_kinds.items()},
        "priorities": {priority.name: cpusets.text(cpus) for priority, cpus in machine.priorities.items()},
    }
    return json.dumps(whole, separators=(",", ":"))


def read(text: str) -> Machine:
    """The machine that `written` wrote. Raises ValueError for anything else."""
    try:
        return _machine(json.loads(text))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"no machine that this version knows: {error!r}") from error


def _machine(raw: Mapping[str, Any]) -> Machine:
    return Machine(
        online=cpusets.parse(raw["online"]),
        packages=tuple(Package(**{**row, "dies": tuple(row["dies"])}) for row in _rows(raw["packages"])),
        dies=tuple(Die(**row) for row in _rows(raw["dies"])),
        nodes=tuple(_node(row) for row in _rows(raw["nodes"])),
        cores=tuple(Core(**row) for row in _rows(raw["cores"])),
        caches=tuple(Cache(**row) for row in _rows(raw["caches"])),
        isolated=cpusets.parse(raw["isolated"]),
        offline=cpusets.parse(raw["offline"]),
        core_kinds={kind: cpusets.parse(cpus) for kind, cpus in raw["core_kinds"].items()},
        priorities={Priority[name]: cpusets.parse(cpus) for name, cpus in raw["priorities"].items()},
    )


def _with_sets(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: cpusets.text(value) if name in _SETS else value for name, value in row.items()}


def _rows(rows: Iterable[Mapping[str, Any]]) -> Iterable[dict[str, Any]]:
    return ({name: cpusets.parse(value) if name in _SETS else value for name, value in row.items()} for row in rows)


def _node(row: Mapping[str, Any]) -> Node:
    distances = {int(id_): distance for id_, distance in row["distances"].items()}
    return Node(**{**row, "kind": MemoryKind(row["kind"]), "distances": distances})
