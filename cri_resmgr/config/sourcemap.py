"""Source maps: which parts of the program log, or log at debug level.

Comma-separated `[STATE:]SOURCE`, such as `off:relay,on:policy,state`.  A state holds for the sources after it, too,
and is `on` before the first; `*` or `all` is about every source that is not named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cri_resmgr.errors import BadInput

LIMIT_CHARS = 4096  # it is parsed again in the daemon's loop

_STATES = dict.fromkeys(("on", "true", "enable", "enabled", "1"), True) | dict.fromkeys(
    ("off", "false", "disable", "disabled", "0"), False
)
_ALL = ("*", "all")
_OLD_NAMES = {
    "resource-manager": "manager",
    "resource-control": "control",
    "cache": "state",
    "cri/relay": "relay",
    "cri/server": "relay",
    "cri/client": "cri",
    "dump": "message",
    "http": "metrics",
    "instrumentation": "metrics",
    "config-server": "config",
}


@dataclass(frozen=True, slots=True)
class SourceMap:
    """`named` decides about the sources in it, `others` about the rest."""

    others: bool = False
    named: Mapping[str, bool] = field(default_factory=dict)

    def enabled(self, source: str) -> bool:
        """Is `source` switched on?"""
        return self.named.get(canonical(source), self.others)


def parse(text: str, *, others: bool = False) -> SourceMap:
    """The map that `text` says; `others` holds where it says nothing of `*`. Raises BadInput."""
    if len(text) > LIMIT_CHARS:
        raise BadInput(f"{len(text)} characters are too many, at most {LIMIT_CHARS}; name fewer sources, or * for all")
    named: dict[str, bool] = {}
    state = True
    for entry in filter(None, map(str.strip, text.split(","))):
        word, colon, source = (part.strip() for part in entry.rpartition(":"))
        if colon:
            if word.lower() not in _STATES:
                raise BadInput(f"'{entry}': '{word}' is no state; write on:{source} or off:{source}")
            state = _STATES[word.lower()]
        if not source:
            raise BadInput(f"'{entry}' names no source; write {word}:* for all")
        if source in _ALL:
            others = state
        else:
            named[canonical(source)] = state
    return SourceMap(others, named)


def canonical(source: str) -> str:
    """The one name of a source: what the predecessor called it, or a module of ours, are taken for it."""
    name = source.removeprefix("cri_resmgr.").partition(".")[0] if source.startswith("cri_resmgr.") else source
    return _OLD_NAMES.get(name, name)


def written(states: Mapping[str, bool]) -> str:
    """The text of a map that a user gave as a mapping."""
    return ",".join(f"{'on' if state else 'off'}:{source}" for source, state in states.items())
