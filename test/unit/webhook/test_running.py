"""The command `cri-resmgr-webhook`: what it takes, how it lives, how it goes."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest
import structlog

from cri_resmgr import __version__
from cri_resmgr.cli import webhook as command
from cri_resmgr.config import logwords
from cri_resmgr.webhook import running
from unit.webhook import pairs
from unit.webhook.pods import body, pod
from unit.webhook.processes import COMMAND, DEADLINE_S, WebhookProcess, flags_for
from unit.webhook.served import JSON, trusting


async def replied(port: int, method: str = "POST", path: str = "/") -> int:
    """The status of a reply on a connection of its own."""
    data = body(pod()) if method == "POST" else None
    url = f"https://127.0.0.1:{port}{path}"
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=trusting())) as session,
        session.request(method, url, data=data, headers=JSON) as response,
    ):
        await response.read()
        return response.status


def refused(*flags: str) -> str:
    """What the command says when it ends with the exit code for bad input."""
    done = subprocess.run([COMMAND, *flags], capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    return done.stderr


async def test_it_serves_until_it_is_told_to_end_and_a_while_longer(files, tmp_path):
    with WebhookProcess(tmp_path, *flags_for(files)) as webhook:
        port = webhook.port
        assert await replied(port) == 200
        stopping = asyncio.create_task(asyncio.to_thread(webhook.stop))
        while "webhook.leaving" not in webhook.log():
            await asyncio.sleep(0.01)
        assert (await replied(port, "GET", "/readyz"), await replied(port)) == (503, 200)
        assert await stopping == 0
    assert webhook.log().splitlines()[-1].endswith("webhook.stopped")


async def test_who_cannot_wait_asks_it_twice(files, monkeypatch):
    monkeypatch.setattr(running, "LEAVING_S", 3600.0)
    with structlog.testing.capture_logs() as events:
        serving = asyncio.create_task(running.run(running.Options(0, files.cert, files.key)))
        for event in ("webhook.listening", "webhook.leaving"):
            while event not in {told["event"] for told in events}:
                await asyncio.sleep(0.001)
            os.kill(os.getpid(), signal.SIGTERM)
        await serving
    assert events[-1]["event"] == "webhook.stopped"


async def test_it_follows_a_renewal_by_itself(files, tmp_path):
    newer = pairs.make(tmp_path, "newer", extensions=("subjectAltName=DNS:newer",))
    with WebhookProcess(tmp_path, *flags_for(files)) as webhook:
        assert webhook.port
        files.become(newer)
        await asyncio.to_thread(webhook.wait_log, "certificate.renewed names=DNS:newer")


def test_it_carries_no_library_that_it_does_not_need(tmp_path):
    program = (
        "import sys; import cri_resmgr.cli.webhook, cri_resmgr.observe.logging, cri_resmgr.webhook.running;"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()
    assert "aiohttp" in loaded
    assert not {"kubernetes", "grpc", "google", "pydantic", "yaml", "sqlite3", "requests"} & set(loaded)


def test_every_wrong_flag_is_told_at_once():
    said = refused("-port", "70000", "-logger", "xml", "-logger-level=loud", "-logger-debug", "maybe:x")
    assert said.splitlines() == [
        "cri-resmgr-webhook: flag -port: 70000: a port is from 0, for any, to 65535",
        "cri-resmgr-webhook: flag -cert-file: nothing is said; name a file",
        "cri-resmgr-webhook: flag -key-file: nothing is said; name a file",
        "cri-resmgr-webhook: flag -logger: 'xml' is no form of log lines; write fmt or json",
        f"cri-resmgr-webhook: flag -logger-level: 'loud' is no level; write one of {', '.join(logwords.LEVELS)}",
        "cri-resmgr-webhook: flag -logger-debug: 'maybe:x': 'maybe' is no state; write on:x or off:x",
    ]


def test_a_certificate_that_cannot_be_used_is_bad_input(files):
    files.key.write_text("junk")
    assert "one of them is no PEM; give a server's certificate and its key" in refused(*flags_for(files))


async def test_a_port_that_is_taken_is_bad_input(files, tmp_path):
    with WebhookProcess(tmp_path, *flags_for(files)) as webhook:
        assert f"flag -port: {webhook.port}: Address already in use" in refused(*flags_for(files, webhook.port))


@pytest.mark.parametrize("word", ["-nonsense", "word"])
def test_an_unknown_word_is_told_with_the_usage(word, capsys):
    assert command.main([word]) == 2
    said = capsys.readouterr().err
    assert word in said
    assert ("Usage of cri-resmgr-webhook:" in said) is word.startswith("-")


def test_help_and_version_are_no_errors(capsys):
    assert command.main(["--version"]) == 0
    assert capsys.readouterr().out == f"cri-resmgr-webhook {__version__}\n"
    assert command.main(["-help"]) == 0
    assert "-cert-file string" in capsys.readouterr().err


def test_the_port_is_the_one_that_webhooks_are_called_on():
    assert command.Flags().port == 443


async def test_the_logs_flags_are_the_daemons(files, tmp_path: Path):
    with WebhookProcess(tmp_path, *flags_for(files), "-logger=json", "-logger-debug", "webhook") as webhook:
        assert await replied(webhook.port) == 200
    events = [json.loads(line) for line in webhook.log().splitlines()]
    assert [event["level"] for event in events if event["event"] == "review.answered"] == ["debug"]
