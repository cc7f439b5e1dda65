import subprocess
import sys

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import grid
from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Context, CpuLimit


@pytest.mark.parametrize("name", sorted(registry.POLICIES))
def test_every_policy_is_made_under_its_own_name_and_described(name):
    entry = registry.find(name)
    assert entry.make(Context(grid(cores=2), reserved=CpuLimit(millicpu=750))).name == name
    assert entry.description.endswith(".")


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match=r"^'round-robin' is not a policy of this build; known: memtier, none, "):
        registry.find("round-robin")


def test_the_list_of_policies_imports_no_policy():
    modules = {entry.module for entry in registry.POLICIES.values()}
    program = f"import sys, cri_resmgr.policies.registry; print({modules} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


def test_a_policy_needs_nothing_that_the_daemon_does_not_have():
    program = (
        "import sys\n"
        "from importlib import import_module\n"
        "from cri_resmgr.policies import registry\n"
        "for entry in registry.POLICIES.values(): import_module(entry.module)\n"
        "print({'pydantic', 'yaml', 'grpc', 'kubernetes', 'aiohttp'} & set(sys.modules))"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        registry.POLICIES["mine"] = registry.POLICIES["none"]
