"""The section that users write, and the settings that the policy gets."""

import json

import pytest
from pydantic import ValidationError

from cri_resmgr.policies.topology_aware.options import Section
from cri_resmgr.policies.topology_aware.settings import Settings, settings

SAID = {
    "PinCPU": False,
    "PinMemory": False,
    "PreferIsolatedCPUs": False,
    "PreferSharedCPUs": True,
    "ReservedPoolNamespaces": ["infra-*", "logging"],
    "ColocatePods": True,
    "ColocateNamespaces": True,
}


def carried(section: Section) -> Settings:
    """As it crosses the border to the daemon."""
    return settings(json.loads(json.dumps(section.model_dump(mode="json"))))


def test_a_section_that_says_nothing_is_the_default():
    assert carried(Section()) == Settings() == settings({})


def test_everything_that_is_said_reaches_the_policy():
    found = carried(Section.model_validate(SAID))
    assert found == Settings(
        pin_cpu=False,
        pin_memory=False,
        prefer_isolated_cpus=False,
        prefer_shared_cpus=True,
        reserved_pool_namespaces=("infra-*", "logging"),
        colocate_pods=True,
        colocate_namespaces=True,
    )


@pytest.mark.parametrize("key", SAID)
def test_a_key_means_one_thing_only(key):
    changed = {
        name
        for name in Settings.__slots__
        if getattr(carried(Section.model_validate({key: SAID[key]})), name) != getattr(Settings(), name)
    }
    assert len(changed) == 1


@pytest.mark.parametrize(
    "said", [{"PinCpu": True}, {"PinCPU": "true"}, {"ReservedPoolNamespaces": "a"}, {"ReservedPoolNamespaces": ["[a"]}]
)
def test_what_is_wrong_is_refused(said):
    with pytest.raises(ValidationError):
        Section.model_validate(said)


def test_old_keys_do_nothing_and_are_named():
    section = Section.model_validate({"PageMoveCount": 7, "PageMovePeriod": "1s"})
    assert section.without_effect() == ["PageMovePeriod", "PageMoveCount"]
    assert carried(section) == Settings()
