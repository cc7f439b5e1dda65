import pytest

from cri_resmgr.config import check, models, outline
from cri_resmgr.config.outline import Kind
from unit.config.pools import Policies

ROOT = outline.of(Policies)


def entry(*path):
    found = outline.at(ROOT, path)
    assert found is not None
    return found


def test_a_model_reached_from_a_section_is_a_section_and_one_in_a_value_is_a_part():
    kinds = {found.name: found.kind for found in ROOT.walk()}
    assert {name for name, kind in kinds.items() if kind is Kind.SECTION} == {"", "pod-pools"}
    assert {name for name, kind in kinds.items() if kind is Kind.PART} == {
        "pod-pools.Pools",
        "pod-pools.Pools.Inner",
        "pod-pools.Classes",
        "pod-pools.Classes.Inner",
    }


def test_an_entry_says_what_its_field_says():
    pools = ROOT.below["pod-pools"]
    assert (pools.meaning, pools.default, [key.path[-1] for key in pools.keys]) == (
        "Where the pools are.",
        None,
        ["Pools", "Classes", "Rdt", "Limit", "Names", "Old"],
    )
    assert [(key.meaning, key.form, key.unit, key.default, key.idle) for key in pools.keys] == [
        ("All of them.", "a list, each item keys and values", "", None, False),
        ("By name.", "a mapping, each value keys and values", "", {}, False),
        ("Which.", "auto or true or false", "", "auto", False),
        ("How many.", "a few", "CPUs", None, False),
        ("Some.", "a list, each item a text", "", ["a"], False),
        ("Nothing.", "anything", "", None, True),
    ]
    assert pools.below["Pools"].below["FillOrder"].form == "Packed or Balanced"
    assert ROOT.sections == (pools,)
    assert ROOT.keys == ()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ((), ""),
        (("pod-pools",), "pod-pools"),
        (("pod-pools", "Pools", "3"), "pod-pools.Pools"),
        (("pod-pools", "Classes", "gold", "Inner"), "pod-pools.Classes.Inner"),
        (("pod-pools", "Rdt"), "pod-pools.Rdt"),
    ],
)
def test_a_place_in_a_text_has_its_entry(path, name):
    assert entry(*path).name == name


@pytest.mark.parametrize("path", [("x",), ("pod-pools", "Pools"), ("pod-pools", "Rdt", "x"), ("pod-pools", "x", "y")])
def test_where_nothing_can_be_said_or_a_user_chooses_the_names_there_is_no_entry(path):
    assert outline.at(ROOT, path) is None


@pytest.mark.parametrize(
    ("path", "key", "meant"),
    [
        ((), "pod-pools.Pools", ("pod-pools", "Pools")),
        ((), "pod-pools.Pools.x", ("pod-pools", "Pools", "x")),
        ((), "pod-pools.Classes.a.b", ("pod-pools", "Classes", "a.b")),
        ((), "pod-pools.x.y.z", ("pod-pools", "x", "y.z")),
        ((), "x.y.z", ("x", "y.z")),
        ((), "Pod-Pools", ("Pod-Pools",)),
        ((), ".x", (".x",)),
        ((), "x.", ("x.",)),
        (("pod-pools",), "pools", ("pools",)),
        (("pod-pools",), "Classes.a", ("Classes", "a")),
        (("pod-pools", "Pools", "0"), "CPUCLASS", ("CpuClass",)),
        (("pod-pools", "Pools", "0"), "inner", ("Inner",)),
        (("pod-pools", "Pools", "0"), "inner.someflag", ("inner.someflag",)),
        (("pod-pools", "Pools", "0", "Inner"), "someFLAG", ("SomeFlag",)),
        (("pod-pools", "Classes"), "cpuclass", ("cpuclass",)),
        (("pod-pools", "Classes", "a"), "cpuclass", ("CpuClass",)),
        (("pod-pools", "Classes", "a"), "unheard", ("unheard",)),
        (("pod-pools", "Rdt"), "x.y", ("x.y",)),
    ],
)
def test_dots_go_deeper_in_sections_and_case_does_not_count_in_parts(path, key, meant):
    assert outline.spelled(ROOT, path, key) == meant


def test_every_key_of_the_configuration_is_documented_and_says_how_it_is_written():
    assert [entry.name for entry in check.ROOT.walk() if not entry.meaning] == []
    unwritten = [e.name for e in check.ROOT.walk() if e.kind is Kind.VALUE and e.form == "anything" and not e.idle]
    assert unwritten == []


def test_the_outline_has_every_key_that_the_models_take():
    names = {entry.name for entry in outline.of(models.Configuration).walk()}
    assert {"", "policy.Active", "policy.none", "policy.memtier.PinCPU", "logger.Klog.v", "dump.Config"} <= names
