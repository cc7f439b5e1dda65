"""What a shoot's owner writes in `providerConfig`: one truth for parsing, messages, the schema and the reference page.

The text below each field is its documentation.  Unknown keys are wrong, and every mistake is told at once with its
path.  What it means for a particular shoot is said in `extension.installing`.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from cri_resmgr.config import messages, outline
from cri_resmgr.config.forms import Form, one_of
from cri_resmgr.config.notations import FailPolicy
from cri_resmgr.config.problems import Problem
from cri_resmgr.config.schema import DIALECT
from extension.errors import ConfigurationProblem

SOURCE = "providerConfig"
LIMIT_ITEMS = 100
_PERCENT = re.compile(r"(?:[1-9][0-9]?|100)%")
_KEY = re.compile(r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-_.A-Za-z0-9]{0,61}[A-Za-z0-9])?)?")


class StaticPools(Enum):
    """What becomes of worker pools whose kubelet has a static CPU or memory manager."""

    REFUSE = "refuse"
    LEAVE_OUT = "leaveOut"


def _labels(labels: dict[str, str]) -> dict[str, str]:
    for key, value in labels.items():
        if not _KEY.fullmatch(key):
            raise messages.refused(f"'{key}' is no key of a label; write one such as example.org/name")
        if not _VALUE.fullmatch(value):
            raise messages.refused(f"'{value}' is no value of a label; write letters, digits, '-', '_' and '.'")
    return labels


def _amount(value: Any) -> Any:
    count = isinstance(value, int) and not isinstance(value, bool) and value >= 1
    if count or (isinstance(value, str) and _PERCENT.fullmatch(value)):
        return value
    shown = messages.shown(value)
    raise messages.refused(f"{shown} is no number of nodes; write one of 1 or more, or a percentage such as 25%")


def _static_pools(value: Any) -> Any:
    words = [member.value for member in StaticPools]
    if value not in words:
        raise messages.refused(f"{messages.shown(value)} will not do; write {' or '.join(words)}")
    return StaticPools(value)


class ProviderConfig(BaseModel):
    """What the owner of a shoot says about CRI resource manager in it."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, use_attribute_docstrings=True
    )

    configs: dict[str, str] = Field(default_factory=dict)
    """Configuration texts by type: `fallback`, `default`, `node.NAME`, `group.NAME`, `force`. Each takes the place of
    the one of the same type that the operator has set in the ControllerDeployment; an empty one takes that away."""

    worker_pools: list[str] = Field(default_factory=list, max_length=LIMIT_ITEMS)
    """Names of the worker pools whose nodes get it; all of them if none is named. A node that leaves the selection is
    cleaned."""

    node_selector: Annotated[
        dict[str, str],
        Field(max_length=LIMIT_ITEMS),
        AfterValidator(_labels),
        Form(
            "a mapping from labels to their values",
            {"type": "object", "additionalProperties": {"type": "string"}, "maxProperties": LIMIT_ITEMS},
        ),
    ] = Field(default_factory=dict)
    """Labels that a node must have besides, all of them."""

    max_unavailable: Annotated[
        Any,
        BeforeValidator(_amount),
        Form(
            "a number of 1 or more, or a percentage such as `25%`",
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": f"^{_PERCENT.pattern}$"}]},
        ),
    ] = 1
    """On how many nodes at once an installation is made or changed."""

    on_policy_error: FailPolicy | None = None
    """What becomes of a container when the policy fails: it starts with the kubelet's own values (`pass`), or it does
    not start (`reject`). Not said: what the configuration says, and `pass` if it says nothing."""

    webhook: bool = False
    """Deploy the webhook that annotates new pods with their resource requests and limits."""

    static_kubelet_pools: Annotated[
        Any, BeforeValidator(_static_pools), one_of(*(member.value for member in StaticPools))
    ] = StaticPools.REFUSE
    """What becomes of selected worker pools whose kubelet has `cpuManagerPolicy: static` or a static memory manager,
    and so would place containers itself: nothing is changed anywhere and the shoot's owner is told (`refuse`), or
    those pools are left out (`leaveOut`)."""


ROOT = outline.of(ProviderConfig)


def parse(said: Any) -> ProviderConfig:
    """What a providerConfig says; nothing said is all defaults.  Raises ConfigurationProblem with all that is wrong."""
    if said is None:
        return ProviderConfig()
    if not isinstance(said, dict):
        raise ConfigurationProblem(f"{SOURCE}: {messages.shown(said)} will not do; write keys and values")
    try:
        return ProviderConfig.model_validate(said)
    except ValidationError as error:
        raise problem(_problems(error)) from error


def schema_text() -> str:
    """All that can be said, as JSON schema."""
    schema: dict[str, Any] = {"$schema": DIALECT, **ProviderConfig.model_json_schema()}
    schema.pop("title")
    for one in schema["properties"].values():
        one.pop("title", None)
        one["description"] = " ".join(one["description"].split())
    return json.dumps(schema, indent=1, ensure_ascii=False)


def problem(problems: Iterator[Problem]) -> ConfigurationProblem:
    """One error for many problems, each with its path in the shoot's providerConfig."""
    return ConfigurationProblem("\n".join(f"{SOURCE}.{each}" for each in problems))


def _problems(error: ValidationError) -> Iterator[Problem]:
    for detail in error.errors(include_url=False):
        path = tuple(map(str, detail["loc"]))
        yield Problem(".".join(path), messages.of(detail, ROOT.below))
