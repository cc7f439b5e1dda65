"""HTTP/2 frames as bytes: numbers, builders, padding (RFC 9113 §4, §6).

A frame is nine bytes of header (24 bits of length, type, flags, stream) and a payload.  Nothing here remembers
anything; what a frame means for windows and header tables is `flow` and `hpack`.
"""

from struct import Struct

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, END_HEADERS, PADDED, PRIORITISED, ACK = 0x1, 0x4, 0x8, 0x20, 0x1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
NO_ERROR, PROTOCOL_ERROR, FLOW_CONTROL_ERROR, FRAME_SIZE_ERROR, CANCEL, COMPRESSION_ERROR = 0, 1, 3, 6, 8, 9
SETTINGS_HEADER_TABLE_SIZE, SETTINGS_ENABLE_PUSH, SETTINGS_INITIAL_WINDOW_SIZE, SETTINGS_MAX_FRAME_SIZE = 1, 2, 4, 5
HEADER_SIZE = 9
CHUNK = 16384  # every peer takes frames of this size, whatever its settings say
DEFAULT_WINDOW = 65535
MAX_WINDOW = 0x7FFFFFFF
LAST_STREAM = 0x7FFFFFFF  # in a GOAWAY: nothing is turned away, but begin nothing new

HEADER = Struct(">BHBBL")
U32 = Struct(">L")
SETTING = Struct(">HL")


class ProtocolError(Exception):
    """A peer broke HTTP/2's rules: fatal to the connection; `code` goes into the GOAWAY."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.code = code


def frame(kind: int, flags: int, stream: int, payload: bytes | bytearray = b"") -> bytes:
    """One frame."""
    size = len(payload)
    return HEADER.pack(size >> 16, size & 0xFFFF, kind, flags, stream) + payload


def window_update(stream: int, size: int) -> bytes:
    """Grant `size` bytes; 0 would be a protocol error, so never ask for that."""
    return frame(WINDOW_UPDATE, 0, stream, U32.pack(size))


def reset(stream: int, code: int) -> bytes:
    """End a stream abruptly."""
    return frame(RST_STREAM, 0, stream, U32.pack(code))


def goaway(last: int, code: int) -> bytes:
    """End a connection, or with `LAST_STREAM` and `NO_ERROR` announce that it will end."""
    return frame(GOAWAY, 0, 0, U32.pack(last) + U32.pack(code))


def header_frames(stream: int, block: bytes, *, end_stream: bool) -> bytes:
    """A header block as HEADERS and, beyond `CHUNK` bytes, CONTINUATIONs."""
    flags = END_STREAM if end_stream else 0
    size = len(block)
    if size <= CHUNK:
        return HEADER.pack(0, size, HEADERS, END_HEADERS | flags, stream) + block
    parts = [frame(HEADERS, flags, stream, block[:CHUNK])]
    for at in range(CHUNK, size, CHUNK):
        last = at + CHUNK >= size
        parts.append(frame(CONTINUATION, END_HEADERS if last else 0, stream, block[at : at + CHUNK]))
    return b"".join(parts)


def body_of(data: bytes, start: int, stop: int, flags: int) -> tuple[int, int]:
    """Where the payload between `start` and `stop` is without its padding."""
    if not flags & PADDED:
        return start, stop
    if start == stop or data[start] > stop - start - 1:
        raise ProtocolError(PROTOCOL_ERROR, "padding longer than its frame")
    return start + 1, stop - data[start]


def fragment_of(data: bytes, start: int, stop: int, flags: int) -> tuple[int, int]:
    """Where the header block fragment of a HEADERS frame is: without padding and priority."""
    if not flags & (PADDED | PRIORITISED):
        return start, stop
    first, last = body_of(data, start, stop, flags)
    if flags & PRIORITISED:
        first += 5
    if first > last:
        raise ProtocolError(FRAME_SIZE_ERROR, "HEADERS shorter than its priority")
    return first, last


def settings_of(data: bytes, start: int, stop: int) -> list[tuple[int, int]]:
    """Identifier and value of each setting."""
    if (stop - start) % SETTING.size:
        raise ProtocolError(FRAME_SIZE_ERROR, "SETTINGS of a broken size")
    return [SETTING.unpack_from(data, at) for at in range(start, stop, SETTING.size)]


def growth_of(data: bytes, start: int, stop: int) -> int:
    """By how much a WINDOW_UPDATE grows its window."""
    if stop - start != U32.size:
        raise ProtocolError(FRAME_SIZE_ERROR, "WINDOW_UPDATE of a broken size")
    growth: int = U32.unpack_from(data, start)[0] & MAX_WINDOW
    if not growth:
        raise ProtocolError(PROTOCOL_ERROR, "WINDOW_UPDATE by 0")
    return growth
