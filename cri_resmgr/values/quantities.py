"""Amounts of CPU and memory: as Kubernetes writes them, and as the kubelet hands them to a runtime.

CRI carries no requests and limits, but what the kubelet makes of them: shares (1024 a CPU, rounded down) and a quota
of CPU time in each period.  Both steps are finer than a thousandth of a CPU, so no two amounts give the same number,
and going back is exact: the least amount that would give it.  Rounding to the nearest instead makes 199m of 200m.

All amounts are integers, in thousandths of a CPU or in bytes; a fraction of the unit counts as one more.
"""

import re

MIN_SHARES = 2
"""What the kubelet says for no request at all, and for up to 2m."""
MAX_SHARES = 262_144
"""256 CPUs; a larger request does not show."""
PERIOD_US = 100_000
MIN_QUOTA_US = 1_000

_SHARES_PER_CPU = 1024
_LIMIT = 1 << 63
_QUANTITY = re.compile(r"\+?(?=\.?[0-9])([0-9]*)\.?([0-9]*)(?:[eE]([+-]?[0-9]{1,3})|([numkMGTPE]|[KMGTPE]i)?)")
_LIMIT_CHARS = 64


def cpu_millicpu(text: str) -> int:
    """The thousandths of a CPU in a quantity such as `1500m`, `1.5` or `2`. Raises ValueError."""
    return _amount(text, 1000, "write CPUs such as 2, 1.5 or 500m")


def bytes_of(text: str) -> int:
    """The bytes in a quantity such as `512Mi`, `1.5G` or `128e6`. Raises ValueError."""
    return _amount(text, 1, "write bytes such as 512Mi, 2G or 1e9")


def shares_of(millicpu: int) -> int:
    """The shares by which the kubelet asks for this much CPU."""
    return min(max(millicpu * _SHARES_PER_CPU // 1000, MIN_SHARES), MAX_SHARES)


def millicpu_of(shares: int) -> int:
    """The request that the kubelet made these shares of; 0 for the least there is, which stands for no request."""
    return 0 if shares <= MIN_SHARES else -(-shares * 1000 // _SHARES_PER_CPU)


def quota_of(millicpu: int, period_us: int = PERIOD_US) -> int:
    """The microseconds of CPU time in each period for this limit; 0 for no limit."""
    return max(millicpu * period_us // 1000, MIN_QUOTA_US) if millicpu else 0


def millicpu_of_quota(quota_us: int, period_us: int = PERIOD_US) -> int:
    """The limit that the kubelet made this quota of; 0 for none. A period of 0 is the usual one."""
    return -(-quota_us * 1000 // (period_us or PERIOD_US)) if quota_us > 0 else 0


def _amount(text: str, units: int, remedy: str) -> int:
    found = _QUANTITY.fullmatch(text) if len(text) <= _LIMIT_CHARS else None
    if found is None:
        raise ValueError(f"'{text[:_LIMIT_CHARS]}' is no quantity; {remedy}")
    whole, fraction, exponent, suffix = found.groups()
    power, factor = (int(exponent), 1) if exponent else _scale(suffix or "")
    dividend, divisor = int(whole + fraction) * factor * units, 1
    power -= len(fraction)
    if power < 0:
        divisor = 10**-power
    else:
        dividend *= 10**power
    amount = -(-dividend // divisor)
    if amount >= _LIMIT:
        raise ValueError(f"'{text}' is more than any machine has; {remedy}")
    return amount


def _scale(suffix: str) -> tuple[int, int]:
    """What a suffix stands for: a power of ten, and a factor."""
    if suffix.endswith("i"):
        return 0, 1024 ** (" KMGTPE".index(suffix[0]))
    return {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}[suffix], 1
