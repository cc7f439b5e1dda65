"""What the controller tells whoever counts: values in, nothing back."""

from collections.abc import Callable
from dataclasses import dataclass

from cri_resmgr.errors import Error
from cri_resmgr.kube.errors import Conflict, Refused, Unavailable
from extension.errors import BaseProblem, ConfigurationProblem, NotYet


@dataclass(frozen=True, slots=True)
class Finished:
    """One piece of work on one Extension has ended."""

    operation: str
    """The type of the lastOperation, or `Look` when it was only compared with what it should be."""
    outcome: str
    """`succeeded`, `waiting`, or the class of the error."""
    duration_s: float


def ignore(_: Finished) -> None:
    """Nobody counts."""


Observer = Callable[[Finished], None]

_CLASSES = (
    (ConfigurationProblem, "configuration"),
    (BaseProblem, "base-configuration"),
    (NotYet, "not-yet"),
    (Conflict, "conflict"),
    (Unavailable, "unavailable"),
    (Refused, "refused"),
    (TimeoutError, "deadline"),
    (Error, "other"),
)
CLASSES = (*(name for _, name in _CLASSES), "internal")
"""All classes of errors."""


def class_of(error: BaseException) -> str:
    """The class of an error, one of `CLASSES`."""
    return next((name for kind, name in _CLASSES if isinstance(error, kind)), "internal")
