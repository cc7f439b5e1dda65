"""However sets grow and shrink, they lie where the rules say, on every machine, and none loses or shares a CPU."""

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cri_resmgr.host.grids import grid
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.policies.allocating_tree import Tree
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine

Cpus = frozenset[int]


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Small machines of all shapes, with some CPUs offline."""
    shape = {name: draw(st.integers(1, 2)) for name in ("packages", "dies", "nodes")}
    shape |= {"cores": draw(st.integers(1, 4)), "threads": draw(st.integers(1, 3))}
    count = 1
    for number in shape.values():
        count *= number
    every_cpu = st.integers(0, (1 << count) - 1)
    offline = draw(st.one_of(st.just(0), every_cpu)) & ~(1 << draw(st.integers(0, count - 1)))
    return grid(**shape, offline=offline, numbering=draw(st.sampled_from(["adjacent", "linux"])))


# -- the rules as they read: every element with its way from the root, compared as a whole


@dataclass(frozen=True)
class Element:
    """`order` are the numbers that name it, `way` the CPUs of all elements from the root down to it."""

    order: tuple[int, ...]
    way: tuple[Cpus, ...]

    def counts(self, members: Cpus) -> tuple[int, ...]:
        return tuple(len(cpus & members) for cpus in self.way)


def elements(machine: Machine, *, spread_on_cores: bool) -> list[Element]:
    cores = [(core.package, core.die, tuple(cpusets.ids(core.cpus))) for core in machine.cores if core.cpus]
    names: dict[int, tuple[int, ...]] = {}
    for package, die, cpus in cores:
        for place, cpu in enumerate(cpus):
            node = next(node.id for node in machine.nodes if node.cpus >> cpu & 1)
            names[cpu] = (package, die, node, *([place] if spread_on_cores else []), cpus[0], cpu)

    def way(name: tuple[int, ...]) -> Iterator[Cpus]:
        for depth in range(len(name) + 1):
            yield frozenset(cpu for cpu, other in names.items() if other[:depth] == name[:depth])

    prefixes = {name[:depth] for name in names.values() for depth in range(len(name) + 1)}
    return [Element(prefix, tuple(way(prefix))) for prefix in prefixes]


class ByTheRules:
    def __init__(self, machine: Machine, *, balance: bool, spread_on_cores: bool) -> None:
        self.balance, self.spread_on_cores = balance, spread_on_cores
        self.elements = elements(machine, spread_on_cores=spread_on_cores)

    def grow(self, held: Cpus, free: Cpus, count: int) -> Cpus:
        if not count:
            return frozenset()
        sign = -1 if self.balance else 1
        best = min(
            (element for element in self.elements if len(element.way[-1] & free) >= count),
            key=lambda e: (
                -len(e.way),
                [-n for n in e.counts(held)],
                [sign * n for n in e.counts(free)],
                e.order,
            ),
        )
        lot = best.way[-1] & free
        if self.spread_on_cores and len(lot) != count:
            lot = frozenset()
            for _ in range(count):
                lot |= self.grow(held | lot, free - lot, 1)
        return lot

    def shrink(self, held: Cpus, free: Cpus, count: int) -> Cpus:
        given_up: Cpus = frozenset()
        for _ in range(count):
            left, nobodys = held - given_up, free | given_up
            worst = min(
                (element for element in self.elements if element.way[-1] & left),
                key=lambda e: (-len(e.way), e.counts(left), e.counts(nobodys), [-n for n in e.order]),
            )
            given_up |= worst.way[-1]
        return given_up


def numbers(cpus: int) -> Cpus:
    return frozenset(cpusets.ids(cpus))


class SetsOfOneMachine(RuleBasedStateMachine):
    """Sets begin, grow, shrink and end; `free` and `held` are the whole machine at any time."""

    @initialize(machine=machines(), balance=st.booleans(), spread_on_cores=st.booleans())
    def start(self, machine: Machine, balance: bool, spread_on_cores: bool):  # noqa: FBT001 - drawn by name
        self.machine = machine
        self.tree = Tree(machine, balance=balance, spread_on_cores=spread_on_cores)
        self.rules = ByTheRules(machine, balance=balance, spread_on_cores=spread_on_cores)
        self.allocator = Allocator(machine)
        self.free = machine.online
        self.held: list[int] = []

    @rule()
    def begin(self):
        self.held.append(0)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def grow(self, data: st.DataObject):
        number = data.draw(st.integers(0, len(self.held) - 1))
        count = data.draw(st.integers(0, self.free.bit_count()))
        lot = self.tree.grow(self.held[number], self.free, count)
        assert numbers(lot) == self.rules.grow(numbers(self.held[number]), numbers(self.free), count)
        assert lot & ~self.free == 0
        taken = self.allocator.allocate(lot, count)
        self.held[number] |= taken
        self.free &= ~taken

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def shrink(self, data: st.DataObject):
        number = data.draw(st.integers(0, len(self.held) - 1))
        held = self.held[number]
        count = data.draw(st.integers(0, held.bit_count()))
        given_up = self.tree.shrink(held, self.free, count)
        assert numbers(given_up) == self.rules.shrink(numbers(held), numbers(self.free), count)
        assert given_up & ~held == 0
        assert given_up.bit_count() == count
        self.held[number] &= ~given_up
        self.free |= given_up

    @precondition(lambda self: self.held)
    @rule()
    def all_end(self):
        for held in self.held:
            self.free |= self.tree.shrink(held, self.free, held.bit_count())
        self.held.clear()
        assert self.free == self.machine.online

    @invariant()
    def no_cpu_is_lost_or_held_twice(self):
        everything = self.free
        for held in self.held:
            assert not everything & held
            everything |= held
        assert everything == self.machine.online


TestSetsOfOneMachine = SetsOfOneMachine.TestCase
TestSetsOfOneMachine.settings = settings(max_examples=60, stateful_step_count=25)

SHAPES = st.fixed_dictionaries(
    {name: st.integers(1, 3) for name in ("packages", "dies", "nodes", "cores", "threads")}
    | {"numbering": st.sampled_from(["adjacent", "linux"])}
)


def single_sets(machine: Machine, count: int, *, balance: bool) -> int:
    """The CPUs of so many sets of one CPU each."""
    tree, taken = Tree(machine, balance=balance), 0
    for _ in range(count):
        taken |= tree.grow(0, machine.online & ~taken, 1)
    return taken


@given(shape=SHAPES, data=st.data())
def test_packed_sets_begin_no_element_before_the_last_one_is_full(shape: dict, data: st.DataObject):
    machine = grid(**shape)
    taken = single_sets(machine, data.draw(st.integers(0, machine.online.bit_count())), balance=False)
    for level in (machine.packages, machine.dies, machine.nodes, machine.cores):
        assert sum(part.cpus & taken not in {0, part.cpus} for part in level) <= 1


@given(shape=SHAPES, data=st.data())
def test_balanced_sets_are_as_many_in_each_element_as_in_the_next(shape: dict, data: st.DataObject):
    machine = grid(**shape)
    taken = single_sets(machine, data.draw(st.integers(0, machine.online.bit_count())), balance=True)
    for level in (machine.packages, machine.dies, machine.nodes, machine.cores):
        counts = [(part.cpus & taken).bit_count() for part in level]
        assert max(counts) - min(counts) <= 1


@given(shape=SHAPES, balance=st.booleans(), data=st.data())
def test_a_set_that_spreads_on_cores_has_all_cores_of_its_node_before_two_threads_of_one(
    shape: dict,
    balance: bool,  # noqa: FBT001 - drawn by name
    data: st.DataObject,
):
    machine = grid(**shape)
    count = data.draw(st.integers(1, shape["cores"] * shape["threads"]))
    tree, held = Tree(machine, balance=balance, spread_on_cores=True), 0
    for _ in range(count):
        held |= tree.grow(held, machine.online & ~held, 1)
    assert sum(bool(node.cpus & held) for node in machine.nodes) == 1
    assert sum(bool(core.cpus & held) for core in machine.cores) == min(count, shape["cores"])
