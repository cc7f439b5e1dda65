"""The server around the answers: TLS, renewals, and what a client can cost."""

import asyncio
import errno
import json
import socket
import ssl
from pathlib import Path

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.webhook import serving as server_module
from cri_resmgr.webhook.serving import listen
from unit.webhook import pairs
from unit.webhook.pairs import Files
from unit.webhook.pods import body, pod
from unit.webhook.served import Webhook, serving, trusting


@pytest.fixture(name="newer")
def _newer(tmp_path: Path) -> Files:
    return pairs.make(tmp_path, "newer", extensions=(f"{pairs.NAMED},DNS:newer",))


async def certificate_shown(webhook: Webhook, **options) -> bytes:
    """To a client that comes now."""
    _, writer = await webhook.connected(**options)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.transport.abort()
    return shown


async def is_served(webhook: Webhook) -> bool:
    try:
        await certificate_shown(webhook)
    except ConnectionError:
        return False
    return True


async def end_of(reader: asyncio.StreamReader) -> bytes:
    """What comes until the end, be it an orderly one or not."""
    try:
        return await asyncio.wait_for(reader.read(), 60)
    except ConnectionError:
        return b""


def der(files: Files) -> bytes:
    return ssl.PEM_cert_to_DER_cert(files.cert.read_text())


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1:DeprecationWarning")
async def test_tls_1_1_is_not_spoken(files):
    old = trusting()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    async with serving(files) as webhook:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await asyncio.open_connection("127.0.0.1", webhook.server.port, ssl=old)
        # It is not the client that cannot.
        webhook.certificate.context.set_ciphers("ALL:@SECLEVEL=0")
        webhook.certificate.context.minimum_version = ssl.TLSVersion.TLSv1_1
        _, writer = await asyncio.open_connection("127.0.0.1", webhook.server.port, ssl=old)
        writer.transport.abort()


async def test_a_client_that_trusts_the_certificate_and_asks_for_its_name_is_content(files):
    strict = ssl.create_default_context(cafile=str(files.cert))
    async with serving(files) as webhook:
        _, writer = await asyncio.open_connection("localhost", webhook.server.port, ssl=strict)
        writer.transport.abort()


@pytest.mark.parametrize("options", [{"server_hostname": "localhost"}, {"server_hostname": ""}], ids=["sni", "no sni"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_who_comes_after_a_renewal_gets_the_new_certificate(files, newer, version, options, monkeypatch):
    context = trusting()
    context.maximum_version = context.minimum_version = version
    monkeypatch.setattr("unit.webhook.served.trusting", lambda: context)
    old = der(files)
    async with serving(files) as webhook:
        assert await certificate_shown(webhook, **options) == old
        files.become(newer)
        webhook.certificate.refresh()
        assert await certificate_shown(webhook, **options) == der(newer) != old


async def test_a_connection_that_is_open_goes_on_after_a_renewal(files, newer):
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    async with serving(files) as webhook:
        reader, writer = await webhook.connected()
        for renew in (True, False):
            writer.write(request)
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            await reader.readuntil(b"}\n")
            if renew:
                files.become(newer)
                webhook.certificate.refresh()
        writer.transport.abort()


async def test_nobody_fails_while_certificates_are_swapped_again_and_again(files, newer, tmp_path):
    # Each review comes on a connection of its own; half of the swaps are caught between the two files.
    original = pairs.Files(tmp_path / "old.crt", tmp_path / "old.key")
    original.become(files)
    swapping, answered = True, 0

    async def ask(webhook):
        nonlocal answered
        while swapping:
            reply = await webhook.review(body(pod()), {"Content-Type": "application/json", "Connection": "close"})
            assert reply.json["response"]["allowed"]
            answered += 1

    async with serving(files) as webhook, asyncio.TaskGroup() as tasks:
        for _ in range(4):
            tasks.create_task(ask(webhook))
        for turn in range(20):
            new = newer if turn % 2 == 0 else original
            pairs.replace(files.key, new.key.read_bytes())
            webhook.certificate.refresh()
            goal = answered + 2
            while answered < goal:
                await asyncio.sleep(0.001)
            pairs.replace(files.cert, new.cert.read_bytes())
            webhook.certificate.refresh()
            assert webhook.certificate.problem == ""
        swapping = False


async def test_one_connection_too_many_is_closed_and_the_next_is_served_when_one_has_gone(files, monkeypatch):
    monkeypatch.setattr(server_module, "CONNECTIONS_LIMIT", 2)
    async with serving(files) as webhook:
        one, two = await webhook.connected(), await webhook.connected()
        for reader, writer in (one, two):
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"}\n")
        reader, writer = await webhook.connected()
        assert await end_of(reader) == b""
        one[1].transport.abort()
        while len(webhook.server._runner.server.connections) > 1:
            await asyncio.sleep(0.001)
        assert (await webhook("GET", "/healthz")).status == 200
        two[1].transport.abort()
        writer.transport.abort()


async def test_a_client_that_never_shakes_hands_is_let_go(files, monkeypatch):
    monkeypatch.setattr(server_module, "HANDSHAKE_DEADLINE_S", 0.05)
    async with serving(files) as webhook:
        reader, writer = await asyncio.open_connection("127.0.0.1", webhook.server.port)
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_a_client_that_never_asks_is_let_go(files, monkeypatch):
    monkeypatch.setattr(server_module, "IDLE_S", 0.05)
    async with serving(files) as webhook:
        reader, writer = await webhook.connected()
        writer.write(b"POST / HTTP/1.1\r\nHost: x\r\nX-Half-A")
        assert await asyncio.wait_for(reader.read(), 60) == b""
        writer.close()


async def test_what_has_begun_is_answered_before_the_server_has_gone(files, monkeypatch):
    monkeypatch.setattr(server_module, "CLOSING_S", 60.0)
    whole = body(pod())
    head = f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(whole)}\r\n\r\n"
    async with serving(files, body_deadline_s=60) as webhook:
        reader, writer = await webhook.connected()
        writer.write(head.encode() + whole[:10])
        while not any(handler._request_in_progress for handler in webhook.server._runner.server.connections):
            await asyncio.sleep(0.001)
        closing = asyncio.create_task(webhook.server.close())
        while await is_served(webhook):
            await asyncio.sleep(0.001)
        writer.write(whole[10:])
        answer = await reader.read()
        writer.close()
        await closing
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["response"]["patchType"] == "JSONPatch"


def test_a_port_that_is_taken_is_told_with_the_flag():
    with listen(0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(BadInput, match=f"flag -port: {port}: Address already in use; give a port"):
            listen(port)


def test_a_machine_without_ipv6_is_served_over_ipv4(monkeypatch):
    create = socket.create_server

    def without_ipv6(address, *, family=socket.AF_INET, **options):
        if family == socket.AF_INET6:
            raise OSError(errno.EADDRNOTAVAIL, "Cannot assign requested address")
        return create(address, family=family, **options)

    monkeypatch.setattr(socket, "create_server", without_ipv6)
    with listen(0) as listening:
        assert listening.family == socket.AF_INET
