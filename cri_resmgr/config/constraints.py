"""`policy.AvailableResources` and `policy.ReservedResources`: an amount of CPU, or a set of CPUs.

750m, 2, 1.5        an amount; a bare number is never the id of a CPU
cpuset:3, 0-3,8     a set, in the kernel's list format
cgroup:DIR, /DIR    the set that a cgroup's cpuset.cpus names
"""

import re
from decimal import Decimal
from typing import Any

from cri_resmgr.config.settings import CpuConstraint
from cri_resmgr.errors import BadInput

LIMIT_CPUS = 8192  # CONFIG_NR_CPUS of the largest distribution kernels
_QUANTITY = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(m?)")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_REMEDY = "write an amount such as 750m or 2, a set such as cpuset:0-3,8, or cgroup:DIRECTORY"


def parse(domains: Any) -> CpuConstraint | None:
    """What the mapping says of its one domain, CPU in any case; None if it is empty. Raises BadInput."""
    if not isinstance(domains, dict):
        raise BadInput(f"{domains!r} is no mapping; write CPU: and an amount or a set below it")
    constraint = None
    for domain, value in domains.items():
        if domain.upper() != "CPU":
            raise BadInput(f"'{domain}' is no domain; only CPU is")
        if constraint is not None:
            raise BadInput("CPU is there twice; keep one of the two")
        constraint = cpu(value)
    return constraint


def cpu(value: Any) -> CpuConstraint:
    """One constraint, from a text or a number of CPUs. Raises BadInput."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadInput(f"{value!r} is no CPU constraint; {_REMEDY}")
    text = str(value).strip()
    kind, colon, spec = text.partition(":")
    if not colon:
        kind, spec = "", text
    if not spec:
        raise BadInput(f"'{text}' has no value; {_REMEDY}")
    if kind == "cgroup" or (not kind and spec.startswith("/")):
        return CpuConstraint(cgroup=spec)
    if kind == "cpuset" or (not kind and re.fullmatch(r"[0-9,-]*[,-][0-9,-]*", spec)):
        return CpuConstraint(cpuset=_cpu_list(spec))
    if kind:
        raise BadInput(f"'{kind}' is no kind of CPU constraint; {_REMEDY}")
    return CpuConstraint(millicpu=_millicpu(spec))


def _cpu_list(text: str) -> str:
    for part in text.split(","):
        found = _RANGE.fullmatch(part.strip())
        if found is None:
            raise BadInput(f"'{text}' is no list of CPUs; write one such as 0-3,8")
        first, last = int(found[1]), int(found[2] or found[1])
        if not first <= last < LIMIT_CPUS:
            raise BadInput(f"'{part}' is no range of CPUs; write the lower one first, both below {LIMIT_CPUS}")
    return text.replace(" ", "")


def _millicpu(text: str) -> int:
    found = _QUANTITY.fullmatch(text)
    if found is None:
        raise BadInput(f"'{text}' is no amount of CPU; {_REMEDY}")
    exact = Decimal(found[1]) if found[2] else Decimal(found[1]) * 1000
    return int(exact.to_integral_value(rounding="ROUND_CEILING"))  # as Kubernetes rounds
