"""A replay for people: a line for each event, what it changed, and where the replay goes another way."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from cri_resmgr.cli import amounts
from cri_resmgr.cli.replaying.reading import Recording
from cri_resmgr.cli.simulating import wording

Values = Mapping[str, Any]


def heading(recording: Recording, settings: Values) -> Iterator[str]:
    """Where the recording is from, and who decides in the replay."""
    began = datetime.fromtimestamp(recording.header.began_s, UTC)
    lasted_s = recording.events[-1].at_s if recording.events else 0.0
    whole = ", its last line is torn" if recording.torn else ""
    count = amounts.many(len(recording.events), "event")
    yield f"recording {recording.path}: {began:%Y-%m-%d %H:%M:%S} UTC, {lasted_s:.1f} s, {count}{whole}"
    yield f"machine   {wording.machine(recording.machine)}"
    yield f"happened  policy {settings['happened']['policy']} ({settings['happened']['source']})"
    yield f"replayed  policy {settings['replayed']['policy']} ({settings['replayed']['source']})"


def lines(entries: Iterable[Values]) -> Iterator[str]:
    """The events."""
    for entry in entries:
        yield f"{entry['at_s']:+12.3f} s  {entry['event']} {entry['about']}".rstrip()
        if "refused" in entry:
            yield from _refusals(entry["refused"])
        for change in entry["changes"]:
            yield from _change(change)


def ending(said: Values, *, exact: bool, events: int) -> Iterator[str]:
    """What is different in the end."""
    yield ""
    for one in said["different"]:
        yield f"{one['container']}, event {one['number']}: {place(one['happened'])} -> {place(one['replayed'])}"
    for one in said["refused"]:
        who, reason = ("happened", one["happened"]) if one["happened"] else ("replayed", one["replayed"])
        yield f"{one['container']}, event {one['number']}: refused in what {who} only: {reason}"
    most = said["own_cpus_most"]
    yield f"CPUs with one owner, at most: {most['happened']} -> {most['replayed']}"
    different, refused = len(said["different"]), len(said["refused"])
    if not different and not refused:
        same = "each decision is the daemon's" if exact else "everybody would have been where he was"
        yield f"{amounts.many(events, 'event')}: {same}"
        return
    what = "decided about otherwise" if exact else "elsewhere"
    yield f"{amounts.many(different, 'container')} {what}, {refused} refused on one side only"


def place(where: Values | None) -> str:
    """A place in words."""
    if where is None:
        return "not there"
    parts = [f"CPUs {where['cpus'] or 'as asked'}"]
    parts += [f"memory {where['mems']}"] if where["mems"] else []
    own = ",".join(filter(None, (where["exclusive"], where["isolated"])))
    parts += [f"{own} its own"] if own else []
    return ", ".join(parts + ([where["pool"]] if where["pool"] else []))


def _refusals(said: Values) -> Iterator[str]:
    happened, replayed = said["happened"], said["replayed"]
    if happened == replayed:
        yield f"      ! {happened}"
        return
    yield f"      ! {happened or 'not refused'}"
    yield f"     -> {replayed or 'not refused'}"


def _change(change: Values) -> Iterator[str]:
    yield f"        {change['container']}: {place(change['happened'])}"
    if not change["same"]:
        yield f"     -> {place(change['replayed'])}"
        yield from (f"        because {reason}" for reason in change["reasons"])
