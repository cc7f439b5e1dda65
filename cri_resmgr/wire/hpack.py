"""HPACK (RFC 7541): a full decoder, and an encoder that never touches a dynamic table.

The encoder writes static indices and never-indexed literals without Huffman: any decoder reads that, and none has
to remember it.  This is what lets the relay hold, change, drop or make up a reply without putting the client's
table out of step.  (§7.1.3 wants never-indexed literals kept so; using them for everything satisfies that.)
"""

from cri_resmgr.wire.huffman import Huffman, HuffmanError
from cri_resmgr.wire.static_table import NAMES, STATIC

Field = tuple[bytes, bytes]

DEFAULT_CAPACITY = 4096
MAX_CAPACITY = 1 << 16  # of a peer's announcement, that is what we let a table grow to
LIST_LIMIT_BYTES = 1 << 20
ENTRY_OVERHEAD = 32
MORE = 0x80  # the bit that says an integer goes on
MAX_CACHED_BLOCKS = 64
MAX_CACHED_SIZE = 1024


class HeaderError(Exception):
    """A header block that cannot be decoded: fatal to its connection, since the tables are out of step."""


class Decoder:
    """The receiving end of one direction of one connection.

    Blocks are remembered only while the dynamic table stays as it is, and only those that leave it so: replies of a
    Go server then hit almost always, requests of a kubelet (each with a new `grpc-timeout`) never.
    `changes` counts table changes, for callers with caches of their own.
    """

    def __init__(self, huffman: Huffman | None = None) -> None:
        self.entries: list[Field] = []  # newest last
        self.size = 0
        self.capacity = self.allowed = DEFAULT_CAPACITY
        self.changes = 0
        self._huffman = huffman or Huffman()
        self._seen: dict[bytes, list[Field]] = {}

    def allow(self, capacity: int) -> None:
        """The peer that decodes has announced a table of this size; the encoder may now use it."""
        self.allowed = max(self.allowed, min(capacity, MAX_CAPACITY))

    def decode(self, block: bytes) -> list[Field]:
        """The fields of a block; the list is shared, so do not change it.  Raises `HeaderError`."""
        fields = self._seen.get(block)
        if fields is not None:
            return fields
        before = self.changes
        try:
            fields = self._decode(block)
        except IndexError:
            raise HeaderError("header block cut short") from None
        except HuffmanError as error:
            raise HeaderError(str(error)) from error
        if self.changes != before:
            self._seen.clear()
        elif len(self._seen) < MAX_CACHED_BLOCKS and len(block) < MAX_CACHED_SIZE:
            self._seen[block] = fields
        return fields

    def _decode(self, block: bytes) -> list[Field]:
        fields: list[Field] = []
        at, total = 0, 0
        while at < len(block):
            byte = block[at]
            if byte & 0x80:
                index, at = _integer(block, at, 0x7F)
                field = self._entry(index)
            elif byte & 0x40:
                field, at = self._literal(block, at, 0x3F)
                self._insert(field)
            elif byte & 0x20:
                at = self._resize(block, at, first=not fields)
                continue
            else:
                field, at = self._literal(block, at, 0x0F)
            fields.append(field)
            total += len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
            if total > LIST_LIMIT_BYTES:
                raise HeaderError("header list too large")
        return fields

    def _entry(self, index: int) -> Field:
        if 0 < index < len(STATIC):
            return STATIC[index]
        place = index - len(STATIC) + 1
        if not 0 < place <= len(self.entries):
            raise HeaderError("index outside the tables")
        return self.entries[-place]

    def _literal(self, block: bytes, at: int, mask: int) -> tuple[Field, int]:
        index, at = _integer(block, at, mask)
        if index:
            name = self._entry(index)[0]
        else:
            name, at = self._string(block, at)
        value, at = self._string(block, at)
        return (name, value), at

    def _string(self, block: bytes, at: int) -> tuple[bytes, int]:
        coded = block[at] & 0x80
        size, at = _integer(block, at, 0x7F)
        stop = at + size
        if stop > len(block):
            raise HeaderError("string runs past its block")
        text = block[at:stop]
        return (self._huffman.decode(text) if coded else text), stop

    def _resize(self, block: bytes, at: int, *, first: bool) -> int:
        size, at = _integer(block, at, 0x1F)
        if not first or size > self.allowed:
            raise HeaderError("dynamic table size update out of place")
        self.capacity = size
        self._make_room(0)
        return at

    def _insert(self, field: Field) -> None:
        size = len(field[0]) + len(field[1]) + ENTRY_OVERHEAD
        self._make_room(size)
        if size <= self.capacity:
            self.entries.append(field)
            self.size += size

    def _make_room(self, size: int) -> None:
        self.changes += 1
        entries, gone = self.entries, 0
        while self.size + size > self.capacity and gone < len(entries):
            name, value = entries[gone]
            self.size -= len(name) + len(value) + ENTRY_OVERHEAD
            gone += 1
        if gone:
            del entries[:gone]


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """The integer with a prefix of `mask`'s bits at `at`, and where it ends (§5.1)."""
    value = block[at] & mask
    at += 1
    if value < mask:
        return value, at
    for shift in range(0, 35, 7):
        byte = block[at]
        at += 1
        value += (byte & 0x7F) << shift
        if byte < MORE:
            return value, at
    raise HeaderError("integer too large")


def _prefixed(value: int, mask: int, high: int) -> bytes:
    if value < mask:
        return bytes((high | value,))
    out, rest = bytearray((high | mask,)), value - mask
    while rest >= MORE:
        out.append(rest & 0x7F | MORE)
        rest >>= 7
    out.append(rest)
    return bytes(out)


NO_TABLE = b"\x20"  # a size update to 0: opens the first block, so that no later setting needs a reaction
_INDEXED = {field: bytes((0x80 | index,)) for index, field in enumerate(STATIC) if index}


def encode(fields: list[Field]) -> bytes:
    """A block that neither uses nor fills a dynamic table."""
    out = bytearray()
    for field in fields:
        whole = _INDEXED.get(field)
        if whole:
            out += whole
            continue
        name, value = field
        index = NAMES.get(name, 0)
        out += _prefixed(index, 0x0F, 0x10)
        if not index:
            out += _prefixed(len(name), 0x7F, 0) + name
        out += _prefixed(len(value), 0x7F, 0) + value
    return bytes(out)
