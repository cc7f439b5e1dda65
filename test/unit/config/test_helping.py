import pytest

from cri_resmgr.config import check, helping
from cri_resmgr.errors import BadInput


def names(*words):
    return [section.name for section in helping.sections(check.ROOT, words)]


def text(name):
    (section,) = helping.sections(check.ROOT, [name])
    return "\n".join(helping.lines(section))


def test_without_names_help_is_about_everything():
    everything = names()
    assert everything[:3] == ["", "policy", "policy.none"]
    assert {"policy.topology-aware", "resource-manager", "logger.Klog", "dump", "instrumentation"} <= set(everything)


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("configuration", [""]),
        ("policy", ["policy"]),
        ("topology-aware", ["policy.topology-aware"]),
        ("policy.topology-aware", ["policy.topology-aware"]),
        ("policy.", ["policy", "policy.none", "policy.topology-aware", "policy.memtier"]),
        (".aware", ["policy.topology-aware"]),
        (".manager", ["resource-manager"]),
        (".tier", ["policy.memtier"]),
        (".log.", ["policy.topology-aware", "logger", "logger.Klog"]),
        (".r.K.", ["logger.Klog"]),
    ],
)
def test_names_are_matched_as_the_predecessor_did(word, found):
    assert names(word) == found


def test_a_section_that_several_names_are_about_comes_once_and_in_its_place():
    assert names("dump", "policy", ".aware", "topology-aware") == ["policy", "policy.topology-aware", "dump"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["polcy"], "'polcy' is no section; did you mean policy"),
        (["memter"], "did you mean memtier"),
        (["Policy"], "did you mean policy"),
        (["zzz."], "'zzz.' is no section; there are configuration, dump, "),
        (["dump", "qqq", "zzz"], r"'qqq' is no section.*\n'zzz' is no section"),
    ],
)
def test_a_name_of_nothing_is_refused_with_what_there_is(words, message):
    with pytest.raises(BadInput, match=message):
        names(*words)


def test_a_section_is_told_in_the_predecessors_form_with_its_keys():
    assert text("resource-manager").startswith(
        "- module resource-manager: How decisions are brought to containers, and kept there."
    )
    policy = text("policy").splitlines()
    assert "  full path: policy" in policy
    assert "  sub-modules: none, topology-aware, memtier" in policy
    at = policy.index("  description:")
    assert policy[at + 1].startswith("    Active: a policy's name: ")
    assert policy[at + 2].startswith("        The policy's name; ")
    assert any(line.endswith("(default: {})") for line in policy)


def test_a_section_without_keys_is_implicit():
    assert text("configuration").splitlines()[:2] == [
        "- implicit module configuration: A whole configuration; every section may be left out.",
        "  full path: configuration",
    ]
    assert "description" not in text("configuration")
    assert "sub-modules" not in text("dump")


def test_lines_fit_a_terminal():
    everything = [line for section in helping.sections(check.ROOT, []) for line in helping.lines(section)]
    assert max(map(len, everything)) <= 100
    assert any(line.startswith("    PinCPU") for line in everything)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("", "''"),
        ("x", "x"),
        (True, "true"),
        ({}, "{}"),
        (["", "a"], "['', a]"),
        ({"b": 1, "a": [2]}, "{b: 1, a: [2]}"),
    ],
)
def test_a_value_is_written_on_one_line(value, written):
    assert helping.flow(value) == written
