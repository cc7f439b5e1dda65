"""What a shoot has beside its objects comes with the Extension, follows the options, and goes with it."""

import base64
import json
from dataclasses import replace

import pytest

from extension.certifying import KEYS
from extension.options import Options
from extension.rendering.monitoring import PARTS
from garden.replicas import installed
from garden.running import Seed, running

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go]
MONITORING, CERTIFICATE = "extension-monitoring-cri-resmgr", "cri-resmgr-webhook-certificate"
WEBHOOK = {"webhook": True}


@pytest.fixture
def seed(garden, shoot):
    return Seed(garden.seed.api, shoot.namespace)


def options(*parts: str) -> Options:
    return Options(poll_s=0.1, applied_s=0.0, monitoring=parts)


def monitoring(seed: Seed):
    return seed.api.find(seed.path("managedresources", MONITORING))


def certificate(seed: Seed):
    return seed.api.find(seed.path("secrets", CERTIFICATE))


def reconciled(gardenlet, shoot) -> None:
    gardenlet.reconcile(shoot)
    gardenlet.wait(shoot)


def removed(gardenlet, shoot, seed) -> None:
    gardenlet.delete(shoot)
    seed.wait_for(seed.uninstalls, "the uninstall form")
    seed.manages()
    gardenlet.wait_gone(shoot)


def test_monitoring_and_certificate_come_and_go_with_the_extension(garden, gardenlet, shoot, seed):
    with running(garden.seed.kubeconfig, options(*PARTS)):
        reconciled(gardenlet, replace(shoot, provider_config=WEBHOOK))
        resource = monitoring(seed)
        assert resource["spec"]["class"] == "seed"
        (ref,) = resource["spec"]["secretRefs"]
        text = base64.b64decode(seed.api("GET", seed.path("secrets", ref["name"]))["data"]["data"]).decode()
        things = [json.loads(part) for part in text.split("---\n") if part.strip()]
        assert [thing["kind"] for thing in things] == ["ScrapeConfig", "PrometheusRule", "ConfigMap"]
        assert {thing["metadata"]["namespace"] for thing in things} == {shoot.namespace}
        kept = {key: base64.b64decode(value) for key, value in certificate(seed)["data"].items()}
        assert set(kept) == set(KEYS)
        served = seed.objects()["Secret", "cri-resmgr-webhook"]["data"]
        assert base64.b64decode(served["tls.crt"]) == kept["tls.crt"]
        assert "ca.key" not in served
        removed(gardenlet, shoot, seed)
        assert (monitoring(seed), certificate(seed), seed.secrets()) == (None, None, [])


def test_a_reconciliation_that_changes_nothing_keeps_the_certificate(garden, gardenlet, shoot, seed):
    with running(garden.seed.kubeconfig, options()):
        reconciled(gardenlet, replace(shoot, provider_config=WEBHOOK))
        before = seed.resource()["spec"]
        for _ in range(2):
            reconciled(gardenlet, replace(shoot, provider_config=WEBHOOK))
        assert seed.resource()["spec"] == before
        removed(gardenlet, shoot, seed)


def test_monitoring_that_is_switched_off_goes_at_the_next_reconciliation(garden, gardenlet, shoot, seed):
    with running(garden.seed.kubeconfig, options("dashboard")):
        reconciled(gardenlet, shoot)
        assert monitoring(seed)
    with running(garden.seed.kubeconfig, options()):
        reconciled(gardenlet, shoot)
        assert monitoring(seed) is None
        assert len(seed.secrets()) == 1
        assert certificate(seed) is None
        removed(gardenlet, shoot, seed)


def test_the_process_keeps_all_of_it_with_the_rights_of_its_chart(garden, gardenlet, shoot, seed, tmp_path):
    (tmp_path / "mirror").write_text('{"auths": {}}')
    wanted = replace(shoot, provider_config=WEBHOOK)
    with installed(garden, "replica-a") as replicas:
        replicas.start("replica-a", f"--monitoring={','.join(PARTS)}", f"--pull-secrets-directory={tmp_path}")
        replicas.wait_leading("replica-a")
        reconciled(gardenlet, wanted)
        assert monitoring(seed)
        assert ("Secret", "mirror") in seed.objects()
        first = certificate(seed)
        spoilt = {"data": {"tls.crt": base64.b64encode(b"nonsense").decode()}}
        seed.api.merge(seed.path("secrets", CERTIFICATE), spoilt)
        reconciled(gardenlet, wanted)
        mended = certificate(seed)
        assert mended["data"]["tls.crt"] not in {first["data"]["tls.crt"], spoilt["data"]["tls.crt"]}
        assert mended["data"]["ca.crt"] == first["data"]["ca.crt"]
        seed.manages()
        removed(gardenlet, wanted, seed)
        assert [write for write in replicas.writes() if write.status in {401, 403}] == []
        assert "api.refused" not in replicas.log("replica-a")
