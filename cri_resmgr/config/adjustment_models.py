"""What users write in an Adjustment: one truth for the custom resource's schema and for what the agent takes.

Imported by the agent and by whoever prints the schema, never by the daemon, which gets `values.adjustments`.  The text
below each field is its documentation; `kubectl explain adjustments` shows it.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

QUANTITY = r"^\+?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE][+-]?[0-9]{1,3}))?$"

Quantity = Annotated[str, StringConstraints(pattern=QUANTITY, max_length=64)] | Annotated[int, Field(ge=0)]
Operator = Literal[
    "Equals",
    "NotEqual",
    "In",
    "NotIn",
    "Exists",
    "NotExist",
    "NotExists",
    "AlwaysTrue",
    "Matches",
    "MatchesNot",
    "MatchesAny",
    "MatchesNone",
]
Name = Annotated[str, StringConstraints(max_length=253)]
Value = Annotated[str, StringConstraints(max_length=1024)]
Class = Annotated[str, StringConstraints(min_length=1, max_length=253)]


class Part(BaseModel):
    """What all parts share: unknown keys are wrong."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, use_attribute_docstrings=True)


class Statement(Part):
    """An expression about a container, of the kind that affinities are made of."""

    key: Annotated[str, StringConstraints(max_length=1024)] = ""
    """What is looked at: name, namespace, qosclass, id, labels/KEY, any of them of the pod as pod/…, or several joined,
    such as `:,:pod/name,name`."""
    operator: Operator
    """What is stated about it; the patterns of those that match are shell patterns."""
    values: list[Value] = Field(default=[], max_length=256)
    """With what it is compared: one value, any number, or none, as the operator has it."""


class Scope(Part):
    """Containers on nodes."""

    nodes: list[Name] = Field(default=[], max_length=5000)
    """Names of nodes; one that ends with * stands for all that begin so. Without any, all nodes."""
    containers: list[Statement] = Field(default=[], max_length=256)
    """A container is meant if any of these is true of it. Without any, all containers."""


class Amounts(Part):
    """CPU and memory, as in a pod."""

    cpu: Quantity | None = None
    """CPUs, such as 2, 1.5 or 500m."""
    memory: Quantity | None = None
    """Bytes, such as 512Mi."""


class Resources(Part):
    """What containers are to have instead of what their pods say."""

    requests: Amounts | None = None
    """Requests; one that is missing is the limit, if there is one."""
    limits: Amounts | None = None
    """Limits; one that is missing stays as the pod has it, or rises to the request."""


class Classes(Part):
    """Classes of other controllers."""

    rdt: Class | None = None
    """The RDT class: a share of caches and memory bandwidth."""
    blockio: Class | None = None
    """The block I/O class."""


class Spec(Part):
    """Which containers, and what they are to have; each part of the latter may be left out."""

    scope: list[Scope] = Field(max_length=256)
    """The containers that are meant: those in any of these. Without any, all containers of all nodes."""
    resources: Resources | None = None
    """What they are to have instead of what their pods say."""
    classes: Classes | None = None
    """Classes of other controllers."""
    toptier_limit: Quantity | None = None
    """How much memory of the fastest kind they may use, such as 512Mi."""


class NodeStatus(Part):
    """What has become of it on one node."""

    errors: dict[str, str] = {}
    """What is amiss, by the id of a container or the name of the adjustment; empty when it is in force."""


class Status(Part):
    """What has become of it, written by the agent of each node."""

    nodes: dict[str, NodeStatus] = {}
    """By the name of each node that the scope names."""
