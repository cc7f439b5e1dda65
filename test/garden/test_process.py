"""The extension's process: what it may, what it says of itself, how it ends, and that it is quiet."""

import os
import re
import signal
import subprocess
import sys

import pytest
from prometheus_client.parser import text_string_to_metric_families

from equipment.processes import wait_for
from garden.replicas import REPOSITORY, installed, others, settled

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]


@pytest.fixture
def replicas(garden):
    """One replica that leads."""
    with installed(garden, "replica-a") as made:
        made.start("replica-a")
        made.wait_leading("replica-a")
        yield made


def test_it_reconciles_and_deletes_with_the_rights_of_its_chart(replicas, gardenlet, shoot):
    gardenlet.reconcile(shoot)
    gardenlet.wait(shoot)
    gardenlet.tell(shoot)
    gardenlet.migrate(shoot)
    gardenlet.wait_migrated(shoot)
    gardenlet.delete(shoot)
    gardenlet.wait_gone(shoot)
    assert [write for write in replicas.writes() if write.status in {401, 403}] == []
    assert "api.refused" not in replicas.log("replica-a")


def test_it_can_be_probed_and_scraped(replicas, gardenlet, shoot):
    gardenlet.reconcile(shoot)
    gardenlet.wait(shoot)
    assert replicas.get("replica-a", "/healthz")[0] == 200
    assert replicas.get("replica-a", "/readyz")[0] == 200
    status, text = replicas.get("replica-a", "/metrics")
    assert status == 200
    found = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert found["gardener_extension_cri_resmgr_reconciles_total", "Create", "succeeded"] == 1
    assert found["gardener_extension_cri_resmgr_reconcile_seconds_count", "Create"] == 1
    assert found["gardener_extension_cri_resmgr_queue_depth", "extensions"] == 0


def test_without_the_api_server_it_is_alive_but_not_ready(replicas, garden):
    garden.seed.pause()
    try:
        wait_for(lambda: replicas.get("replica-a", "/readyz")[0] == 503, "not to be ready")
        assert replicas.get("replica-a", "/healthz")[0] == 200
    finally:
        garden.seed.resume()
    wait_for(lambda: replicas.get("replica-a", "/readyz")[0] == 200, "to be ready")
    replicas.wait_leading("replica-a")


def test_while_nothing_changes_it_writes_nothing_but_its_two_leases(replicas, gardenlet, shoot):
    gardenlet.reconcile(shoot)
    gardenlet.wait(shoot)
    mark = settled(replicas)
    beats = replicas.beats()
    wait_for(lambda: replicas.beats() > beats, "the heart to beat")
    written = replicas.writes(since=mark)
    assert others(written) == []
    assert {write.name for write in written} == {"cri-resmgr-leader-election", "gardener-extension-heartbeat"}


def test_at_sigterm_it_releases_its_lease_and_the_heart_stops(replicas):
    replicas.terminate("replica-a")
    assert replicas.lease()["holderIdentity"] == ""
    last = [write for write in replicas.writes() if write.done][-1]
    assert last.name == "cri-resmgr-leader-election"  # nothing was written after the release
    assert "extension.stopped" in replicas.log("replica-a")
    assert "Traceback" not in replicas.log("replica-a")


def test_the_heartbeat_is_what_gardenlet_reads(replicas):
    wait_for(replicas.beats, "a heartbeat")
    lease = replicas.lease("gardener-extension-heartbeat")
    assert (lease["holderIdentity"], lease["leaseDurationSeconds"]) == ("cri-resmgr", 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", lease["renewTime"])


@pytest.mark.parametrize("flag", ["--kubeconfig=/nowhere", "--leader-election-renew-deadline=1h", "--image-vector=/"])
def test_bad_input_ends_it_with_2_before_anything_is_done(flag):
    command = [sys.executable, "-m", "extension.cli", "--leader-election-namespace=x", flag]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("gardener-extension-cri-resmgr: ")


def test_a_port_that_somebody_else_has_ends_it_with_2(replicas, garden):
    kubeconfig = garden.seed.account(replicas.namespace, "replica-a")
    address = f"--metrics-bind-address={replicas.address('replica-a')}"
    command = [sys.executable, "-m", "extension.cli", f"--kubeconfig={kubeconfig}", address]
    environment = {**os.environ, "LEADER_ELECTION_NAMESPACE": replicas.namespace}
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=REPOSITORY, env=environment, timeout=60, check=False
    )
    assert done.returncode == 2
    assert "give another place" in done.stderr


def test_a_process_that_is_interrupted_ends_as_at_sigterm(replicas):
    replicas.signal("replica-a", signal.SIGINT)
    wait_for(lambda: "extension.stopped" in replicas.log("replica-a"), "the end")
    assert replicas.lease()["holderIdentity"] == ""
