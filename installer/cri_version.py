"""One CRI call, Version, with the standard library: does somebody speak CRI behind a socket, and who?

HTTP/2 (RFC 9113) with one stream and header blocks without a dynamic table (RFC 7541); what the server says in
headers is not read: a message on our stream is the answer, anything else is not.
"""

import socket
import struct
import time
from dataclasses import dataclass
from pathlib import Path

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _END_HEADERS, _ACK = 1, 4, 1
_PATH = b"/runtime.v1.RuntimeService/Version"
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_LIMIT_BYTES = 1 << 16
_PREFIX = 5  # gRPC: a flag and the length stand before each message


@dataclass(frozen=True, slots=True)
class Runtime:
    """Who answers."""

    name: str
    version: str


def ask(path: Path, *, deadline_s: float) -> Runtime:
    """The runtime behind a socket; OSError when nobody answers in time, ValueError when it is no CRI runtime."""
    end_s = time.monotonic() + deadline_s
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(deadline_s)
        connection.connect(str(path))
        connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0) + _request())
        return _parse(_reply(connection, end_s))


def _request() -> bytes:
    # 3 and 6 are POST and http in the static table; 4, 1 and 31 the names :path, :authority and content-type.
    block = b"".join((
        b"\x83\x86\x04", _text(_PATH), b"\x01", _text(b"localhost"),
        b"\x0f\x10", _text(b"application/grpc"), b"\x00", _text(b"te"), _text(b"trailers"),
    ))  # fmt: skip
    return _frame(_HEADERS, _END_HEADERS, 1, block) + _frame(_DATA, _END_STREAM, 1, bytes(_PREFIX))


def _reply(connection: socket.socket, end_s: float) -> bytes:
    """The message on our stream."""
    message = b""
    while True:
        connection.settimeout(max(0.001, end_s - time.monotonic()))
        length, kind, flags, stream = _head(_exactly(connection, 9))
        payload = _exactly(connection, length)
        if kind in {_SETTINGS, _PING} and not flags & _ACK:
            connection.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind == _DATA and stream == 1:
            message += payload
            if len(message) >= _PREFIX and len(message) - _PREFIX >= int.from_bytes(message[1:_PREFIX], "big"):
                return message[_PREFIX:]
        elif kind == _GOAWAY or (stream == 1 and (kind == _RST_STREAM or flags & _END_STREAM)):
            raise ValueError("it does not answer CRI's Version call; is its CRI plugin enabled?")


def _exactly(connection: socket.socket, count: int) -> bytes:
    if count > _LIMIT_BYTES:
        raise ValueError("it does not speak HTTP/2")
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise ConnectionError("it closed the connection")
        got += more
    return got


def _parse(message: bytes) -> Runtime:
    """VersionResponse: strings only, runtime_name is the second field and runtime_version the third."""
    fields, at = {}, 0
    while at + 2 <= len(message):
        tag, length = message[at], message[at + 1]
        fields[tag >> 3] = message[at + 2 : at + 2 + length].decode(errors="replace")
        at += 2 + length
    if not fields.get(2):
        raise ValueError("it does not say its name")
    return Runtime(fields[2], fields.get(3, ""))


def _frame(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _head(head: bytes) -> tuple[int, int, int, int]:
    kind, flags, stream = struct.unpack(">BBI", head[3:])
    return int.from_bytes(head[:3], "big"), kind, flags, stream & 0x7FFFFFFF


def _text(text: bytes) -> bytes:
    return bytes((len(text),)) + text
