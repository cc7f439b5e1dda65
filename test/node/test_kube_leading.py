"""Two processes want to lead by one Lease of a real API server; what they write says who did, in the server's order.

A leader makes ConfigMaps named `w-…` with a guarded client; told to, by SIGUSR1, it freezes before it makes the next.
The resourceVersions at their birth are the order in which the server took them, so a leader that acts beside another
one cannot hide.
"""

import json
import os
import signal
import subprocess
import sys
from itertools import groupby

import pytest

from equipment.processes import wait_for
from node.kube_fixtures import *  # noqa: F403 - a fixture, as if it stood here

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

LEASE = "/apis/coordination.k8s.io/v1/namespaces/default/leases/leader"
WRITTEN = "/api/v1/namespaces/default/configmaps"
DURATION_S = 4
LOST, ENDED = 3, 4

CANDIDATE = """
import asyncio, os, signal, sys
from pathlib import Path
from cri_resmgr.kube.clients import connected
from cri_resmgr.kube.errors import LeaseLost, Unavailable
from cri_resmgr.kube.lease_records import Terms
from cri_resmgr.kube.leasing import Elector
from cri_resmgr.kube.resources import Ref, Resource

KUBECONFIG, NAME, DURATION_S, LOST, ENDED = Path(sys.argv[1]), sys.argv[2], *map(int, sys.argv[3:])
TERMS = Terms(duration_s=DURATION_S, renew_deadline_s=DURATION_S / 2, retry_s=0.3, request_deadline_s=1.0)

async def main():
    task = asyncio.current_task()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    async with connected(kubeconfig=KUBECONFIG, user_agent="candidate") as client:
        elector = Elector(client, Ref("default", "leader"), identity=NAME, terms=TERMS)
        writing = client.guarded(elector.guard)

        async def work():
            number, frozen = 0, []
            asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, frozen.append, 1)
            while True:
                await asyncio.sleep(0.01)
                if frozen:
                    frozen.clear()
                    os.kill(os.getpid(), signal.SIGSTOP)
                body = {"metadata": {"name": f"w-{NAME}-{number}"}, "data": {"by": NAME}}
                try:
                    await writing.create(Resource("v1", "configmaps", "default"), body)
                    number += 1
                except Unavailable:
                    await asyncio.sleep(0.1)

        await elector.lead(work)

try:
    asyncio.run(main())
except LeaseLost:
    sys.exit(LOST)
except asyncio.CancelledError:
    sys.exit(ENDED)
"""


class Candidate:
    """A process that wants to lead."""

    def __init__(self, api_server, name):
        arguments = [str(api_server.kubeconfig), name, str(DURATION_S), str(LOST), str(ENDED)]
        self.process = subprocess.Popen([sys.executable, "-c", CANDIDATE, *arguments])
        self.name = name

    def sends(self, number):
        os.kill(self.process.pid, number)

    def ends(self):
        return self.process.wait(timeout=60)


@pytest.fixture
def candidate(api_server):
    """Makes candidates, which are gone after the test with all that they wrote."""
    made = []

    def make(name):
        made.append(Candidate(api_server, name))
        return made[-1]

    yield make
    for each in made:
        each.process.kill()
        each.process.wait()
    api_server.api("DELETE", f"{WRITTEN}?labelSelector=")
    if api_server.api.find(LEASE):
        api_server.api("DELETE", LEASE)


def writers(api_server):
    """Who wrote, in the order of writing, each once for as long as he wrote alone."""
    items = api_server.api("GET", WRITTEN)["items"]
    written = sorted((int(item["metadata"]["resourceVersion"]), item["data"]["by"]) for item in items if is_ours(item))
    return [by for by, _ in groupby(by for _, by in written)]


def is_ours(item):
    return item["metadata"]["name"].startswith("w-")


def wrote(api_server, name):
    return sum(item["data"]["by"] == name for item in api_server.api("GET", WRITTEN)["items"] if is_ours(item))


def leads(api_server, candidate):
    before = wrote(api_server, candidate.name)
    wait_for(lambda: wrote(api_server, candidate.name) > before, f"{candidate.name} to lead")


def test_a_leader_that_is_stopped_politely_leaves_the_lease_to_the_next_at_once(api_server, candidate):
    first = candidate("one")
    leads(api_server, first)
    second = candidate("two")
    first.sends(signal.SIGTERM)
    assert first.ends() == ENDED
    leads(api_server, second)
    assert writers(api_server) == ["one", "two"]
    assert api_server.api("GET", LEASE)["spec"]["leaseTransitions"] == 1


def test_a_leader_that_is_killed_is_followed_when_its_lease_has_run_out(api_server, candidate):
    first = candidate("one")
    leads(api_server, first)
    second = candidate("two")
    first.sends(signal.SIGKILL)
    leads(api_server, second)
    assert writers(api_server) == ["one", "two"]


def test_a_leader_that_was_frozen_writes_nothing_when_it_goes_on(api_server, candidate):
    first = candidate("one")
    leads(api_server, first)
    second = candidate("two")
    first.sends(signal.SIGUSR1)
    leads(api_server, second)
    first.sends(signal.SIGCONT)
    assert first.ends() == LOST
    leads(api_server, second)
    assert writers(api_server) == ["one", "two"]


def test_with_the_api_server_killed_the_leader_gives_up_and_the_other_follows_when_it_is_back(api_server, candidate):
    both = [candidate("one"), candidate("two")]
    wait_for(lambda: writers(api_server), "one of them to lead")
    api_server.kill()
    wait_for(lambda: any(each.process.poll() == LOST for each in both), "the leader to give up")
    (other,) = [each for each in both if each.process.poll() is None]
    api_server.start_server()
    leads(api_server, other)
    assert len(writers(api_server)) == 2


def test_a_leader_keeps_the_lease_while_the_api_server_hangs_for_a_moment(api_server, candidate):
    first = candidate("one")
    leads(api_server, first)
    api_server.pause()
    try:
        with pytest.raises(subprocess.TimeoutExpired):
            first.process.wait(timeout=DURATION_S / 4)
    finally:
        api_server.resume()
    leads(api_server, first)
    assert json.dumps(api_server.api("GET", LEASE)["spec"]).count("one") == 1
