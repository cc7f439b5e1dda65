import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.config import protocol, protocol_pb2
from cri_resmgr.config.protocol import Adjustments, Pushed, Unreadable, Verdict

UNKNOWN_FIELD = b"\xfa\x3e\x05newer"  # field 1007, of a version to come
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=40)


@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_configuration_comes_over_whole(node, source, version, settings):
    pushed = Pushed(node, source, version, settings)
    assert protocol.read_config(protocol.write_config(pushed)) == pushed


@given(TEXTS, TEXTS)
def test_so_does_the_verdict(error, digest):
    assert protocol.read_verdict(protocol.write_verdict(Verdict(error, digest))) == Verdict(error, digest)


@given(TEXTS, st.integers(0, 2**64 - 1))
def test_so_does_everything_else(text, since):
    assert protocol.read_status_question(protocol.write_status_question(since)) == since
    assert protocol.read_status(protocol.write_status(text)) == text
    assert protocol.read_metrics(protocol.write_metrics(text)) == text


@given(TEXTS, TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=3))
def test_so_do_adjustments(node, digest, texts):
    pushed = Adjustments(node, digest, texts)
    assert protocol.read_adjustments(protocol.write_adjustments(pushed)) == pushed


@given(st.dictionaries(TEXTS, st.dictionaries(TEXTS, TEXTS, max_size=2), max_size=2))
def test_so_do_their_errors(errors):
    assert protocol.read_errors(protocol.write_errors(errors)) == errors


@pytest.mark.parametrize("text", ["[]", '{"a": []}', "{", "[" * 100_000])
def test_errors_that_are_none_are_unreadable(text):
    data = protocol_pb2.SetAdjustmentsReply(errors=text).SerializeToString()
    with pytest.raises(Unreadable, match="no errors of adjustments"):
        protocol.read_errors(data)


def test_an_error_with_half_characters_of_a_file_name_is_still_told():
    assert protocol.read_verdict(protocol.write_verdict(Verdict("/etc/\udcff.cfg", ""))).error == "/etc/?.cfg"


@pytest.mark.parametrize(
    ("read", "data", "value"),
    [
        (protocol.read_config, protocol.write_config(Pushed("n", "s", "1", "{}")), Pushed("n", "s", "1", "{}")),
        (protocol.read_verdict, protocol.write_verdict(Verdict("no", "d")), Verdict("no", "d")),
        (protocol.read_status_question, protocol.write_status_question(7), 7),
    ],
)
def test_what_a_newer_peer_adds_is_passed_over(read, data, value):
    assert read(UNKNOWN_FIELD + data + UNKNOWN_FIELD) == value


def test_fields_that_nobody_knows_here_are_kept_by_whoever_passes_a_message_on():
    message = protocol_pb2.SetConfigRequest.FromString(UNKNOWN_FIELD + protocol.write_config(Pushed("n", "", "", "")))
    assert UNKNOWN_FIELD in message.SerializeToString()


@pytest.mark.parametrize("data", [b"\xff", b"\x0a\x05ab", b"\x0a\x01\xff"])
def test_bytes_that_are_no_such_message_are_said_to_be_none(data):
    with pytest.raises(Unreadable, match="SetConfigRequest"):
        protocol.read_config(data)


def test_the_methods_are_those_of_the_schema():
    service = protocol_pb2.DESCRIPTOR.services_by_name["Config"]
    paths = {f"/{service.full_name}/{method.name}" for method in service.methods}
    assert paths == {protocol.SET_CONFIG, protocol.SET_ADJUSTMENTS, protocol.STATUS, protocol.METRICS}
