"""The same question to the relay and to the runtime: do they end alike?"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.message import DecodeError, Message

from cri_resmgr.cli.doctoring import questions
from cri_resmgr.cli.doctoring.findings import Finding, unknown, well, wrong
from cri_resmgr.cli.doctoring.questions import Question
from cri_resmgr.cri import methods
from cri_resmgr.wire import client, grpc
from cri_resmgr.wire.client import Client
from cri_resmgr.wire.connection import Reply
from cri_resmgr.wire.hpack import Field

DEADLINE_S = 10.0
_TRIES = 3  # pods come and go between two questions
_OF_RPC = frozenset({b"grpc-status", b"grpc-message"})
_REMEDY = "the relay must pass this as it is: report it with the output of `cri-resmgr doctor --output json`"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a question: `difference` is empty if both ended alike; `told` unless nothing can be concluded."""

    question: Question
    difference: str
    told: bool = True


async def compare(relay: Client, runtime: Client) -> tuple[Outcome, ...]:
    """All questions, one after the other."""
    return tuple([await _outcome(question, relay, runtime) for question in questions.all_of_them()])


def findings(outcomes: Sequence[Outcome]) -> Iterable[Finding]:
    """One for each area."""
    for area in questions.AREAS:
        mine = [outcome for outcome in outcomes if outcome.question.area == area]
        broken = [f"{outcome.question.name}: {outcome.difference}" for outcome in mine if outcome.difference]
        told = sum(outcome.told for outcome in mine)
        if broken:
            yield wrong(area, f"{len(broken)} of {len(mine)} calls end otherwise: " + "; ".join(broken), _REMEDY)
        elif not told:
            yield unknown(area, "this runtime does not mind what the doctor has sent, so nothing can be concluded")
        else:
            yield well(area, f"{told} calls end through the relay as they end at the runtime")


def lost(outcomes: Iterable[Outcome]) -> Finding:
    """What the kubelet would have without the relay, and has not."""
    names = [outcome.question.name for outcome in outcomes if outcome.difference]
    if names:
        return wrong("the kubelet", f"would lose: {', '.join(names)}", "stop the relay and point the kubelet past it")
    return well("the kubelet", "loses nothing by the relay")


async def ask(client_: Client, question: Question) -> Reply:
    """The whole answer."""
    own = dict(question.fields)
    fields: list[Field] = [
        field for field in client.request_fields(question.method, timeout_s=DEADLINE_S) if field[0] not in own
    ]
    return await client_.ask([*fields, *question.fields], question.message, deadline_s=DEADLINE_S)


async def _outcome(question: Question, relay: Client, runtime: Client) -> Outcome:
    difference = ""
    for _ in range(_TRIES):
        direct = await ask(runtime, question)
        relayed = await ask(relay, question)
        difference = different(question, direct, relayed)
        if not difference:
            return Outcome(question, "", told=not question.telling or direct.code != grpc.OK)
    return Outcome(question, difference)


def different(question: Question, direct: Reply, relayed: Reply) -> str:
    """What the relay's answer has otherwise, in a sentence; empty if nothing."""
    if (direct.code, direct.text) != (relayed.code, relayed.text):
        return f"{_said(relayed)} instead of {_said(direct)}"
    for part, ours, theirs in (("header", relayed.head, direct.head), ("trailer", relayed.trailers, direct.trailers)):
        if Counter(_others(ours)) != Counter(_others(theirs)):
            return f"other {part} fields: {_shown(_others(ours))} instead of {_shown(_others(theirs))}"
    return "" if question.moving else _other_body(question.method, direct.body, relayed.body)


def _others(fields: Iterable[Field]) -> list[Field]:
    """Without those that say how the call has ended, which may stand in the one block or the other."""
    return [field for field in fields if field[0] not in _OF_RPC]


def _other_body(method: str, direct: bytes, relayed: bytes) -> str:
    types = methods.types_of(method)
    if direct == relayed or types is None:
        return "" if direct == relayed else "another answer"
    try:
        ours, theirs = (_parsed(types[1], body) for body in (relayed, direct))
    except (DecodeError, grpc.MessageError):
        return "an answer that cannot be read"
    if _canonical(ours) == _canonical(theirs):
        return ""
    for message in (ours, theirs):
        message.DiscardUnknownFields()
    alike = _canonical(ours) == _canonical(theirs)
    return "fields that this program does not know are lost" if alike else "another answer"


def _parsed(kind: type[Message], body: bytes) -> Message:
    return kind.FromString(grpc.message_in(body)) if body else kind()


def _canonical(message: Message) -> bytes:
    """Bytes that are equal for equal messages, whatever the order of lists: containerd has that of a Go map."""
    same = type(message)()
    same.CopyFrom(message)
    for field, value in message.ListFields():
        if field.is_repeated and field.message_type is not None and not field.message_type.GetOptions().map_entry:
            same.ClearField(field.name)
            getattr(same, field.name).extend(sorted(value, key=_serialized))
    return _serialized(same)


def _serialized(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)


def _said(reply: Reply) -> str:
    return "an answer" if reply.code == grpc.OK else f"code {reply.code} ({reply.text})"


def _shown(fields: Iterable[Field]) -> str:
    shown = (f"{name.decode('latin-1')}={value.decode('latin-1')}" for name, value in fields)
    return ", ".join(sorted(shown)) or "none"
