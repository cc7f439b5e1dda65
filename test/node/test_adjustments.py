"""Adjustments as their users handle them: kubectl, a real API server, agent and daemon as processes.

Each command of the setup guide is here as it stands there; only `jq` is Python.
"""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from equipment.kubectl import KubectlError
from equipment.processes import wait_for
from node.agents import NODE, Scene, scene
from node.kube_fixtures import *  # noqa: F403 - a fixture, as if it stood here
from unit.cli.daemons import run_pod

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

EXAMPLES = Path(__file__).parents[2] / "examples"
SCHEMA, SAMPLE = EXAMPLES / "adjustment-schema.yaml", EXAMPLES / "external-adjustment.yaml"
ADJUSTMENTS = "adjustments.criresmgr.intel.com"
PATIENCE_S = 60.0
DEADLINE_S = 60
MI = 1 << 20


class Users(Scene):
    """A scene with Adjustments."""

    def written(self, name: str, scope: list[Any], **said: Any) -> Path:
        """A file with an Adjustment."""
        path = self.root / f"{name}.yaml"
        metadata = {"name": name, "namespace": "kube-system"}
        spec = {"scope": scope, **said}
        body = {"apiVersion": "criresmgr.intel.com/v1alpha1", "kind": "Adjustment", "metadata": metadata, "spec": spec}
        path.write_text(yaml.safe_dump(body))
        return path

    def statuses(self) -> list[Any]:
        """`… -ojson | jq '.items[].status'`."""
        said = json.loads(self.kubectl("get", "-n", "kube-system", ADJUSTMENTS, "-ojson"))
        return [item.get("status") for item in said["items"]]

    def wait_statuses(self, *errors: dict[str, str]) -> None:
        """Wait until the status of all is of exactly the guide's shape, with these errors."""
        wanted = [{"nodes": {NODE: {"errors": one}}} for one in errors]
        wait_for(lambda: self.statuses() == wanted, f"statuses {wanted}", PATIENCE_S)

    def has(self, container: str) -> tuple[int, int, int]:
        """Shares, quota and limit of memory that the runtime was told."""
        has = self.runtime.containers[container].has
        return has.cpu_shares, has.cpu_quota, has.memory_limit_in_bytes

    def wait_has(self, container: str, *wanted: int) -> float:
        """Wait until the runtime was told so; the seconds that it took."""
        begun_s = time.monotonic()
        wait_for(lambda: self.has(container) == wanted, f"{wanted}, not {self.has(container)}", PATIENCE_S)
        return time.monotonic() - begun_s


@pytest.fixture(name="here")
def _here(api_server: Any, tmp_path: Path) -> Iterator[Users]:
    with scene(api_server, tmp_path, Users) as made:
        try:
            made.kubectl("apply", "-f", SCHEMA)
            made.kubectl("wait", "--for=condition=Established", f"crd/{ADJUSTMENTS}", "--timeout=30s")
            yield made
        finally:
            made.kubectl("delete", "--ignore-not-found", "-f", SCHEMA)


def scoped(*values: str) -> list[Any]:
    """Containers of pods with these names on our node."""
    return [
        {
            "nodes": [f"{NODE[:4]}*"],
            "containers": [{"key": "pod/name", "operator": "In", "values": list(values)}],
        }
    ]


def test_every_command_of_the_guide_works(here: Users):
    here.agent.start()
    assert "external-adjustment created" in here.kubectl("apply", "-f", SAMPLE)
    listed = here.kubectl("get", ADJUSTMENTS, "-n", "kube-system").splitlines()
    assert listed[0].split() == ["NAME", "CPU", "MEMORY", "RDT", "BLOCKIO", "AGE"]
    assert listed[1].split()[:5] == ["external-adjustment", "1500m", "750Mi", "rdt-class-1", "blockio-class-1"]
    assert "Operator:  Matches" in here.kubectl("describe", "adjustments", "external-adjustment", "-n", "kube-system")
    name = f"{ADJUSTMENTS}/external-adjustment"
    one = yaml.safe_load(here.kubectl("get", name, "-n", "kube-system", "-oyaml"))
    assert one["spec"] == yaml.safe_load(SAMPLE.read_text())["spec"], "nothing is pruned"
    assert len(yaml.safe_load(here.kubectl("get", ADJUSTMENTS, "-n", "kube-system", "-oyaml"))["items"]) == 1
    here.kubectl("delete", "-f", SAMPLE)
    here.kubectl("apply", "-f", SAMPLE)
    here.kubectl("delete", name, "-n", "kube-system")
    assert here.statuses() == []
    assert "several joined" in here.kubectl("explain", "adjustments.spec.scope.containers.key").replace("\n   ", "")


def test_it_is_applied_to_what_runs_and_comes_and_taken_back(here: Users):
    with here.daemon.client() as client:
        _, running = run_pod(client, "web")
    assert here.has(running) == (512, 0, 0)
    resources = {"limits": {"cpu": "1500m", "memory": "64Mi"}, "requests": {"cpu": 1}}
    here.agent.start()
    here.wait_told("adjustments.given")
    here.kubectl("apply", "-f", here.written("more", scoped("web", "late"), resources=resources))
    took_s = here.wait_has(running, 1024, 150_000, 64 * MI)
    print(f"kubectl apply to applied: {took_s:.2f} s")
    with here.daemon.client() as client:
        _, late = run_pod(client, "late")
        assert here.has(late) == (1024, 150_000, 64 * MI), "with its creation"
    here.wait_statuses({})
    here.daemon.kill()
    here.daemon.start()
    with here.daemon.client() as client:
        _, later = run_pod(client, "web")
        assert here.has(later) == (1024, 150_000, 64 * MI), "whether the agent has come or not"
    here.wait_told("adjustments.given", 3)
    here.kubectl("delete", f"{ADJUSTMENTS}/more", "-n", "kube-system")
    here.wait_has(running, 512, -1, -1)
    assert here.statuses() == []


def test_a_conflict_is_on_both_and_nothing_is_applied_until_it_is_resolved(here: Users):
    with here.daemon.client() as client:
        _, container = run_pod(client, "my-pod")
    here.agent.start()
    limit, more = {"limits": {"memory": "64Mi"}}, {"limits": {"memory": "128Mi"}}
    one = here.written("adjustment-1", scoped("my-pod"), resources=limit)
    two = here.written("adjustment-2", scoped("my-pod"), resources=more)
    here.kubectl("apply", "-f", one, "-f", two)
    conflict = {container: "cache: conflicting adjustments for my-pod:c: adjustment-1,adjustment-2"}
    here.wait_statuses(conflict, conflict)
    assert here.has(container)[2] in {0, 64 * MI, 128 * MI}  # the first may have come alone
    stands = here.has(container)
    here.daemon.kill()
    here.daemon.start()
    here.wait_told("adjustments.given", 3)
    assert here.has(container) == stands
    here.wait_statuses(conflict, conflict)
    here.kubectl("apply", "-f", here.written("adjustment-2", scoped("another"), resources=more), "-f", one)
    here.wait_statuses({}, {})
    here.wait_has(container, 512, 0, 64 * MI)
    assert here.agent.ready()[1].count("conflicting") == 0


def test_what_this_node_cannot_apply_or_nobody_can_is_said_and_leaving_the_scope_ends_it(here: Users):
    with here.daemon.client() as client:
        _, container = run_pod(client, "web")
    here.agent.start()
    here.kubectl("apply", "-f", here.written("gold", scoped("web"), classes={"rdt": "gold"}))
    here.wait_statuses({"gold": "not applied on this node: RDT class 'gold': there is no rdt controller"})
    bad = {"requests": {"cpu": 2}, "limits": {"cpu": 1}}
    here.kubectl("apply", "-f", here.written("gold", scoped("web"), resources=bad))
    here.wait_statuses({"gold": "spec.resources.requests.cpu: 2 is more than the limit, 1; make one fit the other"})
    elsewhere = [{"nodes": ["elsewhere"]}]
    here.kubectl("apply", "-f", here.written("gold", elsewhere, resources={"limits": {"cpu": 1}}))
    wait_for(lambda: here.statuses() == [{"nodes": {}}], "our entry to go", PATIENCE_S)
    assert here.has(container) == (512, 0, 0)


@pytest.mark.parametrize(
    ("scope", "said", "complaint"),
    [
        ([{"containers": [{"key": "a", "operator": "Like"}]}], {}, "spec.scope[0].containers[0].operator"),
        ([{"containers": [{"key": "a", "operator": "Equals"}]}], {}, "this operator takes one value"),
        ([{"containers": [{"key": "a", "operator": "Exists", "values": ["b"]}]}], {}, "takes no values"),
        ([{"nodes": "node-1"}], {}, "spec.scope[0].nodes"),
        ([], {"resources": {"limits": {"cpu": "two"}}}, "spec.resources.limits.cpu"),
        ([], {"resources": {"limits": {"cpu": -2}}}, "spec.resources.limits.cpu"),
        ([], {"resources": {"limits": {"gpu": 1}}}, "spec.resources.limits.gpu"),
        ([], {"toptierLimit": "lots"}, "spec.toptierLimit"),
        ([], {"color": "red"}, "spec.color"),
    ],
)
def test_the_api_server_refuses_what_is_wrong_with_its_path(here: Users, scope: Any, said: Any, complaint: str):
    with pytest.raises(KubectlError) as refused:
        here.kubectl("apply", "-f", here.written("wrong", scope, **said))
    assert complaint.replace(".spec", "spec") in str(refused.value).replace('unknown field "', "")
