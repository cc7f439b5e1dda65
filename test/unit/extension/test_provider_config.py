"""What a shoot's owner may say, and what he is told when it is something else."""

import json

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.errors import ConfigurationProblem, codes
from extension.provider_config import ProviderConfig, StaticPools, parse, schema_text

EVERYTHING = {
    "configs": {"default": "policy:\n  Active: none\n"},
    "workerPools": ["a"],
    "nodeSelector": {"example.org/a": "b"},
    "maxUnavailable": "25%",
    "onPolicyError": "reject",
    "webhook": True,
    "staticKubeletPools": "leaveOut",
}


def told(said):
    with pytest.raises(ConfigurationProblem) as caught:
        parse(said)
    assert codes(caught.value) == ("ERR_CONFIGURATION_PROBLEM",)
    return str(caught.value)


@pytest.mark.parametrize("said", [None, {}])
def test_nothing_said_is_all_defaults(said):
    assert parse(said) == ProviderConfig()


def test_everything_can_be_said():
    found = parse(EVERYTHING)
    assert (found.max_unavailable, found.static_kubelet_pools) == ("25%", StaticPools.LEAVE_OUT)
    assert found.node_selector == {"example.org/a": "b"}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([], "providerConfig: a list will not do; write keys and values"),
        ("x", "providerConfig: 'x' will not do; write keys and values"),
        ({"config": {}}, "providerConfig.config: unknown key; did you mean configs?"),
        (
            {"configs": {"default": {"policy": {}}}},
            "providerConfig.configs.default: a mapping will not do; write a text",
        ),
        ({"configs": None}, "providerConfig.configs: nothing will not do; write keys and values"),
        ({"workerPools": "a"}, "providerConfig.workerPools: 'a' will not do; write a list"),
        ({"workerPools": ["a"] * 101}, "providerConfig.workerPools: has more than 100 items; write fewer"),
        ({"maxUnavailable": 0}, "providerConfig.maxUnavailable: 0 is no number of nodes"),
        ({"maxUnavailable": True}, "providerConfig.maxUnavailable: True is no number of nodes"),
        ({"maxUnavailable": "0%"}, "providerConfig.maxUnavailable: '0%' is no number of nodes"),
        ({"maxUnavailable": "101%"}, "providerConfig.maxUnavailable: '101%' is no number of nodes"),
        ({"onPolicyError": "ignore"}, "providerConfig.onPolicyError: 'ignore' is no fail policy; write pass or reject"),
        ({"webhook": "yes"}, "providerConfig.webhook: 'yes' will not do; write true or false"),
        ({"staticKubeletPools": "x"}, "providerConfig.staticKubeletPools: 'x' will not do; write refuse or leaveOut"),
        ({"staticKubeletPools": []}, "providerConfig.staticKubeletPools: a list will not do; write refuse or leaveOut"),
        ({"nodeSelector": {"a b": "c"}}, "providerConfig.nodeSelector: 'a b' is no key of a label"),
        ({"nodeSelector": {"a": "b c"}}, "providerConfig.nodeSelector: 'b c' is no value of a label"),
        ({"nodeSelector": {"a": 1}}, "providerConfig.nodeSelector.a: 1 will not do; write a text"),
    ],
)
def test_mistake_is_told_with_its_path_and_what_to_do(said, problem):
    assert problem in told(said)


def test_all_mistakes_are_told_at_once():
    assert len(told({"x": 1, "webhook": 2, "maxUnavailable": -1}).splitlines()) == 3


def test_schema_takes_everything_that_can_be_said():
    jsonschema.validate(EVERYTHING, json.loads(schema_text()))


@given(
    st.dictionaries(
        st.sampled_from([*EVERYTHING, "other"]),
        st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["a", "5%", "refuse", "pass"]) | st.just([]),
    )
)
def test_schema_takes_what_is_taken_and_nothing_ends_otherwise(said):
    try:
        parse(said)
    except ConfigurationProblem:
        return
    jsonschema.validate(said, json.loads(schema_text()))
