"""The webhook's certificate is one that the webhook and an API server take, and it is renewed before it ends."""

import asyncio
import base64
import ssl
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cri_resmgr.kube.errors import Conflict, NotFound
from cri_resmgr.webhook import certificates as webhooks
from extension.certificates import AUTHORITY_LIFE, LIFE, NAMES, RENEWED, Issued, issued
from extension.certifying import KEYS, NAME, Certifier

NOW = datetime.now(UTC).replace(microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture(scope="module", name="first")
def _first() -> Issued:
    return issued(NOW)


def test_the_webhook_takes_it(first, tmp_path):
    pair = webhooks.load(*files(first, tmp_path))
    assert set(pair.names) == {f"DNS:{name}" for name in NAMES}
    assert pair.expires_at_s == pytest.approx((NOW + LIFE).timestamp())


async def test_whoever_trusts_the_authority_takes_it_for_the_service_and_for_nobody_else(first, tmp_path):
    assert await meets(first, first, NAMES[0], tmp_path)
    assert await meets(first, first, NAMES[1], tmp_path)
    assert not await meets(first, first, "other.kube-system.svc", tmp_path)
    assert not await meets(first, issued(NOW), NAMES[0], tmp_path)


def test_a_good_certificate_stays(first):
    assert issued(NOW + LIFE - RENEWED - DAY, first) is first


async def test_a_renewal_keeps_the_authority_so_both_are_trusted_meanwhile(tmp_path):
    old = issued(NOW - LIFE + RENEWED - DAY)
    renewed = issued(NOW, old)
    assert renewed.served.certificate != old.served.certificate
    assert renewed.served.authority == old.served.authority
    assert await meets(renewed, old, NAMES[0], tmp_path)
    assert await meets(old, renewed, NAMES[0], tmp_path)


def test_an_authority_that_would_end_first_is_made_anew(first):
    late = issued(NOW + AUTHORITY_LIFE - LIFE + DAY, first)
    assert late.served.authority != first.served.authority
    assert late.authority_key != first.authority_key


@pytest.mark.parametrize("part", ["certificate", "key", "authority"])
@pytest.mark.parametrize("with_", ["", "nonsense", "other"])
def test_what_cannot_be_read_or_does_not_belong_together_is_made_anew(first, part, with_):
    value = getattr(issued(NOW).served, part) if with_ == "other" else with_
    broken = Issued(replace(first.served, **{part: value}), first.authority_key)
    mended = issued(NOW, broken)
    assert mended != broken
    assert issued(NOW, mended) is mended


@pytest.mark.parametrize("key", ["", "nonsense", "other"])
def test_an_authority_without_its_key_is_made_anew(first, key):
    broken = Issued(first.served, issued(NOW).authority_key if key == "other" else key)
    assert issued(NOW, broken).served.authority != first.served.authority


def test_keys_are_in_no_text_of_the_values(first):
    assert "PRIVATE" not in repr(first)


# -- kept in a Secret


class Secrets:
    """The Secrets of one namespace, with the methods that a certifier uses."""

    def __init__(self) -> None:
        self.kept: dict[str, dict] = {}
        self.writes = 0

    async def get(self, resource: object, name: str) -> dict:
        if name not in self.kept:
            raise NotFound(name)
        return self.kept[name]

    async def create(self, resource: object, thing: dict) -> None:
        if thing["metadata"]["name"] in self.kept:
            raise Conflict("it is there")
        await self.replace(resource, thing)

    async def replace(self, resource: object, thing: dict) -> None:
        self.writes += 1
        self.kept[thing["metadata"]["name"]] = thing

    async def delete(self, resource: object, name: str) -> None:
        if self.kept.pop(name, None) is None:
            raise NotFound(name)


def certifier(secrets: Secrets, *, later: timedelta = timedelta()) -> Certifier:
    return Certifier(secrets, lambda: NOW + later)  # type: ignore[arg-type]


async def test_a_shoot_keeps_its_certificate_over_restarts():
    secrets = Secrets()
    first = await certifier(secrets).certificate("shoot--a--b")
    assert await certifier(secrets).certificate("shoot--a--b") == first
    assert secrets.writes == 1
    assert set(secrets.kept[NAME]["data"]) == set(KEYS)


async def test_a_certificate_that_ends_is_replaced_in_place():
    secrets = Secrets()
    first = await certifier(secrets).certificate("n")
    second = await certifier(secrets, later=LIFE - DAY).certificate("n")
    assert second.certificate != first.certificate
    assert second.authority == first.authority
    assert base64.b64decode(secrets.kept[NAME]["data"]["tls.crt"]).decode() == second.certificate


@pytest.mark.parametrize("data", [None, {}, {"tls.crt": "?"}, dict.fromkeys(KEYS, "bm9uc2Vuc2U=")])
async def test_a_secret_that_somebody_has_broken_is_mended(data):
    secrets = Secrets()
    secrets.kept[NAME] = {"metadata": {"name": NAME, "resourceVersion": "7"}, "data": data}
    found = await certifier(secrets).certificate("n")
    assert await certifier(secrets).certificate("n") == found
    assert secrets.kept[NAME]["metadata"]["resourceVersion"] == "7"


async def test_what_is_kept_goes_with_the_shoot_and_may_be_gone_already():
    secrets = Secrets()
    await certifier(secrets).certificate("n")
    for _ in range(2):
        await certifier(secrets).forget("n")
    assert secrets.kept == {}


# -- equipment


def files(of: Issued, directory: Path) -> tuple[Path, Path]:
    certificate, key = directory / "svc.crt", directory / "svc.key"
    certificate.write_text(of.served.certificate)
    key.write_text(of.served.key)
    return certificate, key


async def meets(server: Issued, trusted: Issued, name: str, directory: Path) -> bool:
    """Whether a client that trusts an authority shakes hands with a server that it knows by that name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files(server, directory))
    listening = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    port = listening.sockets[0].getsockname()[1]
    client = ssl.create_default_context(cadata=trusted.served.authority)
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=client, server_hostname=name)
        writer.close()
    except ssl.SSLCertVerificationError:
        return False
    else:
        return True
    finally:
        listening.close()
