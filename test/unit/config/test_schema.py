"""The schema takes what the check takes; it may take more, since it cannot say everything."""

import itertools
import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from cri_resmgr.config import check, defaults, models, schema
from cri_resmgr.config.outline import Kind
from cri_resmgr.errors import BadInput
from unit.config.pools import Policies

SCHEMA = schema.of(models.Configuration)
VALIDATOR = Draft202012Validator(SCHEMA)
POOLS = Draft202012Validator(schema.of(Policies))
EXAMPLES = sorted((Path(__file__).parents[3] / "examples").rglob("*.cfg"))


def is_taken(text, validator=VALIDATOR):
    return validator.is_valid(yaml.safe_load(text))


def is_right(text):
    try:
        check.settings(text, "x.cfg")
    except BadInput:
        return False
    return True


def test_the_schemas_are_schemas():
    Draft202012Validator.check_schema(SCHEMA)
    Draft202012Validator.check_schema(POOLS.schema)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_is_taken(path):
    assert list(VALIDATOR.iter_errors(yaml.safe_load(path.read_text()))) == []


def test_the_printed_default_configuration_is_taken():
    assert list(VALIDATOR.iter_errors(yaml.safe_load(defaults.text()))) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "policy:",
        "policy: {topology-aware: , none: }",
        "policy.topology-aware.PinCPU: false",
        "policy.topology-aware: {PinCPU: false}",
        "logger: {Klog.v: '5', Klog: {logtostderr: 'False', skip_headers: 1, alsologtostderr: on}}",
        "policy.ReservedResources.CPU: 1",
        "policy: {ReservedResources: {cpu: 'cgroup:/x'}, AvailableResources.Cpu: '0-3,8'}",
        "policy: {Active: }",
        "logger: {Level: Warning, Enable: {relay: false}, Debug: '*', Logger: json}",
        "logger.Klog.stderrthreshold: Fatal",
        "instrumentation: {Sampling: 0.0, ReportPeriod: 1000, JaegerAgent: ''}",
        "resource-manager: {driftScanInterval: +1m30s, onPolicyError: }",
    ],
)
def test_what_is_right_is_taken(text):
    assert is_right(text)
    assert is_taken(text)


@pytest.mark.parametrize(
    "text",
    [
        "polcy: {}",
        "policy: 3",
        "policy: {active: none}",
        "policy.Actve: none",
        "policy: {Active: round-robin}",
        "policy: {topology-aware: {PinCPU: 1}}",
        "policy.topology-aware.PinCPU: 1",
        "policy: {none: {PinCPU: true}}",
        "policy: {ReservedResources: {Memory: 1}}",
        "policy: {ReservedResources: {CPU: none}}",
        "policy: {ReservedResources: {CPU: 1, cpu: 2}}",
        "resource-manager: {driftScanInterval: 10}",
        "resource-manager: {onPolicyError: ignore}",
        "logger: {Level: loud}",
        "logger: {Klog: {v: many}}",
        "logger: {Klog: {stderrthreshold: 9}}",
        "dump: {File: dump.txt}",
        "instrumentation: {Sampling: production}",
    ],
)
def test_what_an_editor_can_know_to_be_wrong_is_marked(text):
    assert not is_right(text)
    assert not is_taken(text)


@pytest.mark.parametrize(
    "text",
    [
        "pod-pools: {Pools: [{CpuClass: a, fillorder: Packed, INNER: {someFlag: true}}]}",
        "pod-pools.Classes: {a: {cpuclass: b}}",
        "pod-pools.Classes.a: {cpuclass: b}",
        "pod-pools.Limit: 3",
    ],
)
def test_names_in_parts_are_taken_in_any_case(text):
    assert is_taken(text, POOLS)


@pytest.mark.parametrize("text", ["pod-pools: {pools: []}", "pod-pools: {Pools: [{CpuClas: a}]}", "pod-pools: {X: 1}"])
def test_other_names_are_marked(text):
    assert not is_taken(text, POOLS)


def test_every_key_is_described_and_none_is_titled_by_a_machine():
    def keys(definition):
        return [one for name, one in definition["properties"].items() if "." not in name]

    definitions = [SCHEMA, *SCHEMA["$defs"].values()]
    described = list(itertools.chain.from_iterable(map(keys, definitions)))
    assert [one for one in described if not one["description"] or "title" in one] == []


def test_the_text_is_the_schema():
    assert json.loads(schema.text(models.Configuration)) == SCHEMA


_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 10),
    st.floats(0, 4),
    st.sampled_from(
        ["", "none", "null", "memtier", "750m", "2", "1.5", "cpuset:0-3", "0-3,8", "cgroup:x", "/x", "CPU"]
    ),
    st.sampled_from(["pass", "reject", "10s", "0", "1m2.5s", "-1s", "debug", "INFO", "fmt", "json", "on:*", "full:.*"]),
    st.sampled_from(["true", "Off", "y", "3", "4.0", "disabled", ":8891", "unix:///x", "a\nb"]),
    st.lists(st.sampled_from(["", "kube-system", "a*", "[b"]), max_size=2),
    st.dictionaries(st.sampled_from(["CPU", "cpu", "Memory", "relay"]), st.booleans() | st.sampled_from([1, "750m"])),
)
_paths = st.sampled_from([entry.path for entry in check.ROOT.walk() if entry.path and entry.kind is Kind.VALUE])


@st.composite
def _configurations(draw):
    """A tree with a few keys that there are, some of them dotted, and values that may or may not suit them."""
    tree = {}
    for path in draw(st.lists(_paths, max_size=3, unique=True)):
        cut = draw(st.integers(1, len(path)))
        *above, last = [".".join(path[:cut]), *path[cut:]]
        into = tree
        for word in above:
            into = into.setdefault(word, {})
        into[last] = draw(_values)
    return tree


@settings(max_examples=300)
@given(_configurations())
def test_what_the_check_takes_the_schema_takes(tree):
    text = yaml.safe_dump(tree)
    if is_right(text):
        assert is_taken(text), list(VALIDATOR.iter_errors(yaml.safe_load(text)))
