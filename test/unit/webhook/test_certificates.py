"""A certificate is used only after it has been tried, and the one in use stays until there is a better one."""

import asyncio
import ssl
import time
from pathlib import Path

import pytest
import structlog

from cri_resmgr.errors import BadInput
from cri_resmgr.webhook import certificates
from cri_resmgr.webhook.certificates import Certificate
from unit.webhook import pairs
from unit.webhook.pairs import Files


@pytest.fixture(name="newer")
def _newer(tmp_path: Path) -> Files:
    return pairs.make(tmp_path, "newer", extensions=("subjectAltName=DNS:newer",))


def load(files: Files) -> certificates.Pair:
    return certificates.load(files.cert, files.key)


def used(files: Files) -> Certificate:
    return Certificate(files.cert, files.key)


def test_a_pair_knows_its_names_and_its_end(files):
    pair = load(files)
    assert pair.names == ("DNS:localhost", "IP Address:127.0.0.1")
    assert 0 < pair.expires_at_s - time.time() <= 24 * 3600


def test_nothing_older_than_tls_1_2_is_spoken(files):
    assert load(files).context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_a_certificate_for_no_name_is_refused_as_the_api_server_would(tmp_path):
    with pytest.raises(BadInput, match=r"svc\.crt has no subjectAltName; the API server takes no certificate without"):
        load(pairs.make(tmp_path, extensions=("keyUsage=digitalSignature",)))


def test_a_certificate_for_clients_is_refused_as_the_api_server_would(tmp_path):
    with pytest.raises(BadInput, match="unsuitable certificate purpose; give a server's certificate"):
        load(pairs.make(tmp_path, extensions=(pairs.NAMED, "extendedKeyUsage=clientAuth")))


def test_a_key_of_another_certificate_is_refused(files, newer):
    with pytest.raises(BadInput, match=r"svc.crt with \S*newer.key: key values mismatch; give "):
        load(Files(files.cert, newer.key))


def test_an_encrypted_key_is_refused_instead_of_asking_for_its_password(files):
    with pytest.raises(BadInput, match=r"svc.aes: the key is encrypted; give "):
        load(pairs.encrypted(files))


@pytest.mark.parametrize(
    "content", [b"", b"\xff\x00", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_what_is_no_pem_is_refused(files, content):
    files.cert.write_bytes(content)
    with pytest.raises(BadInput, match=r"svc\.key: one of them is no PEM; give "):
        load(files)


def test_a_file_that_cannot_be_read_is_named_with_its_flag(files):
    with pytest.raises(BadInput, match="flag -cert-file: /nowhere: No such file or directory; name a file"):
        load(Files(Path("/nowhere"), files.key))
    with pytest.raises(BadInput, match="flag -key-file: /tmp: Is a directory; name a file"):
        load(Files(files.cert, Path("/tmp")))


def test_an_expired_certificate_is_used_because_it_may_be_renewed(tmp_path):
    certificate = used(pairs.make(tmp_path, days=-1))
    assert certificate.expired()
    certificate = used(pairs.make(tmp_path))
    assert not certificate.expired()


def test_a_new_pair_is_used_once_both_of_its_files_are_there(files, newer):
    certificate = used(files)
    first = certificate.pair
    pairs.replace(files.key, newer.key.read_bytes())
    certificate.refresh()
    assert certificate.pair is first
    assert "key values mismatch" in certificate.problem

    files.become(newer)
    certificate.refresh()
    assert certificate.pair.names == ("DNS:newer",)
    assert certificate.problem == ""


def test_a_pair_that_goes_and_comes_back_is_the_same(files):
    certificate = used(files)
    first, content = certificate.pair, files.cert.read_bytes()
    files.cert.unlink()
    certificate.refresh()
    assert "No such file" in certificate.problem
    files.cert.write_bytes(content)
    certificate.refresh()
    assert (certificate.pair, certificate.problem) == (first, "")


def test_files_are_found_through_a_link_that_is_swapped_as_kubelets_do(tmp_path):
    old, new = tmp_path / "..2026_1", tmp_path / "..2026_2"
    for at, (directory, name) in enumerate(((old, "old"), (new, "new"))):
        directory.mkdir()
        pairs.make(directory, extensions=(f"subjectAltName=DNS:{name}-{at}",))
    data = tmp_path / "..data"
    data.symlink_to(old.name)
    certificate = Certificate(data / "svc.crt", data / "svc.key")
    assert certificate.pair.names == ("DNS:old-0",)

    aside = tmp_path / "..data_tmp"
    aside.symlink_to(new.name)
    aside.rename(data)
    certificate.refresh()
    assert certificate.pair.names == ("DNS:new-1",)


def test_a_bad_renewal_is_told_once_and_not_at_each_look(files):
    certificate = used(files)
    files.key.write_text("junk")
    with structlog.testing.capture_logs() as events:
        for _ in range(3):
            certificate.refresh()
    assert [event["event"] for event in events] == ["certificate.rejected"]
    assert "one of them is no PEM" in events[0]["error"]


def test_no_key_is_ever_logged(files, newer):
    with structlog.testing.capture_logs() as events:
        certificate = used(files)
        files.become(newer)
        certificate.refresh()
        files.key.write_bytes(newer.key.read_bytes()[:100])
        certificate.refresh()
    assert [event["event"] for event in events] == ["certificate.loaded", "certificate.renewed", "certificate.rejected"]
    lines = {line for line in newer.key.read_text().splitlines() if "KEY" not in line}
    assert not any(line in str(events) for line in lines)


async def test_renewals_are_followed_and_an_end_is_told(files, newer, tmp_path):
    certificate = used(files)
    with structlog.testing.capture_logs() as events:
        async with asyncio.timeout(60), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(certificate.follow(0.001))
            files.become(newer)
            while certificate.pair.names != ("DNS:newer",):
                await asyncio.sleep(0.001)
            files.become(pairs.make(tmp_path, "late", days=-1))
            while not certificate.expired():
                await asyncio.sleep(0.001)
            following.cancel()
    told = [event["event"] for event in events if event["event"] != "certificate.rejected"]
    assert told[:3] == ["certificate.renewed", "certificate.renewed", "certificate.expired"]
