"""What an adjustment makes of a container's resources, whom its scope names, and that it survives as text."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.values.adjustments import (
    UNADJUSTED,
    Adjusted,
    Adjustment,
    Effect,
    Scope,
    Statement,
    due,
    effect_of,
    kept,
    names,
    plain,
    read,
    written,
)
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from cri_resmgr.values.workloads import Container

MI = 1 << 20
ASKED = Resources(100_000, 50_000, 512, 256 * MI, 900, "0-1", "0", 256 * MI)
TEXTS = st.text(max_size=4)
AMOUNTS = st.none() | st.integers(0, 1 << 40)
EFFECTS = st.builds(Effect, AMOUNTS, AMOUNTS, AMOUNTS, AMOUNTS, st.none() | TEXTS, st.none() | TEXTS, AMOUNTS)
STATEMENTS = st.builds(Statement, TEXTS, TEXTS, st.lists(TEXTS, max_size=3).map(tuple))
SCOPES = st.builds(Scope, st.lists(TEXTS, max_size=3).map(tuple), st.lists(STATEMENTS, max_size=2).map(tuple))
ADJUSTMENTS = st.builds(Adjustment, TEXTS, st.lists(SCOPES, max_size=2).map(tuple), EFFECTS)


def adjusted(**said: int | str) -> Adjusted:
    return Adjusted("external", Effect(**said))


def test_an_adjustment_of_classes_leaves_the_resources_alone():
    assert adjusted(rdt_class="gold", toptier_limit_bytes=MI).over(ASKED) is ASKED


def test_amounts_become_what_a_kubelet_would_make_of_them_and_all_else_stays():
    said = adjusted(cpu_request_millicpu=1000, cpu_limit_millicpu=2000, memory_limit_bytes=512 * MI)
    assert said.over(ASKED) == replace(ASKED, cpu_shares=1024, cpu_quota_us=200_000, memory_limit_bytes=512 * MI)


def test_a_limit_where_the_kubelet_set_none_has_the_usual_period():
    wanted = adjusted(cpu_limit_millicpu=500).over(Resources(cpu_shares=2))
    assert wanted == Resources(100_000, 50_000, 2)


def test_a_request_alone_leaves_limits_but_those_that_are_lower_than_it():
    said = adjusted(cpu_request_millicpu=400, memory_request_bytes=128 * MI)
    assert said.over(ASKED) == replace(ASKED, cpu_shares=409)
    more = adjusted(cpu_request_millicpu=2000, memory_request_bytes=512 * MI)
    assert more.over(ASKED) == replace(ASKED, cpu_shares=2048, cpu_quota_us=200_000, memory_limit_bytes=512 * MI)
    assert more.over(Resources(cpu_shares=2)) == Resources(cpu_shares=2048), "no limit is none"


def test_what_is_due_is_what_the_policy_gives_and_beside_it_what_only_the_adjustment_changes():
    said = adjusted(cpu_request_millicpu=1000, cpu_limit_millicpu=500, memory_limit_bytes=256 * MI)
    given_ = Assignment(cpuset_cpus="4", cpu_shares=2)
    assert due(given_, said, ASKED) == given_, "limits are as asked, and the shares are the policy's"
    assert due(given_, adjusted(memory_limit_bytes=MI), ASKED) == replace(given_, memory_limit_bytes=MI)
    assert due(NOTHING, UNADJUSTED, ASKED) == NOTHING


def test_a_container_wants_what_was_asked_adjusted_and_is_due_what_follows():
    plain_ = Container("p", "c", 0, asked=ASKED, given=Assignment(cpuset_cpus="1"))
    assert (plain_.wanted, plain_.due) == (ASKED, plain_.given)
    one = replace(plain_, adjustment=adjusted(cpu_request_millicpu=1000, cpu_limit_millicpu=1000))
    assert one.wanted == replace(ASKED, cpu_shares=1024, cpu_quota_us=100_000)
    assert one.due == Assignment(cpuset_cpus="1", cpu_shares=1024, cpu_quota_us=100_000)


@pytest.mark.parametrize(
    ("nodes", "node", "is_named"),
    [
        ((), "a", True),
        (("",), "a", True),
        (("*",), "a", True),
        (("a",), "a", True),
        (("a",), "ab", False),
        (("a*",), "ab", True),
        (("a*",), "a", True),
        (("a*",), "b", False),
        (("b", "a"), "a", True),
        (("*a",), "ba", False),
        (("a*b",), "axb", False),
    ],
)
def test_a_scope_names_nodes_in_full_or_by_their_beginning(nodes, node, is_named):
    assert names(nodes, node) is is_named


@given(ADJUSTMENTS)
def test_an_adjustment_survives_as_text(adjustment):
    assert read(adjustment.name, written(adjustment)) == adjustment


@given(EFFECTS)
def test_an_effect_survives_as_plain_values(effect):
    assert effect_of(json.loads(json.dumps(plain(effect)))) == effect


def test_of_what_was_kept_only_what_is_understood_comes_back():
    text = written(Adjustment("a", (), Effect(rdt_class="gold")))
    stored = json.dumps([["new", '{"scopes":[],"effect":{"colour":1}}'], ["a", text]])
    assert list(kept(stored)) == [(text, Adjustment("a", (), Effect(rdt_class="gold")))]
    assert [list(kept(other)) for other in (None, "", "no json", "3", "[3]")] == [[]] * 5


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"scopes":[{}],"effect":{}}',
        '{"scopes":[],"effect":{"cpu_limit_millicpu":"1"}}',
        '{"scopes":[],"effect":{"cpu_limit_millicpu":true}}',
        '{"scopes":[],"effect":{"rdt_class":1}}',
        '{"scopes":[],"effect":{"new":1}}',
        '{"scopes":[],"effect":[]}',
        '{"scopes":[{"nodes":[1],"containers":[]}],"effect":{}}',
        '{"scopes":[{"nodes":[],"containers":[["k","Exists"]]}],"effect":{}}',
        '{"scopes":[{"nodes":[],"containers":[["k","Exists",[1]]]}],"effect":{}}',
        '{"scopes":' + "[" * 100_000,
    ],
)
def test_what_is_no_adjustment_is_a_value_error(text):
    with pytest.raises(ValueError):  # noqa: PT011 - any
        read("a", text)
