import pytest

from cri_resmgr.config import check, explaining, outline, texts
from cri_resmgr.errors import BadInput
from unit.config.pools import Policies

POOLS = outline.of(Policies)


def found(key, root=check.ROOT):
    return [entry.name for entry in explaining.find(root, key)]


def explained(key, *text, root=check.ROOT):
    (entry,) = explaining.find(root, key)
    said = [texts.load(one, lambda path, key: outline.spelled(root, path, key)) for one in text]
    return list(explaining.lines(root, entry, *said, *["x.cfg"] * len(said)))


@pytest.mark.parametrize(
    ("key", "entries"),
    [
        ("policy.Active", ["policy.Active"]),
        ("POLICY.active", ["policy.Active"]),
        ("policy", ["policy"]),
        ("Active", ["policy.Active"]),
        ("klog", ["logger.Klog"]),
        ("logger", ["logger"]),
        ("pincpu", ["policy.topology-aware.PinCPU", "policy.memtier.PinCPU"]),
    ],
)
def test_a_key_is_found_by_its_path_or_by_its_last_word_in_any_case(key, entries):
    assert found(key) == entries


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("policy.Actve", "'policy.Actve' is no key of a configuration; did you mean policy.Active?"),
        ("reservedresorces", r"did you mean ReservedResources\?"),
        ("", "'' is no key of a configuration; sections are policy, resource-manager, logger, dump, instrumentation"),
    ],
)
def test_a_key_that_there_is_not_is_refused_with_a_hint(key, message):
    with pytest.raises(BadInput, match=message):
        found(key)


def test_an_explanation_says_meaning_form_unit_and_default():
    assert explained("pod-pools.Limit", root=POOLS) == [
        "pod-pools.Limit",
        "  How many.",
        "  written: a few",
        "  unit:    CPUs",
        "  default: not said",
    ]
    assert explained("pod-pools.Pools.FillOrder", root=POOLS)[2:] == [
        "  written: Packed or Balanced",
        "  default: Balanced",
    ]


def test_a_section_is_explained_by_its_keys():
    assert explained("dump")[-1] == "  keys:    Config, Debug, Disabled, File"
    assert explained("policy.none")[-1] == "  keys:    none"


def test_an_explanation_says_where_a_text_says_it():
    text = "policy.ReservedResources:\n  cpu: 750m\nlogger:\n"
    assert explained("ReservedResources", text)[-1] == "  set:     x.cfg line 1: {cpu: 750m}"
    assert explained("policy", text)[-1] == "  set:     x.cfg line 1: {ReservedResources: {cpu: 750m}}"
    assert explained("logger", text)[-1] == "  set:     x.cfg line 3: null"
    assert explained("logger.Level", text)[-1] == "  set:     not in x.cfg"


def test_what_is_said_in_several_places_is_told_for_each():
    text = """\
pod-pools:
  Pools:
  - cpuclass: gold
  - FillOrder: Packed
  - CpuClass: silver
    inner: {someflag: true}
  classes: {}
pod-pools.Classes: {a: {cpuClass: x}, b: {}, c: 3}
"""
    sets = {
        key: [line.split("x.cfg ")[1] for line in explained(f"pod-pools.{key}", text, root=POOLS) if "set:" in line]
        for key in ("Pools.CpuClass", "Pools.Inner.SomeFlag", "Classes.CpuClass")
    }
    assert sets == {
        "Pools.CpuClass": ["line 3: gold", "line 5: silver"],
        "Pools.Inner.SomeFlag": ["line 6: true"],
        "Classes.CpuClass": ["line 8: x"],
    }


def test_every_key_can_be_explained():
    for entry in check.ROOT.walk():
        assert not entry.path or explained(entry.name)[0] == entry.name
