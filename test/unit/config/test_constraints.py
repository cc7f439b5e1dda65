import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import constraints
from cri_resmgr.config.settings import CpuConstraint
from cri_resmgr.errors import BadInput


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("750m", CpuConstraint(millicpu=750)),
        ("1500m", CpuConstraint(millicpu=1500)),
        (2, CpuConstraint(millicpu=2000)),
        ("3", CpuConstraint(millicpu=3000)),
        (0.75, CpuConstraint(millicpu=750)),
        ("0.0001", CpuConstraint(millicpu=1)),
        ("cpuset:3", CpuConstraint(cpuset="3")),
        ("cpuset:0-3, 8", CpuConstraint(cpuset="0-3,8")),
        ("0-3", CpuConstraint(cpuset="0-3")),
        ("0,2", CpuConstraint(cpuset="0,2")),
        ("cgroup:kubepods", CpuConstraint(cgroup="kubepods")),
        ("/sys/fs/cgroup/a-b,c", CpuConstraint(cgroup="/sys/fs/cgroup/a-b,c")),
    ],
)
def test_each_form_of_a_constraint_is_known(value, expected):
    assert constraints.cpu(value) == expected


@pytest.mark.parametrize("key", ["CPU", "cpu", "Cpu"])
def test_the_domain_is_cpu_in_any_case(key):
    assert constraints.parse({key: 1}) == CpuConstraint(millicpu=1000)


def test_no_domain_is_no_constraint():
    assert constraints.parse({}) is None


@pytest.mark.parametrize(
    ("domains", "message"),
    [
        ({"Memory": "1Gi"}, "'Memory' is no domain; only CPU is"),
        ({"CPU": 1, "cpu": 2}, "CPU is there twice"),
        ({"CPU": None}, "None is no CPU constraint"),
        ({"CPU": True}, "True is no CPU constraint"),
        ({"CPU": [1]}, r"\[1\] is no CPU constraint"),
        ({"CPU": ""}, "'' has no value"),
        ({"CPU": "cpuset:"}, "'cpuset:' has no value"),
        ({"CPU": "socket:1"}, "'socket' is no kind of CPU constraint"),
        ({"CPU": "750x"}, "'750x' is no amount of CPU"),
        ({"CPU": "-5"}, "'-5' is no list of CPUs"),
        ({"CPU": "1e9"}, "'1e9' is no amount of CPU"),
        ({"CPU": "cpuset:a"}, "'a' is no list of CPUs"),
        ({"CPU": "3-1"}, "write the lower one first"),
        ({"CPU": "0-99999"}, "both below 8192"),
        ("all", "'all' is no mapping"),
    ],
)
def test_anything_else_is_refused_with_what_would_be_right(domains, message):
    with pytest.raises(BadInput, match=message):
        constraints.parse(domains)


@given(st.integers(0, 10**6))
def test_an_amount_is_exact_in_both_units(millicpu):
    assert constraints.cpu(f"{millicpu}m") == CpuConstraint(millicpu=millicpu)
    assert constraints.cpu(f"{millicpu // 1000}.{millicpu % 1000:03}") == CpuConstraint(millicpu=millicpu)
