"""The installation's image as a plain container, on a node that knows no API server: pulled, run once for each verb."""

import json
import time
from collections.abc import Iterator

import pytest

from equipment import built_images
from installer.options import SERVICE
from node.cluster_fixtures import run_directory
from node.installing import PLAIN, RELAY, Node, node

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(400)]

# As the DaemonSet has it: privileged, the host's network and processes, the host's root at /host.
RUN = (
    "ctr", "run", "--rm", "--privileged", "--net-host", "--with-ns=pid:/proc/1/ns/pid",
    "--mount=type=bind,src=/,dst=/host,options=rbind:rw",
)  # fmt: skip
__all__ = ["node"]


@pytest.fixture
def image(node: Node, shown) -> Iterator[str]:
    """Pulled by the node's own containerd."""
    with shown():
        built_images.built()
    with built_images.served(run_directory("container-registry")) as images:
        reference = images.reference("installation")
        node.sandbox.inside("ctr", "image", "pull", "--plain-http", reference, deadline_s=120)
        yield reference


def test_it_installs_upgrades_nothing_twice_says_how_it_is_and_takes_all_of_it_away(node: Node, image: str):
    tree, units = node.tree(), node.units()

    def run(verb: str, *flags: str) -> str:
        name = f"once-{time.monotonic_ns()}"
        return node.sandbox.inside(
            *RUN, image, name, "cri-resmgr-installer", verb, "--host-root=/host", *flags, deadline_s=120
        )

    begun_s = time.monotonic()
    run("install", "--bundle=/bundle")
    print(f"\ninstalled from the image in {time.monotonic() - begun_s:.1f} s")
    assert node.endpoint() == RELAY
    assert run("probe") == "installed\n"
    status = json.loads(run("status", "--output=json"))
    assert (status["state"], status["problems"]) == ("installed", [])
    pids = [node.sandbox.show(unit, "MainPID") for unit in ("kubelet", SERVICE)]
    run("install", "--bundle=/bundle")
    assert [node.sandbox.show(unit, "MainPID") for unit in ("kubelet", SERVICE)] == pids
    node.add_pod("placed")
    node.remove_pods()
    run("uninstall")
    assert node.endpoint() == PLAIN
    assert node.tree() == tree
    assert node.units() == units
