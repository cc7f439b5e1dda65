"""The page of a node: what it says, to whom, and what it does not let anybody do."""

import asyncio
import http.client
import json
import re
import socket
from contextlib import closing
from pathlib import Path

import pytest

from cri_resmgr.cli.page import serving
from cri_resmgr.host.grids import grid
from equipment import sysfs_tree
from equipment.simulated_page import SimulatedNode, machine, served
from unit.cli.daemons import Daemon
from unit.cli.test_daemon_placement import PLACING, run

SIZE = "{cpu: CPUS, memory: 1Gi}"
POD = f"- create: {{pod: NAME, containers: [{{name: c, requests: {SIZE}, limits: {SIZE}}}]}}\n"


def pod(name: str, cpus: int) -> str:
    return POD.replace("NAME", name).replace("CPUS", str(cpus))


@pytest.fixture(name="node")
def _node(tmp_path: Path) -> SimulatedNode:
    """Sixteen CPUs, two of them reserved; one pod has two of its own, one fits nowhere."""
    made = SimulatedNode(machine(16))
    made.take(pod("db", 2) + pod("giant", 99), tmp_path)
    return made


def asked(host: str, port: int, path: str, *, method: str = "GET", name: str = "localhost"):
    with closing(http.client.HTTPConnection(host, port, timeout=20)) as connection:
        connection.request(method, path, headers={"Host": name})
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


async def get(node: SimulatedNode, path: str, **options: str):
    async with served(node) as server:
        return await asyncio.to_thread(asked, server.endpoint.host, server.endpoint.port, path, **options)


async def test_the_look_says_who_sits_where_what_is_left_and_what_was_refused(node):
    status, headers, body = await get(node, "/node.json")
    said = json.loads(body)
    (container,) = said["containers"]
    assert (status, headers["Content-Type"], headers["Cache-Control"]) == (200, "application/json", "no-store")
    assert (container["pod"], container["exclusive"], container["flags"]) == ("db", container["cpus"], [])
    assert (said["policy"], said["reserved"], said["machine"]["online"]) == ("topology-aware", "0-1", "0-15")
    assert {one["kind"] for one in said["events"]} == {"PolicyRefused"}
    assert said["pools"][0]["free_millicpu"] == 12000


async def test_a_container_is_explained_by_its_key(node):
    (key,) = [one.key for one in (await node.look()).containers]
    status, _, body = await get(node, f"/container.json?key={key}")
    said = json.loads(body)
    assert status == 200
    assert (said["container"], said["holding"]["exclusive"]) == ("default/db:c", "4-5")
    assert said["reasons"] == list((await node.look()).containers[0].reasons)
    assert {one["verdict"] for one in said["candidates"]} > {"chosen"}


@pytest.mark.parametrize("query", ["", "?key=", "?key=nobody", "?other=x"])
async def test_a_container_that_nobody_has_is_not_found(node, query):
    status, _, body = await get(node, "/container.json" + query)
    assert status == 404
    assert "there is no such container" in json.loads(body)["error"]


@pytest.mark.parametrize("path", ["/page.html", "/../etc/passwd", "/node.json/", "//"])
async def test_there_is_nothing_else(node, path):
    assert (await get(node, path))[0] == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
async def test_nothing_can_be_changed(node, method):
    assert (await get(node, "/node.json", method=method))[0] == 405


@pytest.mark.parametrize("name", ["evil.example", "evil.example:80", "localhost.evil.example", "10.0.0.1"])
async def test_a_name_that_another_site_has_given_us_is_refused(node, name):
    assert (await get(node, "/node.json", name=name))[0] == 421


async def test_the_page_needs_nothing_from_elsewhere_and_may_do_nothing_else(node):
    _, headers, html = await get(node, "/")
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert policy.count("'sha256-") == 2
    assert not re.search(rb"(?:src|href)=\"(?!data:)|https?://|innerHTML|style=\"|\son[a-z]+=", html)


async def test_many_who_look_at_once_cost_what_one_costs(node):
    looks = []

    async def look():
        looks.append(1)
        return await node.look()

    kept = serving._Kept(look)
    answers = await asyncio.gather(*(kept.answer() for _ in range(20)))
    assert len(looks) == 1
    assert len({body for _, _, body in answers}) == 1


def test_the_daemon_serves_it_on_a_socket_for_root_and_follows_what_runs(tmp_path, runtime):
    sysfs_tree.write(grid(cores=4), tmp_path / "host")
    flags = ("--force-config", str(tmp_path / "forced.cfg"), "--host-root", str(tmp_path / "host"))
    page = tmp_path / "page.sock"
    with Daemon(tmp_path, *flags) as daemon:
        daemon.config.write_text(PLACING)
        daemon.start("--page-address", f"unix://{page}")
        assert page.stat().st_mode & 0o777 == 0o600
        assert look(page)["containers"] == []
        with daemon.client() as client:
            run(client, "x", "own")
            daemon.wait(lambda: [c["cpus"] for c in look(page)["containers"]] == ["1"], "the container on the page")
        assert daemon.stop() == 0
        assert not page.exists()


def test_environment_labels_and_annotations_are_on_none_of_its_paths(tmp_path, runtime):
    page = tmp_path / "page.sock"
    with Daemon(tmp_path) as daemon, daemon.start("--page-address", f"unix://{page}").client() as client:
        secret = {"example.org/x": "h1dden"}
        sandbox = {
            "metadata": {"name": "web", "namespace": "default", "uid": "u"},
            "labels": secret,
            "annotations": secret,
        }
        pod_id = client("RunPodSandbox", config=sandbox).pod_sandbox_id
        config = {"metadata": {"name": "c"}, "labels": secret, "annotations": secret}
        config |= {"envs": [{"key": "PASSWORD", "value": b"h1dden"}], "args": ["--token=h1dden"]}
        client("CreateContainer", pod_sandbox_id=pod_id, config=config, sandbox_config=sandbox)
        daemon.wait(lambda: look(page)["containers"], "the container on the page")
        (key,) = [one["key"] for one in look(page)["containers"]]
        texts = [read(page, path) for path in ("/", "/node.json", f"/container.json?key={key}")]
        assert "default/web:c" in texts[2]
        assert [text for text in texts if "h1dden" in text or "example.org" in text] == []


@pytest.mark.parametrize("flags", [(), ("--page-address", "unix://page.sock", "--disable-ui")], ids=["off", "disabled"])
def test_nothing_is_served_unless_it_is_asked_for(daemon, runtime, flags):
    page = daemon.root / "page.sock"
    daemon.start(*(flag.replace("//", f"//{daemon.root}/") for flag in flags))
    assert "http.listening" not in daemon.log()
    assert not page.exists()


def test_an_address_that_others_can_reach_is_refused(daemon, runtime):
    assert "-page-address" in daemon.refused("--page-address", "0.0.0.0:80")


def read(page: Path, path: str) -> str:
    """The body of an answer on the socket."""
    with closing(socket.socket(socket.AF_UNIX)) as connection:
        connection.settimeout(20)
        connection.connect(str(page))
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        text = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    return text.partition(b"\r\n\r\n")[2].decode()


def look(page: Path):
    return json.loads(read(page, "/node.json"))
