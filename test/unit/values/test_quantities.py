"""Amounts survive the way from a pod's spec through the kubelet to us."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.values import quantities

SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "": Fraction(1),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "Ki": Fraction(2**10),
    "Mi": Fraction(2**20),
    "Gi": Fraction(2**30),
    "Ti": Fraction(2**40),
}


@pytest.mark.parametrize(
    ("text", "millicpu"),
    [
        ("2", 2000),
        ("1.5", 1500),
        ("750m", 750),
        ("+0.1", 100),
        (".5", 500),
        ("3.", 3000),
        ("2e3", 2_000_000),
        ("15E-1", 1500),
        ("1k", 1_000_000),
        ("100u", 1),
        ("0", 0),
        ("0m", 0),
        ("0.0001", 1),
        ("1e-300", 1),
    ],
)
def test_an_amount_of_cpu_is_counted_in_thousandths(text, millicpu):
    assert quantities.cpu_millicpu(text) == millicpu


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("128974848", 128974848),
        ("129e6", 129_000_000),
        ("129M", 129_000_000),
        ("123Mi", 123 << 20),
        ("1.5Gi", 3 << 29),
        ("1E", 10**18),
        ("1Ei", 1 << 60),
        ("1E3", 1000),
        ("1E+3", 1000),
        ("128974848000m", 128974848),
        ("1m", 1),
    ],
)
def test_an_amount_of_memory_is_counted_in_bytes(text, size_bytes):
    assert quantities.bytes_of(text) == size_bytes


@given(st.integers(0, 8000), st.from_regex(r"\A(\.[0-9]{0,4})?\Z"), st.sampled_from(sorted(SUFFIXES)))
def test_a_part_of_the_unit_counts_as_a_whole_one(whole, fraction, suffix):
    exact = Fraction(f"{whole}{fraction}0" if fraction else str(whole)) * SUFFIXES[suffix]
    assert quantities.bytes_of(f"{whole}{fraction}{suffix}") == ceil(exact)
    assert quantities.cpu_millicpu(f"{whole}{fraction}{suffix}") == ceil(exact * 1000)


@pytest.mark.parametrize(
    "text", ["", ".", "m", "-1", "1 ", "1,5", "0x10", "1mi", "1K", "1e", "1e3m", "٣", "1e9999", "1" * 65, "Infinity"]
)
def test_what_is_no_quantity_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r"is no quantity; write CPUs such as 2, 1\.5 or 500m"):
        quantities.cpu_millicpu(text)
    with pytest.raises(ValueError, match="is no quantity; write bytes such as 512Mi"):
        quantities.bytes_of(text)


@pytest.mark.parametrize("text", ["8Ei", "9.3E", "1e300"])
def test_more_than_fits_into_64_bits_is_refused(text):
    with pytest.raises(ValueError, match="more than any machine has"):
        quantities.bytes_of(text)


@pytest.mark.parametrize(
    ("millicpu", "shares"),
    [
        (0, 2),
        (1, 2),
        (2, 2),
        (100, 102),
        (200, 204),
        (1000, 1024),
        (1500, 1536),
        (3000, 3072),
        (256_000, 262_144),
        (1_000_000, 262_144),
    ],
)
def test_shares_are_those_of_the_kubelet(millicpu, shares):
    assert quantities.shares_of(millicpu) == shares


@given(st.integers(3, 256_000))
def test_a_request_comes_back_exactly_from_its_shares(millicpu):
    assert quantities.millicpu_of(quantities.shares_of(millicpu)) == millicpu


@given(st.integers(0, 300_000))
def test_shares_of_strangers_come_back_as_no_less_than_they_are(shares):
    millicpu = quantities.millicpu_of(shares)
    assert millicpu * 1024 >= shares * 1000 or shares <= quantities.MIN_SHARES
    assert millicpu == 0 or (millicpu - 1) * 1024 < shares * 1000


def test_the_least_shares_stand_for_no_request():
    assert [quantities.millicpu_of(shares) for shares in (0, 1, 2)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("millicpu", "period_us", "quota_us"),
    [
        (0, 100_000, 0),
        (5, 100_000, 1000),
        (10, 100_000, 1000),
        (1500, 100_000, 150_000),
        (333, 5000, 1665),
        (1, 1_000_000, 1000),
        (3, 100_000, 1000),
    ],
)
def test_a_quota_is_that_of_the_kubelet_and_never_below_its_least(millicpu, period_us, quota_us):
    assert quantities.quota_of(millicpu, period_us) == quota_us


@given(st.integers(10, 2_000_000), st.integers(1000, 1_000_000))
def test_a_limit_comes_back_exactly_from_its_quota(millicpu, period_us):
    quota_us = quantities.quota_of(millicpu, period_us)
    if quota_us > quantities.MIN_QUOTA_US:
        assert quantities.millicpu_of_quota(quota_us, period_us) == millicpu


def test_without_a_quota_there_is_no_limit_and_without_a_period_it_is_the_usual_one():
    assert quantities.millicpu_of_quota(0, 100_000) == 0
    assert quantities.millicpu_of_quota(-1, 100_000) == 0
    assert quantities.millicpu_of_quota(150_000, 0) == 1500


@given(st.integers(1, 256))
def test_whole_cpus_come_back_whole(cpus):
    assert quantities.millicpu_of(cpus * 1024) == cpus * 1000
