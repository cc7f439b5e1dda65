"""gRPC's conventions: messages, statuses, refusals, deadlines."""

import base64
from urllib.parse import unquote

import pytest

from cri_resmgr.wire.grpc import MessageError, message_in, prefixed, refusal, status_in, timeout_s


@pytest.mark.parametrize("message", [b"", b"x", b"\0" * 70_000])
def test_a_message_survives_its_prefix(message):
    assert message_in(prefixed(message)) == message
    assert message_in(bytearray(prefixed(message))) == message


@pytest.mark.parametrize(
    ("body", "code"),
    [(b"", 13), (b"\0\0\0\0", 13), (b"\0\0\0\0\1", 13), (b"\0\0\0\0\0x", 13), (b"\1\0\0\0\1x", 12), (b"\1", 13)],
)
def test_a_body_that_is_not_one_plain_message_has_a_status(body, code):
    with pytest.raises(MessageError) as caught:
        message_in(body)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("trailers", "status"),
    [
        ([(b"grpc-status", b"0")], (0, "")),
        ([(b"grpc-status", b"5"), (b"grpc-message", b"no%20%E2%82%AC")], (5, "no \u20ac")),
        ([(b"grpc-status", b"5"), (b"grpc-message", b"100%, \xff %zz")], (5, "100%, \xff %zz")),
        ([], (2, "")),
        ([(b"grpc-status", b"what"), (b"grpc-message", b"m")], (2, "m")),
        ([(b"grpc-status", b"9" * 5000)], (2, "")),
    ],
)
def test_a_status_is_read_leniently(trailers, status):
    assert status_in(trailers) == status


@pytest.mark.parametrize("text", ["", "plain", "100%", "a\tb\nc\x7f", "\u20ac \U0001f600", " leading and trailing "])
def test_a_refusals_text_is_printable_and_comes_back(text):
    fields = dict(refusal(9, text))
    assert all(0x20 <= byte <= 0x7E for byte in fields[b"grpc-message"])
    assert unquote(fields[b"grpc-message"].decode()) == text
    assert status_in(fields.items()) == (9, text)


@pytest.mark.parametrize("details", [b"\x08", b"\x08\x09", b"\x08\x09\xff", bytes(range(256))])
def test_a_refusals_details_are_base64_without_padding(details):
    coded = dict(refusal(9, "", details))[b"grpc-status-details-bin"]
    assert not coded.endswith(b"=")
    assert base64.b64decode(coded + b"=" * (-len(coded) % 4)) == details


def test_a_refusal_without_details_has_no_field_for_them():
    assert b"grpc-status-details-bin" not in dict(refusal(9, "text"))


def test_the_first_deadline_counts():
    assert timeout_s([(b"x", b"1S"), (b"grpc-timeout", b"2S"), (b"grpc-timeout", b"3S")]) == 2.0
    assert timeout_s([(b"x", b"1S")]) is None
