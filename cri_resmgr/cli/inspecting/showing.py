"""The answers of `explain` and `status` as text, made of the very values that programs get."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from textwrap import wrap
from typing import Any

from cri_resmgr.cli import amounts

Values = Mapping[str, Any]
Row = tuple[str, ...]

_COLUMNS = 80
_MARGIN = 12
_SHOWN_EVENTS = 20
_SHOWN_MEMBERS = 3
_SHOWN_ADJUSTMENTS = 10
_ADJUSTED = {
    "cpu_request_millicpu": "CPU request",
    "cpu_limit_millicpu": "CPU limit",
    "memory_request_bytes": "memory request",
    "memory_limit_bytes": "memory limit",
    "rdt_class": "RDT class",
    "blockio_class": "block I/O class",
    "toptier_limit_bytes": "top tier limit",
}
_FIELDS = (("CPUs", "cpuset_cpus"), ("memory", "cpuset_mems"), ("shares", "cpu_shares"))


def container(said: Values) -> Iterator[str]:
    """One container: what it is, what it wants and has, why, and where else it might have gone."""
    yield said["container"]
    lines = [
        *_fact("state", _state(said)),
        *_fact("wants", _wish(said["requirements"])),
        *_fact("adjusted", *_adjustment(said["adjustment"])),
        *_fact("holds", _holding(said["holding"])),
        *_fact("because", *said["reasons"]),
        *_fact("ignored", *said["requirements"]["problems"]),
        *_fact("near", *(f"{hint['provider']}: {_sets(hint)}" for hint in said["hints"])),
        "",
        *_table([("", "asked", "has"), *_resources(said)]),
    ]
    if said["candidates"]:
        lines += ["", *_table(_candidates(said["candidates"]))]
    yield from (f"  {line}".rstrip() for line in lines)


def node(said: Values) -> Iterator[str]:
    """The node: who decides about what, what is left in each pool, and what is amiss."""
    there = said["containers"]
    pid = said["daemon"]["pid"]
    yield from _fact("daemon", f"process {pid}" if pid else "not running")
    yield from _fact("store", said["daemon"]["store"])
    yield from _fact("policy", _policy(said["policy"]))
    yield from _fact("machine", _machine(said["machine"]) if said["machine"] else "")
    yield from _fact("containers", str(len(there["alive"])))
    for word in ("adopted", "unplaced", "pending"):
        yield from _fact(word, ", ".join(there[word]))
    yield from _fact("adjusted", *_adjustments(said["adjustments"]))
    yield from _fact("warning", *said["warnings"])
    yield from _fact("problem", *said["problems"])
    if said["pools"]:
        yield from ("", *_table(_pools(said["pools"])))
    if said["events"]:
        yield from ("", *_table(_events(said["events"])))


def _fact(word: str, *texts: str) -> Iterator[str]:
    """A word in the margin and what there is to say, wrapped; nothing at all for nothing."""
    margin = word.ljust(_MARGIN)
    for text in filter(None, texts):
        yield from wrap(
            text,
            _COLUMNS,
            initial_indent=margin,
            subsequent_indent=" " * _MARGIN,
            break_on_hyphens=False,
            break_long_words=False,
        )
        margin = " " * _MARGIN


def _table(rows: Sequence[Row]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _state(said: Values) -> str:
    parts = [
        said["state"],
        f"attempt {said['attempt']}" if said["attempt"] else "",
        "adopted: it was there before us" if said["adopted"] else "",
        "the runtime has not been told the latest" if said["pending"] else "",
        said["id"][:13],
    ]
    return ", ".join(filter(None, parts))


def _wish(wanted: Values) -> str:
    cpu = amounts.between(amounts.cpu(wanted["cpu_request_millicpu"]), amounts.cpu(wanted["cpu_limit_millicpu"]))
    memory = amounts.between(
        amounts.memory(wanted["memory_request_bytes"]), amounts.memory(wanted["memory_limit_bytes"])
    )
    return f"{wanted['qos']}, {cpu} CPU, {memory} memory"


def _adjustment(said: Values | None) -> Iterator[str]:
    """Which adjustment, what it says, and what nobody here can apply of it."""
    if said is None:
        return
    words = [f"{word} {_amount(name, said[name])}" for name, word in _ADJUSTED.items() if name in said]
    yield f"by {said['by']}: {', '.join(words) or 'in nothing'}"
    yield said["not_applied"]


def _amount(name: str, value: int | str) -> str:
    if isinstance(value, str):
        return value
    return amounts.cpu(value) if name.endswith("_millicpu") else amounts.memory(value)


def _adjustments(said: Values) -> Iterator[str]:
    """What is in force for whom, then what is amiss."""
    in_force = [f"{name} ({amounts.many(len(members), 'container')})" for name, members in said["in_force"].items()]
    beyond = len(in_force) - _SHOWN_ADJUSTMENTS
    yield ", ".join(in_force[:_SHOWN_ADJUSTMENTS]) + (f" and {beyond} more" if beyond > 0 else "")
    amiss = dict.fromkeys(f"{text} [{key}]" for one in said["errors"].values() for key, text in one.items())
    yield from list(amiss)[:_SHOWN_ADJUSTMENTS]


def _holding(holding: Values) -> str:
    words = {"exclusive": "its own", "isolated": "its own, isolated", "shared": "shared"}
    parts = [f"{holding[kind]} {word}" for kind, word in words.items() if holding[kind]]
    if not holding["policy"]:
        return "nothing"
    return f"{', '.join(parts) or 'nothing'} in {holding['pool'] or 'no pool'}, by policy {holding['policy']}"


def _resources(said: Values) -> Iterator[Row]:
    asked, now = said["asked"], said["effective"]
    for word, name in _FIELDS:
        yield word, str(asked[name] or "-"), str(now[name] or "-")
    if asked["memory_limit_bytes"] != now["memory_limit_bytes"]:
        yield (
            "limit",
            *(amounts.memory(r["memory_limit_bytes"]) if r["memory_limit_bytes"] else "-" for r in (asked, now)),
        )
    yield "quota", *(f"{r['cpu_quota_us']}/{r['cpu_period_us']}" if r["cpu_quota_us"] else "-" for r in (asked, now))


def _candidates(candidates: Sequence[Values]) -> list[Row]:
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate["scores"]))
    rows = [(c["pool"], *(_score(c["scores"].get(name, "")) for name in names), c["verdict"]) for c in candidates]
    return [("candidate", *names, "verdict"), *rows]


def _score(value: float | str) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _sets(hint: Values) -> str:
    return ", ".join(f"{name} {hint[name]}" for name in ("cpus", "nodes", "packages") if hint[name])


def _policy(said: Values) -> str:
    limits = [f"{word} {_limit(said[word])}" for word in ("available", "reserved") if said[word]]
    return ", ".join((said["active"], *limits, said["source"]))


def _limit(limit: Values) -> str:
    if limit["millicpu"] is not None:
        return f"{amounts.cpu(limit['millicpu'])} CPU"
    return f"CPUs {limit['cpuset']}" if limit["cpuset"] is not None else f"CPUs of cgroup {limit['cgroup']}"


def _machine(said: Values) -> str:
    memory = amounts.memory(sum(node["memory_bytes"] for node in said["nodes"]))
    counts = amounts.many(said["packages"], "package"), amounts.many(len(said["nodes"]), "node")
    parts = [*counts, f"CPUs {said['cpus']}", memory]
    return ", ".join(parts + [f"{word} {said[word]}" for word in ("isolated", "offline") if said[word]])


def _pools(pools: Sequence[Values]) -> list[Row]:
    depths: dict[str, int] = {}
    rows: list[Row] = [("pool", "CPUs", "own", "shared", "reserved", "free", "memory", "containers")]
    for pool in pools:
        depths[pool["name"]] = depths.get(pool["parent"], -1) + 1
        sets = [pool[kind] or "-" for kind in ("cpus", "exclusive", "shared", "reserved")]
        free = amounts.cpu(pool["free_millicpu"]), amounts.memory(pool["free_memory_bytes"])
        rows.append(("  " * depths[pool["name"]] + pool["name"], *sets, *free, _members(pool["members"])))
    return rows


def _members(names: Sequence[str]) -> str:
    beyond = len(names) - _SHOWN_MEMBERS
    return ", ".join(names[:_SHOWN_MEMBERS]) + (f" and {beyond} more" if beyond > 0 else "")


def _events(events: Sequence[Values]) -> list[Row]:
    rows = [
        (
            f"{datetime.fromtimestamp(event['last_s'], UTC):%Y-%m-%d %H:%M:%S}",
            f"{event['count']} times" if event["count"] > 1 else "",
            event["kind"],
            event["subject"],
            event["text"],
        )
        for event in events[-_SHOWN_EVENTS:]
    ]
    return [("last, UTC", "", "event", "about", ""), *rows]
