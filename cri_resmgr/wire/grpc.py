"""gRPC's few conventions on top of HTTP/2: length-prefixed messages, status trailers, deadlines.

Source: the protocol document "gRPC over HTTP2".  Statuses are plain integers; messages are bytes.
"""

import base64
from collections.abc import Iterable
from struct import Struct
from urllib.parse import quote, unquote

from cri_resmgr.wire.hpack import Field

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND = 0, 1, 2, 3, 4, 5
RESOURCE_EXHAUSTED, FAILED_PRECONDITION, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 8, 9, 12, 13, 14

MAX_TIMEOUT_SIZE = 9  # eight digits and a unit, says the protocol
PREFIX = Struct(">BL")  # compressed or not, length
PREFIX_SIZE = PREFIX.size
REPLY_HEAD: list[Field] = [(b":status", b"200"), (b"content-type", b"application/grpc")]
OK_TRAILERS: list[Field] = [(b"grpc-status", b"0"), (b"grpc-message", b"")]

_UNITS_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_UNQUOTED = " !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~"  # printable ASCII without the percent sign


class MessageError(Exception):
    """A body that is not exactly one uncompressed message; `code` is the status to answer with."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def prefixed(message: bytes) -> bytes:
    """A message as it goes into DATA frames."""
    return PREFIX.pack(0, len(message)) + message


def message_in(body: bytes | bytearray) -> bytes:
    """The one message of a unary call's body; raises `MessageError`."""
    compressed, size = PREFIX.unpack_from(body) if len(body) >= PREFIX_SIZE else (0, None)
    if size is None or size != len(body) - PREFIX_SIZE:
        raise MessageError(INTERNAL, "the body is not one gRPC message")
    if compressed:
        raise MessageError(UNIMPLEMENTED, "compressed messages are not supported")
    return bytes(memoryview(body)[PREFIX_SIZE:])


def status_in(trailers: Iterable[Field]) -> tuple[int, str]:
    """Code and message of an answer; without a status it is UNKNOWN, as gRPC clients see it."""
    fields = dict(trailers)
    try:
        code = int(fields.get(b"grpc-status", b"2"))
    except ValueError:
        code = UNKNOWN
    return code, unquote(fields.get(b"grpc-message", b"").decode("latin-1"))


def refusal(code: int, message: str, details: bytes = b"") -> list[Field]:
    """An answer of status only; `details` is a serialised google.rpc.Status."""
    fields = [
        *REPLY_HEAD,
        (b"grpc-status", str(code).encode()),
        (b"grpc-message", quote(message, safe=_UNQUOTED, errors="replace").encode()),
    ]
    if details:
        fields.append((b"grpc-status-details-bin", base64.b64encode(details).rstrip(b"=")))
    return fields


def timeout_s(fields: Iterable[Field]) -> float | None:
    """The client's deadline, in seconds from now; None without one or with one that nobody can read."""
    for name, value in fields:
        if name == b"grpc-timeout":
            unit = _UNITS_S.get(value[-1:])
            legal = unit and len(value) <= MAX_TIMEOUT_SIZE and value[:-1].isdigit()
            return int(value[:-1]) * unit if unit and legal else None
    return None
