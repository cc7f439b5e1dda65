"""The machine after a step: the drawing, whose letters are whose, and who shares what."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from cri_resmgr.cli.simulating import blocks, drawing, occupying, seating
from cri_resmgr.cli.simulating.faces import Faces
from cri_resmgr.cli.simulating.occupying import Occupancy
from cri_resmgr.cli.simulating.running import Outcome
from cri_resmgr.cli.simulating.seating import Seat
from cri_resmgr.cli.simulating.steps import Configure
from cri_resmgr.policies.contract import Pool
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine

_COLUMNS = drawing.COLUMNS
_SHOWN_SETS = 12


class Pictures:
    """Draws the machine after each step; a container keeps its letter from one picture to the next."""

    def __init__(self, machine: Machine, faces: Faces) -> None:
        self._machine, self._faces = machine, faces
        self._seats: dict[str, Seat] = {}
        self._letters: Mapping[str, str] = {}
        self._lines: tuple[str, ...] = ()

    def after(self, outcome: Outcome, pools: Callable[[], Iterable[Pool]]) -> tuple[str, ...]:
        """The picture, nothing if it is that of the step before; `pools` are the policy's."""
        known, self._seats = self._seats, seating.seats(outcome.after, self._machine, known=self._seats)
        if self._lines and self._seats == known and not isinstance(outcome.step, Configure):
            return ()
        occupancy = occupying.occupancy(self._machine, self._seats, pools(), before=self._letters)
        self._letters = occupancy.letters
        before, self._lines = self._lines, tuple(_picture(occupancy, self._seats, self._machine, self._faces))
        return self._lines if self._lines != before else ()


def _picture(occupancy: Occupancy, seats: Mapping[str, Seat], machine: Machine, faces: Faces) -> Iterator[str]:
    users: Counter[int] = Counter()
    for mems, count in Counter(seat.mems for seat in seats.values()).items():
        users.update(dict.fromkeys(cpusets.ids(mems), count))
    marks = {cpu: faces.mark(mark) for cpu, mark in occupancy.marks.items()}
    yield from drawing.drawn(machine, marks, users=users)
    letters = sorted(occupancy.letters.items(), key=lambda item: item[1])
    owners = [[f"{letter} {name} {cpusets.text(occupancy.own[name])}"] for name, letter in letters]
    yield from (f"  {row}" for row in blocks.flowed(owners, gap=3, columns=_COLUMNS - 2))
    sets = sorted(occupancy.sharers.items(), key=lambda item: (-len(item[1]), item[0]))
    for cpus, names in sets[:_SHOWN_SETS]:
        verb = "shared" if len(names) > 1 else "used"
        yield f"  {_listed(f'{cpusets.text(cpus)}  {verb} by ', names)}"
    if len(sets) > _SHOWN_SETS:
        yield f"  and {len(sets) - _SHOWN_SETS} more sets of CPUs are shared"


def _listed(start: str, names: Sequence[str]) -> str:
    """As many names as fit into a line, and how many there are beyond."""
    line = start + names[0]
    for shown, name in enumerate(names[1:], start=1):
        more = f" and {len(names) - shown} more"
        if len(line) + len(name) + len(more) + 4 > _COLUMNS:
            return line + more
        line += f", {name}"
    return line
