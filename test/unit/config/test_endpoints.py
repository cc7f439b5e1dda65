import pytest

from cri_resmgr.config import endpoints
from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.errors import BadInput


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", None),
        ("unix:///run/m.sock", Endpoint(path="/run/m.sock")),
        ("/run/m.sock", Endpoint(path="/run/m.sock")),
        ("127.0.0.1:8891", Endpoint(host="127.0.0.1", port=8891)),
        ("localhost:1", Endpoint(host="localhost", port=1)),
        ("[::1]:65535", Endpoint(host="::1", port=65535)),
        (":8891", Endpoint(host="127.0.0.1", port=8891)),
    ],
)
def test_an_endpoint_is_a_socket_or_a_local_port(text, expected):
    assert endpoints.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0.0.0.0:80", "open to other machines"),
        ("[::]:80", "open to other machines"),
        ("192.168.1.1:80", "open to other machines"),
        ("127.0.0.1", "is no address"),
        ("::1:80", "is no address"),
        ("http://127.0.0.1:80", "is no address"),
        ("127.0.0.1:0", "a port is from 1 to 65535"),
        ("127.0.0.1:70000", "a port is from 1 to 65535"),
        ("unix://run/m.sock", "is not absolute"),
        ("unix:///" + "x" * 107, "longer than the 107 bytes"),
    ],
)
def test_anything_else_is_refused(text, message):
    with pytest.raises(BadInput, match=message):
        endpoints.parse(text)


def test_the_length_of_a_path_is_counted_in_bytes():
    assert endpoints.socket_path("/" + "ä" * 53)
    with pytest.raises(BadInput, match="longer than"):
        endpoints.socket_path("/" + "ä" * 54)
