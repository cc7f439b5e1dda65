"""What the node agent and the daemon say to each other, as plain values: bytes of `protocol.proto` on one side of it.

Each message has a function that writes it and one that reads it, so either end needs this module and a way to carry
bytes: `wire.server` in the daemon, grpcio in the agent.  A field that a newer peer adds is passed over.

`Status` answers one JSON object; a reader takes what it knows:

    policy       the active one
    capacity     {cpus, reserved}: how many it has, and how many of these are reserved; null if it does not say
    config       {source, digest, error}: what is in use, and why the last one was refused, "" if it was not
    adjustments  {digest, in_force, errors}: the set that was given last, how many are in force, and what is amiss
    health       [reason]: empty when all is well
    events       [{kind, text, first_s, last_s, count, namespace, pod, pod_uid, container}], oldest first
    next         what to ask for next time to hear of later events only
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from cri_resmgr.config import protocol_pb2 as pb

SERVICE = "criresmgr.config.v1.Config"
SET_CONFIG, SET_ADJUSTMENTS, STATUS, METRICS = (
    f"/{SERVICE}/{method}" for method in ("SetConfig", "SetAdjustments", "Status", "Metrics")
)

M = TypeVar("M", bound=Message)


class Unreadable(Exception):  # noqa: N818 - the other side's mistake
    """Bytes that are no such message."""


@dataclass(frozen=True, slots=True)
class Pushed:
    """A configuration that the agent gives; `settings` is the text of `Settings.to_json`."""

    node: str
    source: str
    version: str
    settings: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What has become of it: no `error` if it is in use; `digest` says which configuration is."""

    error: str
    digest: str


@dataclass(frozen=True, slots=True)
class Adjustments:
    """A set of adjustments that the agent gives: texts of `values.adjustments` by name; `digest` is its name."""

    node: str
    digest: str
    texts: Mapping[str, str]


def write_config(pushed: Pushed) -> bytes:
    """The request of SetConfig."""
    return pb.SetConfigRequest(
        node_name=pushed.node, source=pushed.source, resource_version=pushed.version, settings=pushed.settings
    ).SerializeToString()


def read_config(data: bytes) -> Pushed:
    """The same on the other side. Raises Unreadable, as all that read."""
    found = _read(pb.SetConfigRequest(), data)
    return Pushed(found.node_name, found.source, found.resource_version, found.settings)


def write_verdict(verdict: Verdict) -> bytes:
    """The reply of SetConfig."""
    return pb.SetConfigReply(error=_text(verdict.error), digest=verdict.digest).SerializeToString()


def read_verdict(data: bytes) -> Verdict:
    """The same on the other side."""
    found = _read(pb.SetConfigReply(), data)
    return Verdict(found.error, found.digest)


def write_adjustments(pushed: Adjustments) -> bytes:
    """The request of SetAdjustments."""
    message = pb.SetAdjustmentsRequest(node_name=pushed.node, digest=pushed.digest)
    for name, text in pushed.texts.items():
        message.adjustments.add(name=name, text=text)
    return message.SerializeToString()


def read_adjustments(data: bytes) -> Adjustments:
    """The same on the other side."""
    found = _read(pb.SetAdjustmentsRequest(), data)
    return Adjustments(found.node_name, found.digest, {one.name: one.text for one in found.adjustments})


def write_errors(errors: Mapping[str, Mapping[str, str]]) -> bytes:
    """The reply of SetAdjustments: what is amiss, by adjustment."""
    return pb.SetAdjustmentsReply(errors=json.dumps(errors)).SerializeToString()


def read_errors(data: bytes) -> dict[str, dict[str, str]]:
    """The same on the other side."""
    try:
        found = json.loads(_read(pb.SetAdjustmentsReply(), data).errors or "{}")
        return {str(name): {str(key): str(text) for key, text in said.items()} for name, said in found.items()}
    except (ValueError, AttributeError, RecursionError) as error:
        raise Unreadable(f"these are no errors of adjustments: {error}") from error


def write_status_question(events_since: int) -> bytes:
    """The request of Status."""
    return pb.StatusRequest(events_since=events_since).SerializeToString()


def read_status_question(data: bytes) -> int:
    """The same on the other side."""
    return _read(pb.StatusRequest(), data).events_since


def write_status(status: str) -> bytes:
    """The reply of Status: JSON, as above."""
    return pb.StatusReply(status=status).SerializeToString()


def read_status(data: bytes) -> str:
    """The same on the other side."""
    return _read(pb.StatusReply(), data).status


def write_metrics(text: str) -> bytes:
    """The reply of Metrics, whose request is empty."""
    return pb.MetricsReply(text=text).SerializeToString()


def read_metrics(data: bytes) -> str:
    """The same on the other side."""
    return _read(pb.MetricsReply(), data).text


def _read(message: M, data: bytes) -> M:
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise Unreadable(f"this is no {message.DESCRIPTOR.name}: {error}") from error
    return message


def _text(text: str) -> str:
    """With what is no Unicode, say of a file name in an error, replaced."""
    return text.encode(errors="replace").decode()
