"""Whatever is free, the allocator takes what the order of the predecessor says, and nothing twice."""

from dataclasses import replace
from functools import cmp_to_key

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cri_resmgr.host.grids import grid
from cri_resmgr.policies.allocating import Allocator
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Machine, Priority

PREFERENCES = st.sampled_from([*Priority, None])


@st.composite
def machines(draw: st.DrawFn) -> Machine:
    """Small machines of all shapes; some CPUs are offline, some are fast or slow."""
    shape = {name: draw(st.integers(1, 3)) for name in ("packages", "dies", "nodes", "threads")}
    shape["cores"] = draw(st.integers(1, 4))
    count = shape["packages"] * shape["dies"] * shape["nodes"] * shape["cores"] * shape["threads"]
    offline = draw(sets(count)) & draw(sets(count)) & ~1
    machine = grid(**shape, offline=offline, numbering=draw(st.sampled_from(["adjacent", "linux"])))
    high = machine.online & draw(sets(count))
    low = machine.online & draw(sets(count)) & ~high
    normal = machine.online & ~high & ~low
    return replace(machine, priorities={Priority.HIGH: high, Priority.NORMAL: normal, Priority.LOW: low})


def sets(count: int) -> st.SearchStrategy[int]:
    return st.one_of(st.integers(0, (1 << count) - 1), st.just((1 << count) - 1), st.just(0))


# -- the order as its rules read, with sets of numbers and comparisons of two


def by_the_rules(machine: Machine, free: set[int], count: int, prefer: Priority | None) -> set[int]:
    if len(free) == count:
        return free
    packages = {package.id: set(cpusets.ids(package.cpus)) for package in machine.packages}
    package_of = {cpu: package for package, cpus in packages.items() for cpu in cpus}
    cores = [set(cpusets.ids(core.cpus)) for core in machine.cores if core.cpus]
    core_of = {cpu: core for core in cores for cpu in core}
    by_priority = {priority: set(cpusets.ids(cpus)) for priority, cpus in machine.priorities.items()}

    def better(a: set[int], b: set[int], wanted: int) -> int:
        if prefer is None:
            return 0
        for priority in list(Priority)[prefer.value :]:
            in_a, in_b = len(a & by_priority[priority]), len(b & by_priority[priority])
            if wanted > 0 and priority is prefer and in_a >= wanted and in_b >= wanted:
                return in_b - in_a
            if in_a != in_b:
                return in_a - in_b
        for priority in list(Priority)[: prefer.value]:
            in_a, in_b = len(a & by_priority[priority]), len(b & by_priority[priority])
            if in_a != in_b:
                return in_b - in_a
        return 0

    taken: set[int] = set()
    for groups in (packages.values(), cores):
        idle = [group for group in groups if group and group <= free - taken]
        idle.sort(key=min if groups is cores else lambda group: package_of[min(group)])
        idle.sort(key=cmp_to_key(lambda a, b: better(b, a, -1)))
        for group in idle:
            if len(group) <= count - len(taken):
                taken |= group

    left, begun, wanted = free - taken, set(taken), count - len(taken)

    def order(a: int, b: int) -> int:
        package_a, package_b = packages[package_of[a]], packages[package_of[b]]
        return (
            len(package_b & begun) - len(package_a & begun)
            or better(package_b & left, package_a & left, wanted)
            or package_of[a] - package_of[b]
            or better({b}, {a}, 0)
            or len(core_of[a] & left) - len(core_of[b] & left)
            or a - b
        )

    return taken | set(sorted(left, key=cmp_to_key(order))[:wanted])


@settings(max_examples=500)
@given(machine=machines(), prefer=PREFERENCES, data=st.data())
def test_the_order_is_that_of_the_rules(machine: Machine, prefer: Priority | None, data: st.DataObject):
    free = machine.online & data.draw(sets(machine.online.bit_length()))
    count = data.draw(st.integers(0, free.bit_count()))
    taken = Allocator(machine).allocate(free, count, prefer=prefer)
    assert set(cpusets.ids(taken)) == by_the_rules(machine, set(cpusets.ids(free)), count, prefer)


@given(machine=machines(), prefer=PREFERENCES, data=st.data())
def test_machines_whose_parts_come_in_another_order_are_the_same(
    machine: Machine, prefer: Priority | None, data: st.DataObject
):
    packages, cores = (tuple(data.draw(st.permutations(parts))) for parts in (machine.packages, machine.cores))
    other = replace(machine, packages=packages, cores=cores)
    free = machine.online & data.draw(sets(machine.online.bit_length()))
    count = data.draw(st.integers(0, free.bit_count()))
    assert Allocator(machine).allocate(free, count, prefer=prefer) == Allocator(other).allocate(
        free, count, prefer=prefer
    )


@given(machine=machines(), prefer=PREFERENCES, data=st.data())
def test_what_fits_into_idle_packages_and_cores_breaks_up_one_core_at_most(
    machine: Machine, prefer: Priority | None, data: st.DataObject
):
    count = data.draw(st.integers(0, machine.online.bit_count()))
    taken = Allocator(machine).allocate(machine.online, count, prefer=prefer)
    parts = [core.cpus & taken for core in machine.cores if core.cpus & taken not in {0, core.cpus}]
    largest = max(core.cpus.bit_count() for core in machine.cores)
    assert sum(part.bit_count() for part in parts) < largest


class OwnersOfOneMachine(RuleBasedStateMachine):
    """Owners come, grow, give up and go; `free` and `held` are the whole machine at any time."""

    @initialize(machine=machines())
    def start(self, machine: Machine):
        self.machine = machine
        self.allocator = Allocator(machine)
        self.free = machine.online
        self.held: list[int] = []

    @rule(prefer=PREFERENCES, data=st.data())
    def come(self, prefer: Priority | None, data: st.DataObject):
        count = data.draw(st.integers(0, self.free.bit_count()))
        taken = self.allocator.allocate(self.free, count, prefer=prefer)
        assert taken == Allocator(self.machine).allocate(self.free, count, prefer=prefer)
        assert taken & ~self.free == 0
        assert taken.bit_count() == count
        self.free &= ~taken
        self.held.append(taken)

    @precondition(lambda self: self.held)
    @rule(prefer=PREFERENCES, data=st.data())
    def give_up(self, prefer: Priority | None, data: st.DataObject):
        owner = data.draw(st.integers(0, len(self.held) - 1))
        held = self.held[owner]
        count = data.draw(st.integers(0, held.bit_count()))
        given_up = self.allocator.shrink(held, count, prefer=prefer)
        assert given_up & ~held == 0
        assert given_up.bit_count() == count
        assert held & ~given_up == self.allocator.allocate(held, held.bit_count() - count, prefer=prefer)
        self.held[owner] &= ~given_up
        self.free |= given_up

    @precondition(lambda self: self.held)
    @rule()
    def all_go(self):
        for held in self.held:
            self.free |= self.allocator.shrink(held, held.bit_count())
        self.held.clear()
        assert self.free == self.machine.online

    @invariant()
    def no_cpu_is_lost_or_held_twice(self):
        everything = self.free
        for held in self.held:
            assert not everything & held
            everything |= held
        assert everything == self.machine.online


TestOwnersOfOneMachine = OwnersOfOneMachine.TestCase
