import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.values import cpusets

members = st.sets(st.integers(0, 300))


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", set()), ("0", {0}), ("0-3", {0, 1, 2, 3}), ("0-1,8", {0, 1, 8}), ("7,3", {3, 7}), (" 1 , 4-5\n", {1, 4, 5})],
)
def test_a_list_names_these_numbers(text, numbers):
    assert set(cpusets.ids(cpusets.parse(text))) == numbers


@pytest.mark.parametrize("text", ["a", "1-", "-1", "3-1", "1,,2", "9999", "1-99999", "0x1", "\u0663", ","])
def test_what_is_no_list_is_refused(text):
    with pytest.raises(ValueError, match=r"write one such as 0-3,8|is no range"):
        cpusets.parse(text)


@given(members)
def test_a_set_survives_its_text_and_its_numbers_come_in_order(numbers):
    found = cpusets.of(numbers)
    assert cpusets.parse(cpusets.text(found)) == found
    assert list(cpusets.ids(found)) == sorted(numbers)


@given(members)
def test_text_has_a_range_for_each_run(numbers):
    runs = sum(number - 1 not in numbers for number in numbers)
    text = cpusets.text(cpusets.of(numbers))
    assert len(text.split(",") if text else []) == runs
