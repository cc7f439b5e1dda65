"""The outcome of each step for programs: a JSON list with one line, and one entry, for each.

An entry of a container that has not changed is not made again: with hundreds alive that is most of the work.
"""

import json
from collections.abc import Iterable, Iterator

from cri_resmgr.cli.simulating.running import Outcome
from cri_resmgr.cli.simulating.seating import effective_cpus, effective_mems
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container


def lines(outcomes: Iterable[Outcome], machine: Machine) -> Iterator[str]:
    """The lines of the list, made as the steps are taken."""
    entries: dict[str, tuple[Container, str]] = {}
    yield "["
    separator = ""
    for outcome in outcomes:
        known, entries = entries, {}
        for name, container in outcome.after.items():
            was, entry = known.get(name, (None, ""))
            entries[name] = container, entry if was is container else _entry(name, container, machine)
        error = json.dumps("\n".join(outcome.errors) or None)
        containers = ", ".join(entry for _, entry in entries.values())
        yield f'{separator}{{"step": {outcome.number}, "error": {error}, "containers": {{{containers}}}}}'
        separator = ","
    yield "]"


def _entry(name: str, container: Container, machine: Machine) -> str:
    holding = container.holding
    values = {
        "cpus": effective_cpus(container, machine),
        "mems": effective_mems(container, machine),
        "shares": container.given.over(container.asked).cpu_shares,
        "exclusive": holding.exclusive,
        "isolated": holding.isolated,
        "shared": holding.shared,
        "pool": holding.pool,
    }
    return f"{json.dumps(name)}: {json.dumps(values)}"
