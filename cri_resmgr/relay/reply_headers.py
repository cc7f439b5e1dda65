"""The runtime's header blocks: decoded, and written anew without a dynamic table."""

from typing import NamedTuple

from cri_resmgr.wire.hpack import MAX_CACHED_BLOCKS, MAX_CACHED_SIZE, NO_TABLE, Decoder, Field, encode


class Rewritten(NamedTuple):
    """A block's fields, the same for the client, and whether they end a call well, with a status of 0."""

    fields: list[Field]
    block: bytes
    ok: bool


def made(fields: list[Field]) -> Rewritten:
    """A block of our own."""
    return Rewritten(fields, encode(fields), dict(fields).get(b"grpc-status") == b"0")


class ReplyHeaders:
    """Rewrites the blocks of one connection.

    The results are remembered as long as the runtime's table stays as it is: replies of a Go server are blocks of a
    few bytes that repeat, and hit almost always.
    """

    def __init__(self, decoder: Decoder) -> None:
        self.decoder = decoder
        self.known: dict[bytes, Rewritten] = {}
        self.opening = NO_TABLE  # goes before the very first block, which empties the client's table for good

    def rewritten(self, block: bytes) -> Rewritten:
        """Decode and write anew; raises `HeaderError`."""
        known = self.known.get(block)
        if known is not None:
            return known
        before = self.decoder.changes
        fields = self.decoder.decode(block)
        fresh = made(fields)
        if self.decoder.changes != before:
            self.known.clear()
        elif len(self.known) < MAX_CACHED_BLOCKS and len(block) < MAX_CACHED_SIZE:
            self.known[block] = fresh
        return fresh
