"""The CPU allocator takes the CPUs that users of the predecessor know, and says when there are too few."""

from dataclasses import replace

import pytest

from cri_resmgr.host.grids import grid
from cri_resmgr.policies.allocating import Allocator, Shortage
from cri_resmgr.values import cpusets
from cri_resmgr.values.cpusets import parse
from cri_resmgr.values.machines import Core, Machine, Priority

HIGH = parse("2,5,8,15,17,42,45,48,55,57")
NORMAL = parse("20-39,60-79")
EIGHTY = grid(packages=2, nodes=2, cores=10, threads=2, numbering="linux")
SIXTEEN = grid(packages=2, nodes=2, cores=2, threads=2)


def with_priorities(machine: Machine, *, high: int = 0, low: int = 0) -> Machine:
    normal = machine.online & ~high & ~low
    return replace(machine, priorities={Priority.HIGH: high, Priority.NORMAL: normal, Priority.LOW: low})


def allocate(machine: Machine, free: str, count: int, prefer: Priority | None = Priority.NORMAL) -> str:
    return cpusets.text(Allocator(machine).allocate(parse(free), count, prefer=prefer))


def shrink(machine: Machine, held: str, count: int, prefer: Priority | None = Priority.NORMAL) -> str:
    return cpusets.text(Allocator(machine).shrink(parse(held), count, prefer=prefer))


PRIORITISED = with_priorities(EIGHTY, high=HIGH, low=EIGHTY.online & ~HIGH & ~NORMAL)


# -- what the predecessor's own tests assert


def test_too_few_cpus_are_a_shortage_that_says_how_many():
    with pytest.raises(Shortage, match=r"^9 CPUs wanted, 8 available$") as short:
        allocate(PRIORITISED, "2-3,10-14,20", 9)
    assert (short.value.wanted, short.value.available) == (9, 8)


def test_who_wants_all_gets_all():
    assert allocate(PRIORITISED, "2-3,10-14,20", 8) == "2-3,10-14,20"


def test_who_prefers_fast_cpus_gets_those_first_and_the_rest_from_their_package():
    assert allocate(PRIORITISED, "2-3,10-25", 4, Priority.HIGH) == "2-3,15,17"


def test_one_after_the_other_fills_cores_before_it_begins_others():
    allocator, free, got = Allocator(SIXTEEN), parse("2-14"), []
    for count in (1, 1, 1, 2, 2, 2):
        taken = allocator.allocate(free, count)
        free &= ~taken
        got.append(cpusets.text(taken))
    assert got == ["2", "3", "4", "6-7", "8-9", "10-11"]
    assert cpusets.text(free) == "5,12-14"


def test_without_a_preference_one_cpu_is_the_lowest_of_a_begun_core():
    assert allocate(SIXTEEN, "1-15", 1, None) == "1"
    assert allocate(SIXTEEN, "0-15", 1) == "0"


def test_an_odd_number_is_whole_cores_and_a_thread_next_to_them():
    assert allocate(SIXTEEN, "4-13", 3) == "4-6"


# -- idle packages


def test_an_idle_package_is_taken_as_a_whole_though_another_has_lower_numbers():
    assert allocate(SIXTEEN, "1-15", 8) == "8-15"


def test_a_package_with_offline_cpus_is_idle_when_all_that_are_online_are_free():
    machine = grid(packages=2, cores=4, threads=2, offline=parse("8-9"))
    assert allocate(machine, "1-15", 6) == "10-15"


def test_a_package_that_is_too_large_is_passed_over_for_a_smaller_one():
    machine = grid(packages=2, cores=4, threads=2, offline=parse("8-13"))
    assert allocate(machine, "0-15", 5) == "0-2,14-15"


@pytest.mark.parametrize(
    ("prefer", "got"), [(Priority.HIGH, "8-15"), (Priority.NORMAL, "0-7"), (Priority.LOW, "0-7"), (None, "0-7")]
)
def test_the_idle_package_with_the_most_wished_cpus_comes_first(prefer: Priority | None, got: str):
    assert allocate(with_priorities(SIXTEEN, high=parse("10,12")), "0-15", 8, prefer) == got


# -- idle cores


def test_cores_are_taken_in_the_order_of_their_lowest_cpu():
    assert allocate(EIGHTY, "0-9,41-49", 4) == "1-2,41-42"


def test_a_core_with_more_threads_than_are_wanted_is_left_whole():
    assert allocate(grid(cores=4, threads=4), "0-15", 6) == "0-5"
    assert allocate(grid(cores=4, threads=4), "0-13", 3) == "0,12-13"


def test_cores_of_the_wished_kind_come_before_lower_numbers():
    slow_first = with_priorities(grid(cores=4, threads=2), low=parse("0-3"))
    assert allocate(slow_first, "0-7", 2) == "4-5"
    assert allocate(slow_first, "0-7", 2, Priority.LOW) == "0-1"
    assert allocate(slow_first, "0-7", 2, None) == "0-1"


def test_small_cores_of_a_hybrid_machine_fill_what_large_ones_leave():
    cores = tuple(Core(number, 0, 0, parse(cpus)) for number, cpus in enumerate(("0-1", "2-3", "4", "5", "6", "7")))
    hybrid = with_priorities(replace(grid(cores=4, threads=2), cores=cores), high=parse("0-3"), low=parse("4-7"))
    assert allocate(hybrid, "0-7", 3, Priority.HIGH) == "0-1,4"
    assert allocate(hybrid, "0-7", 3, Priority.LOW) == "4-6"


# -- threads


def test_a_thread_comes_from_a_core_that_somebody_has_begun():
    assert allocate(SIXTEEN, "0-6", 1) == "6"


def test_a_thread_comes_from_the_package_that_fits_most_tightly():
    assert allocate(SIXTEEN, "0,2,4,6,8,10,12", 3) == "8,10,12"
    assert allocate(SIXTEEN, "0,2,4,6,8,10,12", 4) == "0,2,4,6"


def test_of_packages_that_are_all_too_small_the_larger_one_is_begun():
    assert allocate(SIXTEEN, "0,2,9,11,13", 4) == "0,9,11,13"


def test_the_last_thread_joins_the_package_of_the_others():
    assert allocate(SIXTEEN, "0,8-11,13", 3) == "8-9,13"


def test_higher_priorities_than_the_wished_one_are_spared_the_highest_last():
    machine = with_priorities(SIXTEEN, high=parse("0,2"), low=parse("1,4"))
    assert allocate(machine, "0-2,4,6", 1, Priority.NORMAL) == "6"
    assert allocate(machine, "0-2", 1, Priority.NORMAL) == "1"
    assert allocate(with_priorities(SIXTEEN, high=1, low=8), "0,2", 1, Priority.LOW) == "2"


# -- giving up


def test_what_is_given_up_is_what_would_not_have_been_taken():
    assert shrink(SIXTEEN, "0-6", 1) == "6"
    assert shrink(SIXTEEN, "0-3,8", 2) == "3,8"


def test_giving_up_all_or_nothing_needs_no_choice():
    assert shrink(SIXTEEN, "0-6", 7) == "0-6"
    assert shrink(SIXTEEN, "0-6", 0) == ""


def test_slow_cpus_are_given_up_before_fast_ones():
    assert shrink(with_priorities(SIXTEEN, high=parse("4-5")), "0-5", 4, Priority.HIGH) == "0-3"


def test_nobody_gives_up_more_than_he_has():
    with pytest.raises(Shortage, match=r"^3 CPUs wanted, 2 available$"):
        shrink(SIXTEEN, "0-1", 3)


# -- the edges


def test_nothing_is_wanted_and_nothing_is_taken():
    assert allocate(SIXTEEN, "0-15", 0) == ""
    assert allocate(SIXTEEN, "", 0) == ""


def test_cpus_that_are_offline_or_unknown_are_neither_chosen_nor_counted():
    machine = grid(packages=2, nodes=2, cores=2, threads=2, offline=parse("0,5"))
    assert allocate(machine, "0-1,5,99", 1) == "1"
    assert shrink(machine, "0-1,99", 1) == "1"
    with pytest.raises(Shortage, match=r"^2 CPUs wanted, 1 available$"):
        allocate(machine, "0-1,5,99", 2)


def test_a_machine_without_priorities_is_all_normal():
    for prefer in (Priority.NORMAL, Priority.LOW, Priority.HIGH, None):
        assert allocate(SIXTEEN, "3-12", 5, prefer) == allocate(with_priorities(SIXTEEN), "3-12", 5, prefer)
