"""What is rendered arrives in a shoot as it was meant, by the real gardener-resource-manager."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from equipment.charts import collection
from equipment.garden import Garden
from equipment.gardenlet import conditions
from equipment.processes import wait_for
from extension.certificates import issued
from extension.rendering import Installation, managed_resource, objects
from extension.rendering.inputs import PullSecret
from unit.extension.rendering.installations import IMAGES

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go]
ODD = "policy: {Active: none}\n# \u0085 \u2028 \ufeff \x7f 😀 é \t {{ no }} ${no} --- \"'\\\n---\n"
DEADLINE_S = 60
PATH = "/apis/resources.gardener.cloud/v1alpha1/namespaces/{}/managedresources"


@pytest.fixture(name="namespace")
def _namespace(garden: Garden):
    """A namespace of the seed whose ManagedResources are applied to the shoot."""
    name = f"shoot--test--{uuid4().hex[:8]}"
    garden.seed.api("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
    garden.shoot  # noqa: B018 - it is started when it is first asked for
    garden.start_resource_manager(name)
    yield name
    path = f"{PATH.format(name)}/extension-runtime-cri-resmgr"
    garden.seed.api.discard(path)
    wait_for(lambda: garden.seed.api.find(path) is None, "the ManagedResource to be gone", DEADLINE_S)
    garden.stop_resource_manager()


def bring(garden: Garden, namespace: str, installation: Installation, *, healthy: bool) -> None:
    """Put it into the seed, and return when the shoot has it, and is healthy if there are controllers for that."""
    secret, resource = managed_resource(namespace=namespace, objects=objects(installation))
    garden.seed.api("POST", f"/api/v1/namespaces/{namespace}/secrets", secret)
    path = PATH.format(namespace)
    name = resource["metadata"]["name"]
    if garden.seed.api.find(f"{path}/{name}"):
        garden.seed.api.merge(f"{path}/{name}", {"spec": resource["spec"]})
    else:
        garden.seed.api("POST", path, resource)
    wanted = {"ResourcesApplied", "ResourcesHealthy"} if healthy else {"ResourcesApplied"}
    wait_for(lambda: wanted <= true_of(garden, f"{path}/{name}"), "the shoot to have it", DEADLINE_S)


def true_of(garden: Garden, path: str) -> set[str]:
    """The conditions that are true of the newest form."""
    found = garden.seed.api("GET", path)
    said = conditions(found)
    assert said.get("ResourcesApplied", {}).get("status") != "False", said
    newest = found.get("status", {}).get("observedGeneration") == found["metadata"]["generation"]
    return {kind for kind, each in said.items() if each["status"] == "True"} if newest else set()


def has(garden: Garden, thing: dict[str, Any]) -> Any:
    """An object as the shoot has it, or None."""
    return garden.shoot.api.find(f"{collection(garden.shoot.api, thing)}/{thing['metadata']['name']}")


def test_an_installation_arrives_to_the_byte_and_leaves_but_for_the_uninstall_form(garden, namespace):
    installation = Installation(
        images=(IMAGES,),
        configs={"force": ODD, "default": "policy: {Active: none}"},
        webhook=issued(datetime.now(UTC)).served,
        pull_secrets=(PullSecret("mirror", json.dumps({"auths": {ODD: {}}})),),
    )
    bring(garden, namespace, installation, healthy=False)  # nobody runs a Deployment here
    installed = objects(installation)
    for thing in installed:
        found = has(garden, thing)
        assert found.get("data") == thing.get("data"), thing["metadata"]["name"]
        assert thing["metadata"].get("labels", {}).items() <= found["metadata"]["labels"].items()
    assert ODD in [value for thing in installed for value in thing.get("data", {}).values()]

    uninstall = objects(Installation(images=(IMAGES,), form="uninstall"))
    bring(garden, namespace, Installation(images=(IMAGES,), form="uninstall"), healthy=True)
    stays = {(thing["kind"], thing["metadata"]["name"]) for thing in uninstall}
    for thing in installed:
        kept = (thing["kind"], thing["metadata"]["name"]) in stays
        wait_for(lambda thing=thing, kept=kept: bool(has(garden, thing)) is kept, str(thing["metadata"]), DEADLINE_S)
    (form,) = (thing for thing in uninstall if thing["kind"] == "DaemonSet")
    found = has(garden, form)
    assert [each["name"] for each in found["spec"]["template"]["spec"]["initContainers"]] == ["removal"]
    for labels in (found["metadata"]["labels"], found["spec"]["template"]["metadata"]["labels"]):
        assert "node.gardener.cloud/critical-component" not in labels
