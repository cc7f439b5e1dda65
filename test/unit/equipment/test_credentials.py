import csv
import json
import subprocess
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from equipment.credentials import ADMIN, SCHEDULER, Credentials, User, node_user


@pytest.fixture(scope="module")
def credentials(tmp_path_factory) -> Credentials:
    made = Credentials(tmp_path_factory.mktemp("pki"), IPv4Address("10.0.0.1"))
    made.make(("node-a", "node-b"))
    return made


@pytest.mark.parametrize(("name", "purpose"), [("apiserver", "sslserver"), ("apiserver-kubelet-client", "sslclient")])
def test_certificates_are_signed_for_their_purpose(credentials, name, purpose):
    certificate = credentials.directory / f"{name}.crt"
    subprocess.run(
        ["openssl", "verify", "-purpose", purpose, "-CAfile", credentials.authority, certificate],
        check=True, capture_output=True,
    )  # fmt: skip


def test_the_api_server_is_known_by_its_address_and_its_service_name(credentials):
    certificate = credentials.directory / "apiserver.crt"
    for option in ("-checkip=10.0.0.1", "-checkhost=kubernetes.default.svc"):
        command = ["openssl", "x509", "-noout", "-in", certificate, *option.split("=")]
        said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        assert "does match" in said


def test_every_user_has_a_row_and_a_kubeconfig_with_the_same_token(credentials):
    lines = credentials.tokens.read_text().splitlines()
    rows = {name: (token, groups) for token, name, _, groups in csv.reader(lines)}
    for user in (ADMIN, SCHEDULER, node_user("node-a"), node_user("node-b")):
        kubeconfig = json.loads(credentials.kubeconfig(user).read_text())
        assert rows[user.name] == (kubeconfig["users"][0]["user"]["token"], user.group)
    assert kubeconfig["clusters"][0]["cluster"]["server"] == "https://10.0.0.1:443"
    assert rows["system:node:node-b"] == ("token-node-b", "system:nodes")


def test_the_node_of_a_user_is_the_last_part_of_its_name():
    assert User("system:node:node-a").short_name == "node-a"
    assert User("admin").short_name == "admin"


def test_openssl_is_quoted_when_it_refuses(tmp_path):
    with pytest.raises(RuntimeError, match=r"openssl ec in (.|\n)*missing\.key"):
        Credentials(Path(tmp_path), IPv4Address("10.0.0.1"))._openssl("ec", "-in", "missing.key")
