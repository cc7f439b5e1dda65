"""Which CPUs of a package are the fast ones, by what cpufreq tells of each."""

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.host.topology import discover
from cri_resmgr.values import cpusets
from cri_resmgr.values.machines import Priority
from equipment.sysfs_tree import CPU, put

BASE, PREFERENCE = "base_frequency", "energy_performance_preference"


def tell(tree, file: str, values: dict[str, object]) -> None:
    """Let cpufreq say this of each CPU in a list."""
    for cpus, value in values.items():
        put(tree, {f"{CPU}/cpu{cpu}/cpufreq/{file}": value for cpu in cpusets.ids(cpusets.parse(cpus))})


def told(tree) -> dict[Priority, str]:
    return {priority: cpusets.text(cpus) for priority, cpus in discover(tree).priorities.items()}


def test_without_cpufreq_all_cpus_are_alike(tree):
    assert told(tree) == {}


def test_one_base_frequency_in_each_package_tells_nothing_apart(tree):
    tell(tree, BASE, {"0-7": 2_000_000, "8-15": 3_000_000})
    assert told(tree) == {}


def test_the_lowest_base_frequency_of_a_package_is_low_and_every_other_high(tree):
    tell(tree, BASE, {"0-1": 3_000_000, "2-3": 2_500_000, "4-7": 2_000_000, "8-15": 2_500_000})
    assert told(tree) == {Priority.HIGH: "0-3", Priority.NORMAL: "8-15", Priority.LOW: "4-7"}


def test_a_cpu_that_tells_no_frequency_stays_normal(tree):
    tell(tree, BASE, {"0-2": 3_000_000, "3": 0, "8-14": 2_000_000})
    tell(tree, BASE, {"4-6": 2_000_000})
    assert told(tree) == {Priority.HIGH: "0-2", Priority.NORMAL: "3,7-15", Priority.LOW: "4-6"}


def test_energy_preferences_that_differ_count_for_more_than_frequencies(tree):
    tell(tree, BASE, {"0-3": 3_000_000, "4-15": 2_000_000})
    tell(tree, PREFERENCE, {"0-3": "power", "4-5": "balance_power", "6": "balance_performance", "7": "performance"})
    assert told(tree) == {Priority.HIGH: "4-7", Priority.NORMAL: "8-15", Priority.LOW: "0-3"}


def test_energy_preferences_that_are_all_the_same_leave_it_to_frequencies(tree):
    tell(tree, BASE, {"0-3": 3_000_000, "4-7": 2_000_000})
    tell(tree, PREFERENCE, {"0-15": "balance_performance"})
    assert told(tree) == {Priority.HIGH: "0-3", Priority.NORMAL: "8-15", Priority.LOW: "4-7"}


def test_a_preference_that_we_do_not_know_says_nothing(tree):
    tell(tree, PREFERENCE, {"0-2": "performance", "3": "128", "4-7": "power"})
    assert told(tree) == {Priority.HIGH: "0-2", Priority.NORMAL: "3,8-15", Priority.LOW: "4-7"}


def test_each_package_is_judged_by_itself(tree):
    tell(tree, BASE, {"0-3": 3_000_000, "4-7": 2_000_000})
    tell(tree, PREFERENCE, {"8-11": "power", "12-15": "performance"})
    assert told(tree) == {Priority.HIGH: "0-3,12-15", Priority.LOW: "4-11"}


def test_a_frequency_that_is_no_number_is_refused_with_its_file(tree):
    tell(tree, BASE, {"5": "fast"})
    with pytest.raises(BadInput, match=r"cpu5/cpufreq/base_frequency: 'fast'; expected a whole number"):
        discover(tree)
