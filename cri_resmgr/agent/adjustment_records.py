"""What an agent keeps of an Adjustment: what it says for this node, and what this node has said about it.

Objects are projected as they come, so thousands of them, most of which are for other nodes, cost little; and what other
nodes write into a status is no news.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cri_resmgr.config import adjustments
from cri_resmgr.config.adjustments import Unusable
from cri_resmgr.kube.resources import Object
from cri_resmgr.values.adjustments import written

Said = Mapping[str, str]
"""What is said about one Adjustment on one node, by key."""


@dataclass(frozen=True, slots=True)
class Record:
    """One Adjustment; it is for this node, or this node has an entry in its status that must go.

    `text` is for the daemon, `problem` says why there is none: both are "" where it is not for this node.  `said` is
    our entry in its status, None if there is none.  How many nodes have one is no news, either.
    """

    name: str
    text: str = ""
    problem: str = ""
    said: tuple[tuple[str, str], ...] | None = None
    entries: int = field(default=0, compare=False)

    @property
    def is_ours(self) -> bool:
        """Whether it is for this node."""
        return bool(self.text or self.problem)


def record(thing: Object, node: str) -> Record | None:
    """What to keep of an object, None for nothing."""
    name, spec = thing["metadata"]["name"], thing.get("spec")
    entries = _mapping(_mapping(thing.get("status")).get("nodes"))
    said = _said(entries[node]) if node in entries else None
    if not adjustments.named(spec if isinstance(spec, dict) else {"scope": spec}, node):
        return None if said is None else Record(name, said=said, entries=len(entries))
    try:
        text = written(adjustments.adjustment(name, spec if isinstance(spec, dict) else {}, node))
    except Unusable as error:
        return Record(name, problem=str(error), said=said, entries=len(entries))
    return Record(name, text, said=said, entries=len(entries))


def patch(node: str, before: Said, after: Said | None) -> dict[str, Any]:
    """The merge patch that makes our entry say `after`, None for no entry, where it says `before`."""
    gone: dict[str, None] = dict.fromkeys(before.keys() - (after or {}).keys())
    entry = None if after is None else {"errors": {**gone, **after}}
    return {"status": {"nodes": {node: entry}}}


def _said(entry: Any) -> tuple[tuple[str, str], ...]:
    errors = _mapping(_mapping(entry).get("errors"))
    return tuple(sorted((str(key), str(text)) for key, text in errors.items()))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
