"""The runtime's header blocks, written anew for the client."""

import hpack

from cri_resmgr.relay.reply_headers import ReplyHeaders
from cri_resmgr.wire.hpack import MAX_CACHED_BLOCKS, Decoder

HEAD = [(b":status", b"200"), (b"content-type", b"application/grpc")]


def test_repeated_blocks_are_rewritten_once():
    encoder, headers = hpack.Encoder(), ReplyHeaders(Decoder())
    headers.rewritten(encoder.encode(HEAD))
    block = encoder.encode(HEAD)
    assert headers.rewritten(block) is headers.rewritten(block)
    assert headers.rewritten(block).fields == HEAD


def test_the_same_bytes_mean_something_else_once_the_table_has_changed():
    """What a cache that outlives a table change would get wrong."""
    headers = ReplyHeaders(Decoder())
    headers.rewritten(b"\x40\1a\1b")
    assert headers.rewritten(b"\xbe").fields == [(b"a", b"b")]
    headers.rewritten(b"\x40\1c\1d")
    assert headers.rewritten(b"\xbe").fields == [(b"c", b"d")]
    assert hpack.Decoder().decode(headers.rewritten(b"\xbe").block, raw=True) == [(b"c", b"d")]


def test_what_is_remembered_is_bounded():
    headers = ReplyHeaders(Decoder())
    for number in range(1000):
        text = b"%04d" % number
        headers.rewritten(b"\x00\1a\4" + text)
    assert len(headers.known) <= MAX_CACHED_BLOCKS


def test_only_a_status_of_0_ends_a_call_well():
    encoder, headers = hpack.Encoder(), ReplyHeaders(Decoder())
    for fields, ok in ((HEAD, False), ([(b"grpc-status", b"0")], True), ([(b"grpc-status", b"5")], False)):
        assert headers.rewritten(encoder.encode(fields)).ok is ok
