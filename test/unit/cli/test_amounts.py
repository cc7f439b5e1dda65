"""Amounts are written as Kubernetes writes them."""

import pytest

from cri_resmgr.cli import amounts


@pytest.mark.parametrize(
    ("amount_bytes", "text"),
    [
        (0, "0"),
        (1, "1"),
        (2 << 30, "2Gi"),
        (3 << 29, "1536Mi"),
        (100_000_000, "100M"),
        (15_000_000_123, "14Gi"),
        (16_386_342_912, "15.3Gi"),
        (1 << 60, "1024Pi"),
    ],
)
def test_amounts_of_memory_are_exact_where_that_is_short(amount_bytes, text):
    assert amounts.memory(amount_bytes) == text


@pytest.mark.parametrize(("millicpu", "text"), [(0, "0"), (500, "500m"), (1000, "1"), (1500, "1500m"), (64_000, "64")])
def test_whole_cpus_are_counted_and_others_given_in_thousandths(millicpu, text):
    assert amounts.cpu(millicpu) == text


@pytest.mark.parametrize(
    ("request_", "limit", "text"),
    [("1", "1", "1"), ("500m", "2", "500m to 2"), ("1Gi", "0", "1Gi and more"), ("0", "2", "up to 2"), ("0", "0", "0")],
)
def test_a_request_and_a_limit_are_a_range(request_, limit, text):
    assert amounts.between(request_, limit) == text


def test_what_is_counted_has_its_plural():
    assert [amounts.many(count, "core") for count in (0, 1, 2)] == ["0 cores", "1 core", "2 cores"]
