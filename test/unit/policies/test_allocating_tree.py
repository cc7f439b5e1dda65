"""Sets that grow and shrink stay together; packing fills up, balancing keeps away, spreading takes cores."""

from dataclasses import replace

import pytest

from cri_resmgr.host.grids import grid
from cri_resmgr.policies.allocating import Shortage
from cri_resmgr.policies.allocating_tree import Tree
from cri_resmgr.values import cpusets
from cri_resmgr.values.cpusets import parse
from cri_resmgr.values.machines import Machine


def machine(shape: str) -> Machine:
    """`packages-dies-nodes-cores-threads`, each per the level above."""
    packages, dies, nodes, cores, threads = map(int, shape.split("-"))
    return grid(packages=packages, dies=dies, nodes=nodes, cores=cores, threads=threads)


class Sets:
    """Sets on one machine; each takes the lowest CPUs of what it is offered, as the predecessor's own tests do."""

    def __init__(self, shape: str, *, balance: bool = False, spread_on_cores: bool = False) -> None:
        self.machine = machine(shape)
        self.tree = Tree(self.machine, balance=balance, spread_on_cores=spread_on_cores)
        self.free = self.machine.online
        self.held: dict[int, int] = {}
        self.offered: list[int] = []

    def begin(self, number: int, cpus: str) -> None:
        self.held[number] = parse(cpus)
        self.free &= ~self.held[number]

    def resize(self, number: int, delta: int) -> str:
        """What was added or given up."""
        held = self.held.get(number, 0)
        if delta < 0:
            changed = self.tree.shrink(held, self.free, -delta)
        else:
            lot = self.tree.grow(held, self.free, delta)
            self.offered.append(lot.bit_count())
            changed = cpusets.of(list(cpusets.ids(lot))[:delta])
        self.held[number] = held ^ changed
        self.free ^= changed
        return cpusets.text(changed)

    def resize_all(self, *deltas: int) -> list[str]:
        """Sets 1, 2, 3, ... one after the other."""
        return [self.resize(number, delta) for number, delta in enumerate(deltas, 1)]

    def places(self, number: int, level: str) -> set[int]:
        """The packages, dies, nodes or cores on which a set has CPUs."""
        return {place for place, part in enumerate(getattr(self.machine, level)) if part.cpus & self.held[number]}


# -- what the predecessor's own tests assert, and where its order leads


@pytest.mark.parametrize(
    ("count", "offered"),
    [
        (0, 0),
        (1, 1),
        (2, 2),
        (3, 4),
        (4, 4),
        (5, 8),
        (7, 8),
        (8, 8),
        (9, 16),
        (15, 16),
        (16, 16),
        (17, 32),
        (31, 32),
        (32, 32),
    ],
)
def test_a_first_set_is_offered_the_smallest_element_that_holds_it(count: int, offered: int):
    whole = machine("2-2-2-2-2")
    assert Tree(whole).grow(0, whole.online, count).bit_count() == offered


def test_more_than_there_is_is_a_shortage():
    whole = machine("2-2-2-2-2")
    with pytest.raises(Shortage, match=r"^33 CPUs wanted, 32 available$"):
        Tree(whole).grow(0, whole.online, 33)


def test_balanced_sets_are_as_far_from_each_other_as_they_can_be():
    sets = Sets("2-2-2-2-2", balance=True)
    assert sets.resize_all(*[1] * 8) == ["0", "16", "8", "24", "4", "20", "12", "28"]
    assert len(sets.places(1, "packages") | sets.places(2, "packages")) == 2
    assert len(set().union(*(sets.places(number, "dies") for number in (1, 2, 3, 4)))) == 4
    assert len(set().union(*(sets.places(number, "nodes") for number in sets.held))) == 8


def test_balanced_sets_of_different_sizes_go_to_where_the_most_is_free():
    sets = Sets("4-1-4-8-2", balance=True)
    sets.resize_all(1, 3, 2, 4, 1, 4, 2, 4)
    nodes = [sets.places(number, "nodes") for number in sets.held]
    assert nodes == [{0}, {4}, {8}, {12}, {1}, {2}, {9}, {5}]  # the first two of them in packages 0, 1, 2, 3


def test_packed_sets_fill_up_what_is_begun():
    sets = Sets("2-2-2-2-2")
    assert sets.resize_all(1, 1, 1, 1) == ["0", "1", "2", "3"]
    assert sets.places(1, "cores") == sets.places(2, "cores")
    assert sets.places(1, "nodes") == sets.places(4, "nodes")


def test_a_set_inflates_over_the_nearest_cpus():
    sets = Sets("2-2-2-2-2")
    reach = []
    for delta in (1, 1, 1, 1, 1, 3, 6, 1, 1):
        sets.resize(0, delta)
        reach.append([len(sets.places(0, level)) for level in ("packages", "dies", "nodes", "cores")])
    assert sets.offered == [1, 1, 1, 1, 1, 3, 8, 1, 1]
    assert reach == [
        [1, 1, 1, 1],
        [1, 1, 1, 1],
        [1, 1, 1, 2],
        [1, 1, 1, 2],
        [1, 1, 2, 3],
        [1, 1, 2, 4],
        [1, 2, 4, 7],
        [1, 2, 4, 8],
        [1, 2, 4, 8],
    ]


def test_a_scattered_set_gives_up_what_is_alone_first():
    sets = Sets("2-2-2-2-2")
    sets.begin(1, "0,2-3,7,10,17-18")
    assert [sets.resize(1, -1) for _ in range(7)] == ["18", "17", "10", "7", "0", "3", "2"]


def test_a_scattered_set_gives_up_many_as_it_gives_up_one():
    sets = Sets("2-2-2-2-2")
    sets.begin(1, "0,2,4,6,8-10,24-31")
    assert [sets.resize(1, -n) for n in (2, 1, 5, 3)] == ["9-10", "8", "0,2,4,6,31", "28-30"]
    assert cpusets.text(sets.held[1]) == "24-27"


def test_sets_that_shrink_let_their_neighbours_come_together():
    sets = Sets("2-1-1-16-2")
    packed = ["0-3", "4-7", "8-21", "22-28", "32-38", "39-42", "43-46", "47-60"]
    assert sets.resize_all(4, 4, 14, 7, 7, 4, 4, 14) == packed
    assert sets.resize_all(-2, -2, -2, -2) == ["2-3", "6-7", "20-21", "27-28"]
    assert [(sets.resize(8, -1), sets.resize(8, 1)) for _ in range(4)] == [("47", "61"), *[("61", "61")] * 3]
    assert all(len(sets.places(number, "packages")) == 1 for number in sets.held)


def test_sets_that_spread_on_cores_take_second_threads_last():
    sets = Sets("4-1-4-8-2", balance=True, spread_on_cores=True)
    assert [sets.resize(1, delta) for delta in (2, 1, 4, 1)] == ["0,2", "4", "6,8,10,12", "14"]
    assert len(sets.places(1, "cores")) == 8
    assert [sets.resize(number, delta) for number, delta in ((2, 3), (3, 9), (4, 16))] == [
        "64,66,68",
        "128-130,132,134,136,138,140,142",
        "192-207",
    ]
    assert [sets.places(number, "packages") for number in sets.held] == [{0}, {1}, {2}, {3}]
    assert [sets.resize(1, delta) for delta in (3, 4, 3, -2, 2, -10)] == [
        "1,3,5",
        "7,9,11,13",
        "15-16,18",
        "16,18",
        "16,18",
        "1,3,5,7,9,11,13,15-16,18",
    ]


# -- further behaviour


def test_a_packed_set_leaves_the_largest_gap_to_others():
    tree = Tree(machine("2-1-2-2-2"))
    assert tree.grow(0, parse("0-3,6-7,8-15"), 2) == parse("6-7")


def test_a_set_stays_in_its_package_though_another_would_fit_more_tightly():
    tree = Tree(machine("2-1-2-2-2"))
    assert tree.grow(parse("0"), parse("4-7,8"), 1) == parse("4")


def test_a_set_grows_over_a_larger_element_when_no_smaller_one_has_enough():
    tree = Tree(machine("2-1-2-2-2"))
    assert tree.grow(0, parse("0,2,5,8,10"), 3) == parse("0,2,5")


def test_cpus_come_by_their_number_and_not_by_its_first_digit():
    tree = Tree(machine("1-1-1-16-1"))
    assert tree.grow(0, parse("2,10"), 1) == parse("2")
    assert tree.shrink(parse("2,10"), 0, 1) == parse("10")


def test_threads_that_are_numbered_the_linux_way_share_a_core_all_the_same():
    tree = Tree(grid(packages=2, cores=4, threads=2, numbering="linux"))
    assert tree.grow(parse("1"), parse("0,2-15"), 1) == parse("9")
    spread = Tree(grid(packages=2, cores=4, threads=2, numbering="linux"), spread_on_cores=True)
    assert spread.grow(parse("1"), parse("0,2-15"), 3) == parse("0,2-3")


def test_cores_with_an_offline_thread_have_their_first_thread_among_the_first():
    tree = Tree(grid(cores=4, threads=2, offline=parse("2")), spread_on_cores=True)
    assert tree.grow(0, parse("0-1,3-7"), 4) == parse("0,3,4,6")


def test_offline_and_unknown_cpus_are_neither_offered_nor_counted():
    tree = Tree(grid(cores=4, threads=2, offline=parse("0-1")))
    assert tree.grow(0, parse("0-2,99"), 1) == parse("2")
    with pytest.raises(Shortage, match=r"^2 CPUs wanted, 1 available$"):
        tree.grow(0, parse("0-2,99"), 2)
    assert tree.shrink(parse("1-2,99"), 0, 1) == parse("2")
    with pytest.raises(Shortage, match=r"^2 CPUs wanted, 1 available$"):
        tree.shrink(parse("1-2,99"), 0, 2)


def test_cpus_of_no_node_are_reached_like_those_of_a_node_of_their_own():
    lacking = replace(machine("1-1-2-2-2"), nodes=machine("1-1-2-2-2").nodes[:1])
    assert Tree(lacking).grow(parse("4"), parse("0-3,5-7"), 3) == parse("5-7")


def test_a_node_that_spans_packages_counts_as_one_in_each():
    one_node = replace(machine("2-1-2-2-2"), nodes=(replace(machine("1-1-1-8-2").nodes[0], package=0, die=0),))
    assert Tree(one_node).grow(0, one_node.online, 8) == parse("0-7")
    assert Tree(one_node).grow(parse("8"), one_node.online & ~parse("8"), 7) == parse("9-15")
