import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import durations
from cri_resmgr.errors import BadInput


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("0s", 0),
        ("1.5s", 1.5),
        (".5s", 0.5),
        ("2.s", 2),
        ("300ms", 0.3),
        ("1h2m", 3720),
        ("1h2m3.5s", 3723.5),
        ("2us", 2e-6),
        ("2µs", 2e-6),
        ("7ns", 7e-9),
        ("-1m", -60),
        ("+1m", 60),
    ],
)
def test_a_go_duration_is_seconds(text, seconds):
    assert durations.seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "5", "s", "1d", "1s 2s", "one", "1.s.", "--1s", "1e3s", "1s\n", "9" * 80 + "s"])
def test_anything_else_is_refused_with_examples(text):
    with pytest.raises(BadInput, match=r"is no duration; write a number with its unit, such as 1\.5s"):
        durations.seconds(text)


@given(st.integers(0, 10**6), st.integers(0, 59), st.integers(0, 59))
def test_units_add_up(hours, minutes, seconds):
    assert durations.seconds(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize(("value", "seconds"), [(0, 0), ("0", 0), ("0s", 0), ("1s", 1), ("10s", 10), ("1h", 3600)])
def test_an_interval_is_a_second_or_more_or_never(value, seconds):
    assert durations.interval_s(value) == seconds


@pytest.mark.parametrize("value", ["999ms", "1ns", "-10s", "0.5s"])
def test_a_shorter_interval_is_refused(value):
    with pytest.raises(BadInput, match=rf"'{value}' is too short; write a duration of 1s or more, such as 10s, or 0"):
        durations.interval_s(value)


@pytest.mark.parametrize("value", [10, 10.0, 0.0, False, None, [], {}])
def test_an_interval_without_a_unit_is_refused(value):
    with pytest.raises(BadInput, match="is no duration; write a duration of 1s or more"):
        durations.interval_s(value)
