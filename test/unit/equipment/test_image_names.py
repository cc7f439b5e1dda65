"""hacks/image-names: what the images are called, whatever the caller has set."""

import os
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[3]


def reference(target: str, **settings: str) -> str:
    script = 'set -euo pipefail; source hacks/image-names; reference "$1"'
    environment = {"PATH": os.environ["PATH"], **settings}
    done = subprocess.run(
        ["bash", "-c", script, "bash", target], cwd=REPOSITORY, env=environment, check=True, capture_output=True,
        text=True, timeout=30,
    )  # fmt: skip
    return done.stdout.strip()


@pytest.mark.parametrize("registry", ["example.org/team", "example.org/team/"])
def test_a_registry_may_be_said_with_or_without_a_slash_at_its_end(registry):
    assert reference("agent", REGISTRY=registry, TAG="v1") == "example.org/team/gardener-extension-cri-resmgr-agent:v1"


def test_nothing_set_means_the_local_registry():
    assert reference("extension") == "localhost:5001/gardener-extension-cri-resmgr:latest"


def test_an_image_that_there_is_not_is_refused():
    with pytest.raises(subprocess.CalledProcessError) as caught:
        reference("operator")
    assert caught.value.returncode == 2
    assert "there is no image 'operator'" in caught.value.stderr
