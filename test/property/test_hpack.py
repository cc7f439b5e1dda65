"""Our header tables against the hpack package: whatever one writes the other reads, and both keep the same table."""

import hpack
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.wire.hpack import Decoder, HeaderError, encode
from cri_resmgr.wire.huffman import Huffman, HuffmanError
from cri_resmgr.wire.static_table import STATIC
from relay.effort import examples

# Few names and values, so that tables are hit, and long ones, so that they overflow.
NAMES = st.sampled_from([name for name, _ in STATIC[1:]]) | st.binary(min_size=1, max_size=6) | st.just(b"x-long" * 40)
VALUES = st.sampled_from([b"", b"/", b"GET", b"200", b"1S"]) | st.binary(max_size=12) | st.binary(max_size=300)
FIELDS = st.lists(st.tuples(NAMES, VALUES), max_size=9)
SIZES = st.none() | st.sampled_from([0, 31, 34, 100, 1000, 4096])
BLOCKS = st.lists(st.tuples(FIELDS, st.booleans(), SIZES), max_size=30)


def entries(decoder: Decoder) -> list[tuple[bytes, bytes]]:
    return list(reversed(decoder.entries))


@examples(150)
@given(BLOCKS)
def test_what_the_oracle_writes_is_read_and_both_tables_stay_the_same(blocks):
    encoder, decoder = hpack.Encoder(), Decoder()
    for fields, huffman, size in blocks:
        if size is not None:
            encoder.header_table_size = size
        block = encoder.encode(fields, huffman=huffman)

        assert decoder.decode(block) == fields
        assert entries(decoder) == [tuple(field) for field in encoder.header_table.dynamic_entries]
        assert decoder.size == sum(len(name) + len(value) + 32 for name, value in decoder.entries)
        assert decoder.capacity == encoder.header_table_size


@examples(150)
@given(st.lists(FIELDS, max_size=10))
def test_what_we_write_is_read_by_the_oracle_which_need_not_remember_it(lists):
    oracle = hpack.Decoder(max_header_list_size=1 << 22)
    oracle.max_allowed_table_size = 0
    oracle.header_table_size = 0
    for fields in lists:
        assert [tuple(field) for field in oracle.decode(encode(fields), raw=True)] == fields
        assert Decoder().decode(encode(fields)) == fields
    assert not oracle.header_table.dynamic_entries


# Bytes that are more often than not the beginning of something.
OPENINGS = st.sampled_from(
    [b"\x82", b"\x40", b"\x00", b"\x10", b"\x20", b"\x3f", b"\xff", b"\xbe", b"\x41\x8c", b"\x7f"]
)
GARBAGE = st.lists(st.binary(max_size=20) | OPENINGS, max_size=12).map(b"".join)


@examples(600)
@given(st.lists(GARBAGE, max_size=8))
def test_garbage_is_read_like_the_oracle_reads_it_or_refused(blocks):
    decoder, oracle = Decoder(), hpack.Decoder(max_header_list_size=1 << 20)
    for block in blocks:
        try:
            fields = decoder.decode(block)
        except HeaderError:
            break
        assert [tuple(field) for field in oracle.decode(block, raw=True)] == fields
        assert entries(decoder) == [tuple(field) for field in oracle.header_table.dynamic_entries]
        assert 0 <= decoder.size <= decoder.capacity <= decoder.allowed


@examples(300)
@given(st.binary(max_size=200))
def test_huffman_strings_survive(text):
    coded = hpack.Encoder().huffman_coder.encode(text)
    assert Huffman().decode(coded) == text


@examples(300)
@given(st.binary(max_size=40))
def test_a_huffman_string_has_one_writing(data):
    try:
        text = Huffman().decode(data)
    except HuffmanError:
        return
    assert hpack.Encoder().huffman_coder.encode(text) == data
