"""What a recording consists of: the first line says where it was made, and each further one is one of these events.

Times are in seconds since the beginning.  Containers are named by `Container.key`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cri_resmgr.values.decisions import Decision
from cri_resmgr.values.workloads import Container, Pod

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: `machine` as `values.machine_texts` has it, `settings` as `config.settings` has them.

    `cgroups` says which CPUs, a Linux list, the directories had that the settings name.
    """

    record: int
    version: str
    began_s: float
    """Unix time."""
    machine: Mapping[str, Any]
    settings: Mapping[str, Any]
    cgroups: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A decision, or why there is none: it was refused, or it passed and runs as the kubelet asked."""

    decision: Decision | None = None
    refused: str = ""
    passed: str = ""


@dataclass(frozen=True, slots=True)
class There:
    """It ran already when the recording began, with what it had."""

    at_s: float
    container: Container
    pod: Pod
    event: Literal["there"] = "there"


@dataclass(frozen=True, slots=True)
class PodCame:
    """There is a pod."""

    at_s: float
    pod: Pod
    event: Literal["pod"] = "pod"


@dataclass(frozen=True, slots=True)
class PodGone:
    """There is no such pod any more."""

    at_s: float
    pod_id: str
    event: Literal["pod-gone"] = "pod-gone"


@dataclass(frozen=True, slots=True)
class Created:
    """A container is about to be created: with what was decided, or why it was refused, or passed."""

    at_s: float
    container: Container
    pod: Pod
    outcome: Outcome
    event: Literal["create"] = "create"


@dataclass(frozen=True, slots=True)
class Started:
    """It runs."""

    at_s: float
    key: str
    event: Literal["start"] = "start"


@dataclass(frozen=True, slots=True)
class Updated:
    """The kubelet resizes a container, which is as it is wished for, with what it had."""

    at_s: float
    container: Container
    outcome: Outcome
    event: Literal["update"] = "update"


@dataclass(frozen=True, slots=True)
class Released:
    """It has ended."""

    at_s: float
    key: str
    outcome: Outcome
    event: Literal["release"] = "release"


@dataclass(frozen=True, slots=True)
class Revisited:
    """The time that its decision asked for has passed."""

    at_s: float
    key: str
    outcome: Outcome
    event: Literal["revisit"] = "revisit"


@dataclass(frozen=True, slots=True)
class Rebalanced:
    """The policy was to put right what had grown crooked."""

    at_s: float
    outcome: Outcome
    event: Literal["rebalance"] = "rebalance"


@dataclass(frozen=True, slots=True)
class Undone:
    """The runtime has refused what the last decision was for: all is as it was before that."""

    at_s: float
    event: Literal["undo"] = "undo"


@dataclass(frozen=True, slots=True)
class Resident:
    """A container with its pod, one of those that a policy begins with."""

    container: Container
    pod: Pod


@dataclass(frozen=True, slots=True)
class Began:
    """The policy begins with what runs, once more: at start, or when something has happened that it missed.

    `changes` are the decisions about those that must change, None if the policy could not begin.
    """

    at_s: float
    running: tuple[Resident, ...]
    changes: Mapping[str, Decision] | None = None
    event: Literal["begin"] = "begin"


@dataclass(frozen=True, slots=True)
class Configured:
    """Another configuration decides from here on; `settings` and `cgroups` are as in the first line.

    `changes` is None when the policy has yet to begin.
    """

    at_s: float
    settings: Mapping[str, Any]
    cgroups: Mapping[str, str]
    changes: Mapping[str, Decision] | None = None
    event: Literal["configure"] = "configure"


@dataclass(frozen=True, slots=True)
class Ended:
    """Why the recording ends; the last line, unless its writer was killed."""

    at_s: float
    reason: str
    event: Literal["end"] = "end"


Event = (
    There
    | PodCame
    | PodGone
    | Created
    | Started
    | Updated
    | Released
    | Revisited
    | Rebalanced
    | Undone
    | Began
    | Configured
    | Ended
)
