"""What the README tells people to type in a garden, in its order, in a shell that knows the three kubeconfigs."""

import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "README.md").read_text()
SECTION = re.search(r"^## Deploy it to Gardener$(.*?)^## ", TEXT, re.MULTILINE | re.DOTALL)[1]
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)
DEADLINE_S = 300


@pytest.fixture
def shell(chain, tmp_path):
    """Runs a block in the checkout; its output."""
    paths = {"GARDEN": chain.garden.kubeconfig, "SEED": chain.kubeconfig, "SHOOT": chain.kubeconfig}
    environment = {
        "PATH": f"{chain.kubectl.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path),  # kubectl keeps a cache there
        **{key: str(path) for key, path in paths.items()},
    }

    def run(block: str) -> str:
        command = ["bash", "-euo", "pipefail", "-c", block]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=DEADLINE_S, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    return run


@pytest.mark.label("enable", "disable")
@pytest.mark.local_only
def test_the_commands_of_the_readme_register_it_switch_it_on_show_it_and_take_it_away(shell, landscape, user):
    register, switch_on, await_it, look, take_away = BLOCKS
    user.disable()
    said = shell(register)
    assert all(
        f"{kind}.core.gardener.cloud/cri-resmgr-extension" in said
        for kind in ("controllerregistration", "controllerdeployment")
    )
    landscape.values()  # as step 1 says: the images of this landscape
    user.run_pod("stays")
    before = user.container("stays")
    shell(switch_on)
    shell(await_it)
    user.wait_installed()  # a kubelet that was restarted calls every pod ready, before it has asked it
    said = shell(look)
    assert re.search(r"^installed ", said, re.MULTILINE)
    assert user.get()["spec"]["extensions"][0]["providerConfig"]["configs"], "the patch leaves the rest as it is"
    assert {"default", "group.batch"} <= user.configs().keys()
    assert "No resources found" in shell(take_away)
    assert (user.container("stays"), user.daemon_sets(), user.configs()) == (before, {}, {})
    user.delete_pod("stays")
