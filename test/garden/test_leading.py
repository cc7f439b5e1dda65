"""Two replicas: one acts, the other takes over; whatever happens to the first, never both write.

The audit log of the API server says who wrote what in which order.  A replica leads from when it has got the Lease
until another gets it, so every other write must be by whoever the log has seen getting the Lease last.
"""

import signal
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import pytest

from equipment.gardenlet import Gardenlet, Shoot
from equipment.muffled import Muffled
from equipment.processes import wait_for
from garden.replicas import DURATION_S, Replicas, installed, others

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

LEADER = "cri-resmgr-leader-election"
SHOOTS = 6
RESOURCES = "/apis/resources.gardener.cloud/v1alpha1/namespaces/{}/managedresources"


@pytest.fixture
def replicas(garden) -> Iterator[Replicas]:
    """`replica-a` leads, `replica-b` waits."""
    with installed(garden, "replica-a", "replica-b") as made:
        made.start("replica-a")
        made.wait_leading("replica-a")
        made.start("replica-b")
        wait_for(lambda: made.get("replica-b", "/readyz")[0] == 200, "the second to be ready")
        yield made


@pytest.fixture
def shoots(shoot, gardenlet) -> Iterator[list[Shoot]]:
    """Several, each of which the seed has been told of."""
    made = [replace(shoot, namespace=f"{shoot.namespace}-{number}") for number in range(SHOOTS)]
    for one in made:
        gardenlet.tell(one)
    yield made
    for one in made:
        gardenlet.drop(one)


def everybody(gardenlet: Gardenlet, shoots: list[Shoot]) -> None:
    """Something is to be done for each of them."""
    for one in shoots:
        gardenlet.reconcile(one)


def nobody_acts_beside_another(replicas: Replicas) -> None:
    """Each write was by the holder of the Lease at that time."""
    holder = ""
    for write in replicas.writes():
        if write.name == LEADER and write.done:
            holder = write.account
        elif write.name != LEADER and write.done:
            assert write.account == holder, f"{write} while {holder} led"


def all_is_done_once(gardenlet: Gardenlet, garden, shoots: list[Shoot]) -> None:
    """Each has been accepted, and has one ManagedResource with the one Secret that it names."""
    for one in shoots:
        gardenlet.wait(one)
        found = garden.seed.api("GET", RESOURCES.format(one.namespace))["items"]
        assert [item["metadata"]["name"] for item in found] == ["extension-runtime-cri-resmgr"]
        named = {ref["name"] for ref in found[0]["spec"]["secretRefs"]}
        secrets = garden.seed.api("GET", f"/api/v1/namespaces/{one.namespace}/secrets")["items"]
        assert {secret["metadata"]["name"] for secret in secrets} == named


def test_only_one_acts_and_the_other_is_ready_to(replicas, gardenlet, garden, shoots):
    everybody(gardenlet, shoots)
    all_is_done_once(gardenlet, garden, shoots)
    assert (replicas.leads("replica-a"), replicas.leads("replica-b")) == (True, False)
    assert {write.account for write in others(replicas.writes())} == {"replica-a"}


def test_at_sigterm_the_other_leads_without_waiting_for_the_lease_to_run_out(replicas, gardenlet, garden, shoots):
    everybody(gardenlet, shoots)
    replicas.terminate("replica-a")
    replicas.wait_leading("replica-b")
    everybody(gardenlet, shoots)
    all_is_done_once(gardenlet, garden, shoots)
    nobody_acts_beside_another(replicas)
    changes = [write for write in replicas.writes() if write.name == LEADER and write.done]
    assert ("replica-a", "replica-b") in [(one.account, other.account) for one, other in pairwise(changes)]


def test_after_a_crash_the_other_ends_what_was_begun(replicas, gardenlet, garden, shoots):
    everybody(gardenlet, shoots)
    wait_for(lambda: others(replicas.writes()), "the first write")
    replicas.kill("replica-a")
    replicas.wait_leading("replica-b")
    all_is_done_once(gardenlet, garden, shoots)
    nobody_acts_beside_another(replicas)
    replicas.start("replica-a")
    wait_for(lambda: replicas.get("replica-a", "/readyz")[0] == 200, "the first to be back")
    assert not replicas.leads("replica-a")


def test_who_was_frozen_for_longer_than_the_lease_writes_nothing_when_he_wakes(replicas, gardenlet, garden, shoots):
    everybody(gardenlet, shoots)
    wait_for(lambda: others(replicas.writes()), "the first write")
    replicas.signal("replica-a", signal.SIGSTOP)
    replicas.wait_leading("replica-b")
    everybody(gardenlet, shoots)
    replicas.signal("replica-a", signal.SIGCONT)
    all_is_done_once(gardenlet, garden, shoots)
    wait_for(lambda: "lease.lost" in replicas.log("replica-a"), "the first to notice", DURATION_S * 5)
    assert not replicas.leads("replica-a")
    nobody_acts_beside_another(replicas)
    replicas.terminate("replica-b")  # and he leads again, in the same process
    replicas.wait_leading("replica-a")
    everybody(gardenlet, shoots)
    all_is_done_once(gardenlet, garden, shoots)
    nobody_acts_beside_another(replicas)


def test_who_leads_no_more_has_no_heartbeat(replicas):
    wait_for(replicas.beats, "a heartbeat")
    replicas.signal("replica-a", signal.SIGSTOP)
    replicas.signal("replica-b", signal.SIGSTOP)
    beats = replicas.beats()
    replicas.signal("replica-b", signal.SIGCONT)
    replicas.wait_leading("replica-b")
    wait_for(lambda: replicas.beats() > beats, "the heart to beat for the second")
    replicas.signal("replica-a", signal.SIGCONT)
    nobody_acts_beside_another(replicas)


@pytest.fixture
def muffled(garden) -> Iterator[Muffled]:
    """A network between one replica and the API server."""
    with Muffled((str(garden.seed.address), 443)) as network:
        yield network


def test_who_hears_nothing_for_longer_than_the_lease_acts_no_more_and_the_other_does(
    garden, gardenlet, shoots, muffled, tmp_path
):
    with installed(garden, "replica-a", "replica-b") as replicas:
        text = garden.seed.account(replicas.namespace, "replica-a").read_text()
        through = tmp_path / "kubeconfig"
        through.write_text(text.replace(str(garden.seed.address), f"127.0.0.1:{muffled.port}").replace(":443", ""))
        replicas.start("replica-a", f"--kubeconfig={through}")
        replicas.wait_leading("replica-a")
        replicas.start("replica-b")
        everybody(gardenlet, shoots)
        wait_for(lambda: others(replicas.writes()), "the first write")
        muffled.silent()
        replicas.wait_leading("replica-b")
        everybody(gardenlet, shoots)
        all_is_done_once(gardenlet, garden, shoots)
        muffled.loud()
        wait_for(lambda: "lease.lost" in replicas.log("replica-a"), "the first to notice", DURATION_S * 5)
        wait_for(lambda: replicas.get("replica-a", "/readyz")[0] == 200, "the first to be ready again")
        assert not replicas.leads("replica-a")
        nobody_acts_beside_another(replicas)
