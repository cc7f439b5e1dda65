"""Waits grow to a limit, are never nothing after a failure, and are never the same for everybody."""

from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.kube.backoff import Backoff, spread


def test_without_a_failure_there_is_nothing_to_wait_for():
    assert Backoff(1, 60).delay_s(0) == 0


@given(st.integers(1, 100_000))
def test_a_wait_is_between_a_half_and_the_whole_of_what_doubles_up_to_the_limit(failures):
    step_s = 60 if failures > 6 else 2 ** (failures - 1)
    assert step_s / 2 <= Backoff(1, 60).delay_s(failures) <= step_s


@given(st.floats(0.001, 1e6))
def test_a_spread_length_is_between_a_half_and_the_whole(length_s):
    assert length_s / 2 <= spread(length_s) <= length_s


def test_a_thousand_that_fail_together_come_back_apart():
    assert len({Backoff(1, 60).delay_s(10) for _ in range(1000)}) > 900
