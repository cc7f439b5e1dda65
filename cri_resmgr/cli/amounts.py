"""Amounts for people: CPU and memory as Kubernetes writes them, and things that are counted."""

_SHORT = 10_000
_UNITS = tuple(
    unit
    for power, binary, decimal in ((5, "Pi", "P"), (4, "Ti", "T"), (3, "Gi", "G"), (2, "Mi", "M"), (1, "Ki", "k"))
    for unit in ((1024**power, binary), (1000**power, decimal))
)


def cpu(millicpu: int) -> str:
    """An amount of CPU: `2`, `1500m`."""
    return f"{millicpu}m" if millicpu % 1000 else str(millicpu // 1000)


def memory(amount_bytes: int) -> str:
    """An amount of memory: exact, as `2Gi` or `100M`, where that is short, else such as `15.3Gi`."""
    for unit, suffix in _UNITS:
        if amount_bytes % unit == 0 and 0 < amount_bytes // unit < _SHORT:
            return f"{amount_bytes // unit}{suffix}"
    unit, suffix = next((u for u in _UNITS if u[1].endswith("i") and u[0] <= amount_bytes), (1, ""))
    return f"{amount_bytes / unit:.3g}{suffix}"


def between(request: str, limit: str) -> str:
    """A request and a limit, `0` for none: `500m to 2`, `1Gi and more`, `up to 3`, `2` for both."""
    if request == limit:
        return request
    if request == "0":
        return f"up to {limit}"
    return f"{request} and more" if limit == "0" else f"{request} to {limit}"


def many(count: int, what: str) -> str:
    """`1 core`, `2 cores`."""
    return f"{count} {what}{'s' if count != 1 else ''}"
