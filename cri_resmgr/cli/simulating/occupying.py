"""Who sits on which CPU, as one character for each: what the drawing of a machine shows.

A-Z, a-z  the CPU is this container's own (`#` when there are no letters left)
!         it is somebody's own, and others may run on it nevertheless
1-9, +    so many containers share it; + is ten or more
r, i      nobody is there, and it is reserved, or isolated by the kernel
·         nobody is there
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from cri_resmgr.cli.simulating.seating import Seat
from cri_resmgr.policies.contract import Pool
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghjklmnopqstuvwxyz"  # i and r mean something else
CONFLICT, MANY, NO_LETTER, RESERVED, ISOLATED, NOBODY = "!", "+", "#", "r", "i", "·"
KEY = (
    ("A-z", "whose own"),
    ("1-9", f"how many share it, {MANY} ten or more"),
    (NOBODY, "nobody"),
    (RESERVED, "reserved"),
    (ISOLATED, "isolated"),
    (CONFLICT, "somebody's own, and open to others"),
)


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The character of each online CPU; `letters` are those of the owners, by the name of the container."""

    marks: Mapping[int, str]
    letters: Mapping[str, str]
    own: Mapping[str, int]
    """The CPUs of their own, by name, for those who have any."""
    sharers: Mapping[int, tuple[str, ...]]
    """Who shares which set of CPUs, in the order of creation."""


def occupancy(
    machine: Machine, seats: Mapping[str, Seat], pools: Iterable[Pool], *, before: Mapping[str, str]
) -> Occupancy:
    """Who sits where; a container that had a letter `before` keeps it."""
    own = {name: seat.own for name, seat in seats.items() if seat.own}
    letters = _letters(before, own)
    shared: dict[int, list[str]] = {}
    for name, seat in seats.items():
        cpus = seat.cpus & ~seat.own
        if cpus:
            shared.setdefault(cpus, []).append(name)
    reserved = 0
    for pool in pools:
        reserved |= cpusets.parse(pool.reserved)
    idle = dict.fromkeys(cpusets.ids(machine.online), NOBODY)
    idle |= dict.fromkeys(cpusets.ids(machine.isolated & machine.online), ISOLATED)
    idle |= dict.fromkeys(cpusets.ids(reserved & machine.online), RESERVED)
    sharers = {cpus: tuple(names) for cpus, names in shared.items()}
    return Occupancy(idle | _marks(own, letters, sharers), letters, own, sharers)


def _letters(before: Mapping[str, str], owners: Iterable[str]) -> dict[str, str]:
    owners = tuple(owners)
    kept = {name: before[name] for name in owners if before.get(name, NO_LETTER) != NO_LETTER}
    free = iter([letter for letter in LETTERS if letter not in set(kept.values())])
    return {name: kept.get(name) or next(free, NO_LETTER) for name in owners}


def _marks(
    own: Mapping[str, int], letters: Mapping[str, str], sharers: Mapping[int, tuple[str, ...]]
) -> dict[int, str]:
    counts: Counter[int] = Counter()
    for cpus, names in sharers.items():
        for cpu in cpusets.ids(cpus):
            counts[cpu] += len(names)
    marks = {cpu: str(count) if count < 10 else MANY for cpu, count in counts.items()}  # noqa: PLR2004 - one digit
    for name, cpus in own.items():
        marks |= {cpu: CONFLICT if cpu in marks else letters[name] for cpu in cpusets.ids(cpus)}
    return marks
