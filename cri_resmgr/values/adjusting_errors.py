"""What is said about adjustments that are not in force, or only in part: by adjustment, a key, and a sentence.

The keys are the predecessor's: the id of a container, the name of the adjustment, `cache` for what is about all of an
update, or `request` for what is between agent and daemon.  An adjustment about which there is nothing to say is not
there.
"""

from collections.abc import Collection, Iterable, Mapping

Errors = dict[str, dict[str, str]]

CACHE, REQUEST = "cache", "request"


def add(errors: Errors, names: Iterable[str], key: str, text: str) -> None:
    """Say something about each of these."""
    for name in names:
        errors.setdefault(name, {})[key] = text


def rejected(errors: Errors, given: Collection[str], unchanged: Collection[str] = ()) -> Errors:
    """The errors of a set that was rejected: also for those that are not in force because of others."""
    causes = ",".join(sorted(errors))
    text = f"cache: this update was rejected because of {causes}; what was in force before stays"
    innocent = {name: {CACHE: text} for name in given if name not in errors and name not in unchanged}
    return {**errors, **innocent}


def listed(errors: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Each sentence once, for events and logs."""
    return sorted({text for one in errors.values() for text in one.values()})


def may_pass(errors: Mapping[str, Mapping[str, str]]) -> bool:
    """Whether anything is about more than an adjustment itself: containers go, and what they stood against may come."""
    return any(key != name for name, one in errors.items() for key in one)
