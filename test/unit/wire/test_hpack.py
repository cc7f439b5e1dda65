"""Header blocks: vectors of RFC 7541 and what a peer may not send.  Random ones are in test/property/test_hpack.py."""

import hpack
import pytest
from hpack.table import HeaderTable

from cri_resmgr.wire import hpack as ours
from cri_resmgr.wire.hpack import Decoder, HeaderError, encode
from cri_resmgr.wire.huffman import Huffman
from cri_resmgr.wire.static_table import NAMES, STATIC

# RFC 7541 C.4: three requests on one connection, with Huffman.
REQUESTS = [
    ("828684418cf1e3c2e5f23a6ba0ab90f4ff", [(b":authority", b"www.example.com")], 57),
    ("828684be5886a8eb10649cbf", [(b":authority", b"www.example.com"), (b"cache-control", b"no-cache")], 110),
    ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", [(b"custom-key", b"custom-value")], 164),
]


def test_the_requests_of_the_rfc_are_read_and_leave_its_table():
    decoder = Decoder()
    for block, fields, size in REQUESTS:
        decoded = decoder.decode(bytes.fromhex(block))
        assert set(fields) <= set(decoded)
        assert decoder.size == size
    assert decoder.entries == [
        (b":authority", b"www.example.com"),
        (b"cache-control", b"no-cache"),
        (b"custom-key", b"custom-value"),
    ]


def test_the_evicting_responses_of_the_rfc_are_read():
    """RFC 7541 C.5: a table of 256 bytes."""
    decoder = Decoder()
    decoder.decode(bytes.fromhex("3fe101"))
    first = "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d546e17"
    first += "68747470733a2f2f7777772e6578616d706c652e636f6d"
    decoder.decode(bytes.fromhex(first))
    assert decoder.size == 222
    decoder.decode(bytes.fromhex("4803333037c1c0bf"))
    assert decoder.size == 222
    assert decoder.entries[0] == (b"cache-control", b"private")
    assert decoder.entries[-1] == (b":status", b"307")


def test_the_static_table_is_that_of_the_oracle():
    table = HeaderTable.STATIC_TABLE
    assert tuple(STATIC[1:]) == tuple((bytes(name), bytes(value)) for name, value in table)
    assert all(STATIC[index][0] == name for name, index in NAMES.items())


@pytest.mark.parametrize(
    ("block", "why"),
    [
        ("80", "index 0"),
        ("be", "index beyond the tables"),
        ("ffffffffff7f", "integer too large"),
        ("ffffffffffffffff01", "integer of too many bytes"),
        ("40", "cut short"),
        ("4003", "string past the end"),
        ("400161", "no value"),
        ("4001610361", "value past the end"),
        ("4081ff0161", "Huffman string of padding only"),
        ("4081000161", "Huffman padding of zeros"),
        ("4084ffffffff0161", "end of string inside"),
        ("823f01", "size update behind a field"),
        ("3fe25f", "size update beyond the limit"),
        ("3f", "size update cut short"),
        ("ff", "index cut short"),
        ("0f", "name index cut short"),
        ("0f7001", "name index beyond the tables"),
    ],
)
def test_a_broken_block_is_an_error(block, why):
    with pytest.raises(HeaderError):
        Decoder().decode(bytes.fromhex(block))


def test_a_size_update_empties_the_table_and_an_announcement_lets_it_grow():
    decoder = Decoder()
    decoder.decode(b"\x40\1a\1b")
    assert decoder.size == 34
    decoder.decode(b"\x20")
    assert (decoder.entries, decoder.size) == ([], 0)
    decoder.decode(b"\x40\1a\1b")
    assert decoder.entries == []
    with pytest.raises(HeaderError):
        Decoder().decode(b"\x3f\xe1\x3f")  # 8192
    decoder.allow(8192)
    decoder.decode(b"\x3f\xe1\x3f")
    assert decoder.capacity == 8192


def test_no_announcement_makes_the_table_unbounded():
    decoder = Decoder()
    decoder.allow(1 << 31)
    assert decoder.allowed == ours.MAX_CAPACITY


def test_an_entry_larger_than_the_table_empties_it_and_is_still_read():
    decoder = Decoder()
    decoder.decode(b"\x40\1a\1b")
    value = b"v" * 5000
    assert decoder.decode(b"\x40\1c\x7f\x89\x26" + value) == [(b"c", value)]
    assert (decoder.entries, decoder.size) == ([], 0)


def test_a_list_larger_than_its_limit_is_an_error():
    decoder = Decoder()
    decoder.decode(b"\x40\1a\x7f\xd1\x0e" + b"v" * 2000)
    with pytest.raises(HeaderError, match="too large"):
        decoder.decode(b"\xbe" * 600)


def test_a_remembered_block_is_read_anew_once_the_table_has_changed():
    decoder = Decoder()
    decoder.decode(b"\x40\1a\1b")
    assert decoder.decode(b"\xbe") == [(b"a", b"b")]
    assert decoder.decode(b"\xbe") is decoder.decode(b"\xbe")
    decoder.decode(b"\x40\1c\1d")
    assert decoder.decode(b"\xbe") == [(b"c", b"d")]
    assert decoder.decode(b"\xbf") == [(b"a", b"b")]
    decoder.decode(b"\x20")
    with pytest.raises(HeaderError):
        decoder.decode(b"\xbe")


def test_a_block_that_changes_the_table_is_not_remembered():
    decoder = Decoder()
    for count in range(1, 4):
        decoder.decode(b"\x40\1a\1b")
        assert len(decoder.entries) == count


def test_what_a_decoder_remembers_is_bounded():
    decoder = Decoder()
    for number in range(1000):
        decoder.decode(encode([(b"x", b"%d" % number)]))
        decoder.decode(encode([(b"x", b"%d" % number * 1000)]))
    assert len(decoder._seen) <= ours.MAX_CACHED_BLOCKS
    assert all(len(block) < ours.MAX_CACHED_SIZE for block in decoder._seen)


def test_our_blocks_use_no_table_and_ask_intermediaries_not_to_either():
    assert encode([(b":status", b"200"), (b"content-type", b"application/grpc"), (b"x", b"y")]) == (
        b"\x88" + b"\x1f\x10\x10application/grpc" + b"\x10\1x\1y"
    )
    oracle = hpack.Decoder()
    decoded = oracle.decode(encode([(b"x", b"y")]), raw=True)
    assert not decoded[0].indexable
    assert not oracle.header_table.dynamic_entries


def test_a_huffman_decoder_remembers_a_bounded_amount():
    huffman, encoder = Huffman(), hpack.Encoder()
    for number in range(2000):
        text = b"text %d" % number
        assert huffman.decode(encoder.huffman_coder.encode(text)) == text
    assert len(huffman._texts) <= 501
    assert len(huffman._steps) <= 20_000


def test_every_byte_survives_huffman():
    huffman, coder = Huffman(), hpack.Encoder().huffman_coder
    for text in (bytes(range(256)), bytes(reversed(range(256))), b"", *(bytes((byte,)) * 9 for byte in range(256))):
        assert huffman.decode(coder.encode(text)) == text
