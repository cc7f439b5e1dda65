"""What a message may show of itself: its fields as plain values, with secrets taken out.

Never shown:
- fields that the schema marks `debug_redact`: values of environment variables (their names are shown), credentials
  for registries, output of ExecSync, addresses of streaming servers (they carry a token), Windows credential specs,
  and the verbose `info` of any status, which repeats environments and the runtime's whole configuration;
- values of labels, annotations and other maps whose key smells of a secret, and kubectl's last-applied-configuration,
  which repeats the manifest;
- in command lines and errors: what follows `password=`, `--token ` and the like, and passwords in URLs;
- fields that the schema does not know: nobody can say what is in them.

Other arguments of commands are shown.  Somebody who passes a secret as a bare argument shows it to `ps` as well.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from cri_resmgr.cri import api_pb2

REDACTED = "<redacted>"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
LIMIT_CHARS = 4000  # of one text that is searched: the expressions below are not linear

_WORDS = r"passw|passphrase|pwd|secret|token|credential|(?:api|private|access|signing)[-_.]?key"
_SMELLS = re.compile(rf"{_WORDS}|auth(?!or)", re.IGNORECASE)
_VALUE = r"(?:\"[^\"]*(?:\"|$)|'[^']*(?:'|$)|(?:(?:basic|bearer)\s{1,4})?\S+)"
_NAMED = re.compile(
    rf"((?:(?:{_WORDS})[\w.-]{{0,64}}|auth|authorization)[\"']?\s{{0,4}}[=:]\s{{0,4}}){_VALUE}", re.IGNORECASE
)
_OPTION = re.compile(rf"--?[\w.-]{{0,64}}(?:{_WORDS})[\w.-]{{0,64}}", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer\s{1,4})\S+", re.IGNORECASE)
_IN_URL = re.compile(r"(://[^/\s:@]*:)[^/\s@]+@")

_SECRET_FIELDS = frozenset(
    field.full_name
    for message in api_pb2.DESCRIPTOR.message_types_by_name.values()
    for field in message.fields
    if field.GetOptions().debug_redact
)
_COMMANDS = frozenset(
    f"runtime.v1.{name}"
    for name in ("ContainerConfig.command", "ContainerConfig.args", "ExecSyncRequest.cmd", "ExecRequest.cmd")
)


def plain(message: Message) -> dict[str, object]:
    """The fields that are set, by their names in the schema; enums are integers, bytes stay bytes."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def text(said: str) -> str:
    """An error or a command line without what looks like a secret, and not longer than is sensible."""
    if len(said) > LIMIT_CHARS:
        said = f"{said[:LIMIT_CHARS]}... and {len(said) - LIMIT_CHARS} characters more"
    for expression, shown in ((_BEARER, rf"\1{REDACTED}"), (_NAMED, rf"\1{REDACTED}"), (_IN_URL, rf"\1{REDACTED}@")):
        said = expression.sub(shown, said)
    return said


def smells(key: str) -> bool:
    """Whether what is filed under `key` may be a secret."""
    return key == LAST_APPLIED or _SMELLS.search(key) is not None


def _value(field: FieldDescriptor, value: Any) -> object:
    secret = field.full_name in _SECRET_FIELDS
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {key: REDACTED if secret or smells(key) else value[key] for key in value}
    if secret:
        return REDACTED
    if field.message_type is not None:
        return [plain(item) for item in value] if field.is_repeated else plain(value)
    if field.full_name in _COMMANDS:
        return list(_arguments(value))
    return list(value) if field.is_repeated else value


def _arguments(words: Iterable[str]) -> Iterator[str]:
    """A command's words; a secret may stand in the word after its option."""
    after_option = False
    for word in words:
        yield REDACTED if after_option else text(word)
        after_option = _OPTION.fullmatch(word) is not None
