"""Texts of metrics become one that Prometheus takes, whatever is in them."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.parser import text_string_to_metric_families

from cri_resmgr.agent.families import merged

A = '# HELP a_total A \\\\ thing.\n# TYPE a_total counter\na_total{x="1",y="\\"\\n\\\\"} 1\na_total{x="2"} 2.5e+06\n'
H = '# HELP h H.\n# TYPE h histogram\nh_bucket{le="0.5"} 1\nh_bucket{le="+Inf"} 2\nh_count 2\nh_sum 1.5\n'


def test_what_is_right_passes_as_it_is():
    assert merged([A, H]) == A + H


def test_of_two_of_a_name_the_first_stays():
    other = "# TYPE a_total gauge\na_total 7\n# TYPE b gauge\nb 1\n"
    assert merged([A, other]) == A + "# TYPE b gauge\nb 1\n"


def test_a_histograms_parts_go_with_it():
    assert merged([H, H + "# TYPE b gauge\nb 1\n"]) == H + "# TYPE b gauge\nb 1\n"


def test_a_name_that_begins_as_another_is_another():
    text = "# TYPE h gauge\nh 1\nh_other 2\nh_other_sum 3\n"
    assert merged(["h_other 9\n", text]) == "h_other 9\n# TYPE h gauge\nh 1\nh_other_sum 3\n"


@pytest.mark.parametrize("value", ["1", "-1.5", "1e-09", "+Inf", "-Inf", "NaN", "1 1700000000000"])
def test_values_are_those_of_the_format(value):
    assert merged([f"a {value}\n"]) == f"a {value}\n"


@pytest.mark.parametrize(
    "line", ["nonsense", "a", "a x", "a{ 1", 'a{x="1} 1', "1a 1", "# TYPE", "<html>", 'a{x="\\q"} 1', "a 1 2 3"]
)
def test_what_is_no_line_is_left_out(line):
    assert merged([f"a 1\n{line}\nb 2\n"]) == "a 1\nb 2\n"


def test_a_last_line_that_was_cut_off_is_left_out():
    assert merged(['a 1\nb{x="2']) == "a 1\n"


TEXT = some.text(string.printable + "é", max_size=60)
LINES = some.lists(some.one_of(some.sampled_from((A + H).splitlines()), TEXT), max_size=12).map("\n".join)


@given(some.lists(LINES, max_size=4))
def test_prometheus_takes_whatever_comes_of_it(texts):
    families = list(text_string_to_metric_families(merged(texts)))
    assert all(family.samples or family.name for family in families)
