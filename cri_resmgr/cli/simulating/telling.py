"""The steps for people: what was done, what it has changed and why, and the machine with who sits where."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from textwrap import wrap

from cri_resmgr.cli.simulating import blocks, drawing, occupying, wording
from cri_resmgr.cli.simulating.faces import Faces
from cri_resmgr.cli.simulating.picturing import Pictures
from cri_resmgr.cli.simulating.running import Outcome, Simulation
from cri_resmgr.cli.simulating.seating import effective_cpus, effective_mems
from cri_resmgr.cli.simulating.steps import Configure, Step
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container

_COLUMNS = drawing.COLUMNS
_SHOWN_CHANGES = 12


def lines(simulation: Simulation, steps: Sequence[Step], machine: Machine, *, faces: Faces) -> Iterator[str]:
    """The whole story, line by line; the steps are taken as it is told."""
    yield from _heading(simulation, machine, faces)
    pictures = Pictures(machine, faces)
    for step in steps:
        outcome = simulation.take(step)
        yield ""
        yield from map(faces.strong, _wrapped(f"step {outcome.number} of {len(steps)}: {wording.step(step)}", "", 2))
        for error in outcome.errors:
            yield from map(faces.bad, _wrapped(error, "! ", 4))
        yield from _changes(outcome, machine, faces)
        if isinstance(step, Configure):
            yield from _warnings(simulation, faces)
        yield from pictures.after(outcome, simulation.pools) or ("  the picture is the same",)


def _heading(simulation: Simulation, machine: Machine, faces: Faces) -> Iterator[str]:
    yield from _wrapped(f"machine  {wording.machine(machine)}", "", 9)
    yield f"policy   {simulation.policy_name}"
    key = [[f"{mark} {meaning}"] for mark, meaning in occupying.KEY]
    rows = blocks.flowed(key, gap=3, columns=_COLUMNS - 9)
    yield from (f"{'key' if row == rows[0] else '':9}{row}" for row in rows)
    yield from _warnings(simulation, faces)


def _warnings(simulation: Simulation, faces: Faces) -> Iterator[str]:
    for warning in simulation.warnings():
        yield from map(faces.changed, _wrapped(warning, "warning: ", 4))


def _changes(outcome: Outcome, machine: Machine, faces: Faces) -> Iterator[str]:
    """One line for each container that came, went or changed, with the reasons below it."""
    before, after = outcome.before, outcome.after
    gone = [name for name in before if name not in after]
    come = [name for name in after if name not in before]
    moved = [name for name in after if name in before and _differs(after[name], before[name])]
    for name in come:
        seat = ", ".join(filter(None, _facts(after[name], machine).values()))
        yield from map(faces.new, _wrapped(f"{name}  {seat}", "+ ", 4))
        yield from _reasons(after[name].reasons, faces)
    for name in moved[:_SHOWN_CHANGES]:
        yield from map(faces.changed, _wrapped(f"{name}  {_difference(before[name], after[name], machine)}", "~ ", 4))
        if after[name].reasons != before[name].reasons:
            yield from _reasons(after[name].reasons, faces)
    if len(moved) > _SHOWN_CHANGES:
        yield faces.changed(f"~ and {len(moved) - _SHOWN_CHANGES} more have changed")
    if gone:
        yield from _wrapped(", ".join(gone), "- ", 2)


def _differs(one: Container, other: Container) -> bool:
    what = attrgetter("given", "asked", "holding")
    return one is not other and bool(what(one) != what(other))


def _facts(container: Container, machine: Machine) -> dict[str, str]:
    holding = container.holding
    cpus = effective_cpus(container, machine)
    own = cpusets.text(cpusets.parse(holding.exclusive) | cpusets.parse(holding.isolated))
    return {
        "CPUs": f"CPUs {cpus}",
        "own": f"own {'all' if own == cpus else own}" if own else "",
        "pool": holding.pool,
        "memory": f"memory {effective_mems(container, machine)}",
        "shares": f"{container.given.over(container.asked).cpu_shares} shares",
    }


def _difference(before: Container, after: Container, machine: Machine) -> str:
    was, now = _facts(before, machine), _facts(after, machine)
    changes = [f"{was[what] or 'none'} → {fact or 'none'}" for what, fact in now.items() if fact != was[what]]
    return ", ".join(changes) or now["CPUs"]


def _reasons(reasons: Sequence[str], faces: Faces) -> Iterator[str]:
    for reason in reasons:
        yield from map(faces.faint, _wrapped(reason, "    ", 6))


def _wrapped(text: str, start: str, indent: int) -> list[str]:
    return wrap(text, _COLUMNS, initial_indent=start, subsequent_indent=" " * indent, break_on_hyphens=False)
