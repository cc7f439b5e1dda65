"""Frames and header blocks by hand, and a strict reader of what a link puts out."""

from dataclasses import dataclass, field

import hpack

from cri_resmgr.wire import frames
from cri_resmgr.wire.frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADER,
    HEADER_SIZE,
    HEADERS,
    PREFACE,
    SETTING,
    SETTINGS,
    frame,
    header_frames,
)
from cri_resmgr.wire.grpc import prefixed
from cri_resmgr.wire.hpack import Field, encode
from relay.conversation import request_fields

GREETING = PREFACE + frame(SETTINGS, 0, 0)
ANSWERED = frame(SETTINGS, ACK, 0)


def settings(*pairs: tuple[int, int]) -> bytes:
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*pair) for pair in pairs))


def opening(stream: int, path: bytes, extra: list[Field] = [], *, end: bool = False) -> bytes:  # noqa: B006
    """A request's headers, written so that no table remembers them."""
    return header_frames(stream, encode(request_fields(path, extra)), end_stream=end)


def request(stream: int, path: bytes, message: bytes = b"") -> bytes:
    """A whole small call."""
    return opening(stream, path) + frame(DATA, END_STREAM, stream, prefixed(message))


def reply(stream: int, message: bytes = b"") -> bytes:
    """A whole small answer."""
    head = encode([(b":status", b"200"), (b"content-type", b"application/grpc")])
    return (
        header_frames(stream, head, end_stream=False)
        + frame(DATA, 0, stream, prefixed(message))
        + header_frames(stream, encode([(b"grpc-status", b"0")]), end_stream=True)
    )


@dataclass
class Got:
    """What a reader has seen of one stream."""

    blocks: list[list[Field]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: bool = False


class Reader:
    """Reads what a link puts out towards one peer, as strictly as that peer would; headers with the hpack package."""

    def __init__(self, *, from_client: bool, max_table: int = 4096, strict: bool = True) -> None:
        self.decoder = hpack.Decoder(max_header_list_size=1 << 21)
        self.decoder.max_allowed_table_size = max_table
        self.streams: dict[int, Got] = {}
        self._strict = strict  # else: overlooks what was wrong with frames before they were relayed
        self._buffer = b"" if from_client else PREFACE  # the preface is to be skipped either way
        self._greeted = False
        self._block: tuple[int, int, bytearray] | None = None

    def read(self, out: list[bytes]) -> list[tuple[int, int, int, bytes]]:
        """Take and clear `out`; the frames in it, which must all be whole."""
        data = self._buffer + b"".join(out)
        out.clear()
        if not self._greeted:
            if not data:
                return []
            assert data.startswith(PREFACE), "nothing comes before the preface"
            data, self._greeted = data[len(PREFACE) :], True
        self._buffer = b""
        found, at = [], 0
        while at < len(data):
            high, low, kind, flags, stream = HEADER.unpack_from(data, at)
            stop = at + HEADER_SIZE + (high << 16 | low)
            assert stop <= len(data), "a link writes whole frames"
            found.append((kind, flags, stream, data[at + HEADER_SIZE : stop]))
            self._note(*found[-1])
            at = stop
        return found

    def _note(self, kind: int, flags: int, stream: int, payload: bytes) -> None:
        assert (self._block is None) != (kind == CONTINUATION), "a header block is not interrupted"
        got = self.streams.setdefault(stream & 0x7FFFFFFF, Got())
        if kind == HEADERS:
            first, last = frames.fragment_of(payload, 0, len(payload), flags)
            self._block = stream, flags, bytearray(payload[first:last])
        elif kind == CONTINUATION:
            assert self._block
            assert self._block[0] == stream
            self._block[2].extend(payload)
        elif kind == DATA:
            first, last = frames.body_of(payload, 0, len(payload), flags if self._strict else 0)
            got.data += payload[first:last]
            got.ended = got.ended or bool(flags & END_STREAM)
        elif kind == frames.RST_STREAM:
            got.reset = True
        if kind in (HEADERS, CONTINUATION) and flags & END_HEADERS and self._block:
            first_flags, block = self._block[1], bytes(self._block[2])
            self._block = None
            got.blocks.append([tuple(field) for field in self.decoder.decode(block, raw=True)])
            got.ended = got.ended or bool(first_flags & END_STREAM)
