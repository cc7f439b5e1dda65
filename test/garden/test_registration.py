"""The manifests that register the extension are taken by the real gardener-apiserver, unknown fields being errors."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from equipment import cache, gardener
from equipment.charts import dry_run
from equipment.control_plane import ApiError
from equipment.garden import Garden, define
from equipment.gardener_api import GardenerApi, gardener_api
from equipment.kubectl import KubectlError
from equipment.tools import tool

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go]
EXAMPLES = Path("examples")
NAME = "cri-resmgr-extension"


@pytest.fixture(scope="module", name="api")
def _api(shown: Any) -> Iterator[GardenerApi]:
    with shown():
        tool("start-envtest")  # built, if need be, where one sees it
    with gardener_api(cache.directory() / "run" / "gardener-api") as api:
        yield api


@pytest.mark.parametrize("name", ["ctrldeploy-ctrlreg.yaml", "controllerdeployment-v1.yaml"])
def test_the_registration_is_applied_as_it_is_and_gets_gardeners_defaults(api, name):
    api.kubectl("apply", "-f", EXAMPLES / name)
    try:
        found = json.loads(api.kubectl("get", "controllerregistrations", NAME, "-ojson"))
        (resource,) = found["spec"]["resources"]
        assert resource["kind"] == "Extension"
        assert resource["type"] == NAME
        assert resource["clusterCompatibility"] == ["shoot"]
        assert "autoEnable" not in resource
        # Before any node is there, so that a new node finds a DaemonSet to wait for.
        assert resource["lifecycle"]["reconcile"] == "AfterKubeAPIServer"
        chart = (yaml.safe_load((EXAMPLES / "controllerdeployment-v1.yaml").read_text().split("\n---\n")[0]))["helm"]
        deployment = json.loads(api.kubectl("get", "controllerdeployments.v1.core.gardener.cloud", NAME, "-ojson"))
        assert deployment["helm"]["rawChart"] == chart["rawChart"]
        assert deployment["helm"]["values"] == chart["values"]
    finally:
        api.kubectl("delete", "-f", EXAMPLES / name)


def test_what_the_readme_of_the_predecessor_says_would_be_refused(api, tmp_path):
    text = (EXAMPLES / "ctrldeploy-ctrlreg.yaml").read_text()
    old = tmp_path / "old.yaml"
    old.write_text(
        text.replace("type: cri-resmgr-extension", "type: cri-resmgr-extension\n      globallyEnabled: false")
    )
    with pytest.raises(KubectlError, match="unknown field"):
        api.kubectl("apply", "-f", old)
    api.kubectl("delete", "-f", EXAMPLES / "ctrldeploy-ctrlreg.yaml", "--ignore-not-found")


def test_the_shoot_of_the_example_has_no_field_that_gardener_does_not_know(api, tmp_path):
    with pytest.raises(KubectlError) as caught:
        api.kubectl("create", "--dry-run=server", "-f", EXAMPLES / "shoot.yaml")
    assert "unknown field" not in str(caught.value)
    assert "garden-local" in str(caught.value) or "project" in str(caught.value).lower()
    wrong = tmp_path / "shoot.yaml"
    wrong.write_text((EXAMPLES / "shoot.yaml").read_text().replace("  region: local", "  regoin: local"))
    with pytest.raises(KubectlError, match="unknown field"):
        api.kubectl("create", "--dry-run=server", "-f", wrong)


def test_the_operator_takes_its_form(garden: Garden):
    path = gardener.module() / "example" / "operator" / "10-crd-operator.gardener.cloud_extensions.yaml"
    define(garden.seed.api, yaml.safe_load(path.read_text()))
    thing = yaml.safe_load((EXAMPLES / "operator-extension.yaml").read_text())
    assert dry_run(garden.seed.api, thing)["spec"]["deployment"]["extension"]["helm"]["ociRepository"]["ref"]
    thing["spec"]["deployment"]["extension"]["helm"] = {"rawChart": "x"}
    with pytest.raises(ApiError, match="unknown field"):
        dry_run(garden.seed.api, thing)
