import subprocess
import sys

import pytest

from cri_resmgr.errors import BadInput
from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Context
from cri_resmgr.values.machines import Machine


@pytest.mark.parametrize("name", sorted(registry.POLICIES))
def test_every_policy_is_made_under_its_own_name_and_described(name):
    entry = registry.find(name)
    assert entry.make(Context(Machine(0, (), (), (), ()))).name == name
    assert entry.description.endswith(".")


def test_an_unknown_policy_is_refused_with_the_known_ones():
    with pytest.raises(BadInput, match=r"^'topology-aware' is not a policy of this build; known: none$"):
        registry.find("topology-aware")


def test_the_list_of_policies_imports_no_policy():
    program = "import sys, cri_resmgr.policies.registry; print('cri_resmgr.policies.none' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "False\n"


def test_the_registry_cannot_be_changed():
    with pytest.raises(TypeError):
        registry.POLICIES["mine"] = registry.POLICIES["none"]
