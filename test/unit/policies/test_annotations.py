"""What a container prefers, by the most specific annotation there is."""

import pytest

from cri_resmgr.policies.annotations import Preferences, effective, preferences
from cri_resmgr.values.machines import MemoryKind
from cri_resmgr.values.workloads import Pod

DOMAIN = "cri-resource-manager.intel.com"
DRAM, PMEM, HBM = MemoryKind.DRAM, MemoryKind.PMEM, MemoryKind.HBM


def said(annotations: dict[str, str], container_name: str = "c0") -> Preferences:
    return preferences(Pod("p", "web", "default", "uid", annotations=annotations), container_name)


def test_a_pod_that_says_nothing_prefers_nothing():
    assert said({}) == Preferences()
    assert said({"kubernetes.io/config.source": "api", f"other.{DOMAIN}/pod": "true"}) == Preferences()


def test_the_most_specific_annotation_counts():
    key = f"prefer-shared-cpus.{DOMAIN}"
    annotations = {f"{key}/container.c0": "true", f"{key}/pod": "false", key: "true"}
    assert effective(annotations, key, "c0") == (f"{key}/container.c0", "true")
    assert effective(annotations, key, "c1") == (f"{key}/pod", "false")
    assert effective({key: "true"}, key, "c1") == (key, "true")
    assert effective({f"{key}/container.c0": "true"}, key, "c1") is None
    assert [said(annotations, name).shared for name in ("c0", "c1")] == [True, False]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("prefer-isolated-cpus", "isolated"),
        ("prefer-shared-cpus", "shared"),
        ("prefer-reserved-cpus", "reserved"),
        ("topologyhints", "topology_hints"),
    ],
)
@pytest.mark.parametrize(("word", "truth"), [("true", True), ("1", True), ("T", True), ("False", False), ("f", False)])
def test_yes_and_no_are_what_go_takes_for_it(name, field, word, truth):
    assert said({f"{name}.{DOMAIN}/pod": word}) == Preferences(**{field: truth})


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("dram", {DRAM}),
        ("pmem,dram", {DRAM, PMEM}),
        ("HBM, Dram", {DRAM, HBM}),
        ("mixed", {DRAM, PMEM, HBM}),
        ("mixed,dram", {DRAM, PMEM, HBM}),
    ],
)
def test_kinds_of_memory_are_a_list_of_words(text, kinds):
    assert said({f"memory-type.{DOMAIN}/container.c0": text}) == Preferences(memory_kinds=frozenset(kinds))


@pytest.mark.parametrize("text", ["", "c0: []", "c0:"])
def test_no_kind_of_memory_is_the_same_as_no_annotation(text):
    key = f"{DOMAIN}/memory-type" if text else f"memory-type.{DOMAIN}/pod"
    assert said({key: text}) == Preferences()


@pytest.mark.parametrize(
    ("text", "duration_s"),
    [("duration: 60s\n", 60), ("duration: 0", 0), ("{duration: 1h}", 3600), ("duration: 1m30s", 90)],
)
def test_a_cold_start_is_a_duration_up_to_an_hour(text, duration_s):
    assert said({f"cold-start.{DOMAIN}/container.c0": text}) == Preferences(cold_start_s=duration_s)


def test_older_forms_say_it_for_the_pod_or_for_each_container():
    annotations = {
        f"{DOMAIN}/prefer-isolated-cpus": '{"c0": true, "c1": false}',
        f"{DOMAIN}/prefer-shared-cpus": "true",
        f"{DOMAIN}/memory-type": "c0: dram,pmem\nc1: [hbm]\n",
        f"{DOMAIN}/cold-start": "c0:\n  duration: 60s\n",
    }
    assert said(annotations, "c0") == Preferences(True, True, None, frozenset({DRAM, PMEM}), 60)
    assert said(annotations, "c1") == Preferences(False, True, None, frozenset({HBM}))
    assert said(annotations, "c2") == Preferences(shared=True)


def test_an_older_form_counts_only_where_no_newer_one_is():
    annotations = {f"{DOMAIN}/memory-type": "pmem", f"memory-type.{DOMAIN}/container.c0": "dram"}
    assert said(annotations, "c0").memory_kinds == {DRAM}
    assert said(annotations, "c1").memory_kinds == {PMEM}


def test_what_never_had_an_older_form_has_none_now():
    names = ("prefer-reserved-cpus", "topologyhints")
    assert said({f"{DOMAIN}/{name}": "true" for name in names}) == Preferences()


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        (f"prefer-isolated-cpus.{DOMAIN}/pod", "maybe", "'maybe' is neither true nor false"),
        (f"prefer-reserved-cpus.{DOMAIN}", "", "'' is neither true nor false"),
        (f"{DOMAIN}/prefer-shared-cpus", "c0: -1", "'-1' is neither true nor false"),
        (f"{DOMAIN}/prefer-shared-cpus", "c0: [true]", "is neither true nor false"),
        (f"{DOMAIN}/prefer-isolated-cpus", "c0: *x", "line 1: '*x' is an alias"),
        (f"memory-type.{DOMAIN}/pod", "dram,", "'' is no kind of memory; write some of dram, pmem, hbm, mixed"),
        (f"memory-type.{DOMAIN}/pod", "ddr5" * 99, "'ddr5ddr5"),
        (f"{DOMAIN}/memory-type", "c0: {dram: true}", "'{'dram': 'true'}' is no kind of memory"),
        (f"{DOMAIN}/memory-type", "c0: [[dram]]", "is no kind of memory"),
        (f"cold-start.{DOMAIN}/pod", "60s", "'60s' is no cold start; write 'duration: 60s'"),
        (f"cold-start.{DOMAIN}/pod", "duration: 1s\nunit: s", "is no cold start"),
        (f"cold-start.{DOMAIN}/pod", "duration: [1s]", "is no cold start"),
        (f"cold-start.{DOMAIN}/pod", "duration: 60", "'60' is no duration; write a number with its unit"),
        (f"cold-start.{DOMAIN}/pod", "duration: 61m", "'61m' is not between 0 and 1h"),
        (f"cold-start.{DOMAIN}/pod", "duration: -1s", "'-1s' is not between 0 and 1h"),
        (f"{DOMAIN}/cold-start", "duration: 60s\nc0: 60s", "'60s' is no cold start"),
    ],
)
def test_a_value_that_cannot_be_used_counts_as_none_and_is_told(key, text, problem):
    found = said({key: text})
    assert found == Preferences(problems=found.problems)
    (told,) = found.problems
    assert told.startswith(f"annotation {key} is ignored: ")
    assert problem in told
    assert len(told) < 250


def test_a_wrong_value_does_not_let_a_less_specific_one_through():
    key = f"prefer-shared-cpus.{DOMAIN}"
    found = said({f"{key}/container.c0": "perhaps", f"{key}/pod": "true", f"{DOMAIN}/prefer-shared-cpus": "true"})
    assert found.shared is None
    assert len(found.problems) == 1


def test_each_wrong_value_is_told_and_the_right_ones_are_kept():
    found = said(
        {f"memory-type.{DOMAIN}": "tape", f"cold-start.{DOMAIN}": "soon", f"prefer-shared-cpus.{DOMAIN}": "true"}
    )
    assert found.shared is True
    assert len(found.problems) == 2
