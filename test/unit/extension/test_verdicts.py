"""What is said of a ManagedResource is what Gardener's own health check says."""

from dataclasses import replace

import pytest

from cri_resmgr.kube.resources import Ref
from extension.verdicts import GOOD, Managed, Report, managed, verdict

REF = Ref("shoot--p--s", "extension-runtime-cri-resmgr")
WELL = Managed(REF, generation=3, observed=3, applied=Report("True", ""), healthy=Report("True", ""))
PREFIX = 'managed resource "extension-runtime-cri-resmgr" in namespace "shoot--p--s" is unhealthy: '


def test_what_is_applied_and_healthy_is_good() -> None:
    assert verdict(REF, WELL) == GOOD
    assert GOOD.status == "True"


def test_what_is_not_there_is_bad() -> None:
    said = verdict(REF, None)
    assert (said.status, said.reason, said.codes) == ("False", "HealthCheckUnsuccessful", ())
    assert said.message == 'Managed Resource "extension-runtime-cri-resmgr" in namespace "shoot--p--s" not found.'


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"observed": 2}, f"observed generation of managed resource {REF} outdated (2/3)."),
        ({"applied": None}, f"condition ResourcesApplied for managed resource {REF} has not been reported yet."),
        ({"healthy": None}, f"condition ResourcesHealthy for managed resource {REF} has not been reported yet."),
        ({"applied": Report("False", "Oh")}, f"condition ResourcesApplied of managed resource {REF} is False: Oh."),
        (
            {"applied": Report("Progressing", "Going.")},
            f"condition ResourcesApplied of managed resource {REF} is Progressing: Going.",
        ),
        (
            {"healthy": Report("Unknown", "Pending")},
            f"condition ResourcesHealthy of managed resource {REF} is Unknown: Pending.",
        ),
    ],
)
def test_anything_else_is_bad_in_gardeners_words(change, reason) -> None:
    said = verdict(REF, replace(WELL, **change))
    assert (said.status, said.reason, said.message) == ("False", "HealthCheckUnsuccessful", PREFIX + reason)


def test_what_could_not_be_applied_is_told_rather_than_that_its_generation_is_not_observed() -> None:
    never = replace(WELL, observed=0, applied=Report("False", "error during apply of object x"), healthy=None)
    assert "error during apply of object x" in verdict(REF, never).message


def test_an_object_that_the_shoot_refuses_is_the_users_to_mend() -> None:
    text = 'error during apply of object "v1/ConfigMap/kube-system/A B": ConfigMap "A B" is invalid: metadata.name'
    assert verdict(REF, replace(WELL, applied=Report("False", text))).codes == ("ERR_CONFIGURATION_PROBLEM",)
    assert verdict(REF, replace(WELL, healthy=Report("False", "DaemonSet is not ready"))).codes == ()


@pytest.mark.parametrize(
    ("change", "settled"),
    [
        ({}, True),
        ({"healthy": Report("False", "")}, True),
        ({"applied": Report("False", ""), "healthy": None, "observed": 0}, True),
        ({"observed": 2}, False),
        ({"applied": None}, False),
        ({"healthy": None}, False),
        ({"healthy": Report("Unknown", "ChecksPending")}, False),
        ({"applied": Report("Progressing", "")}, False),
    ],
)
def test_between_a_change_and_its_outcome_nothing_is_settled(change, settled) -> None:
    assert replace(WELL, **change).settled is settled


def test_of_a_managed_resource_only_what_counts_is_kept() -> None:
    thing = {
        "metadata": {"namespace": REF.namespace, "name": REF.name, "generation": 3, "labels": {"a": "b"}},
        "spec": {"secretRefs": []},
        "status": {
            "observedGeneration": 3,
            "conditions": [
                {"type": kind, "status": "True", "message": "", "lastUpdateTime": "x"}
                for kind in ("ResourcesApplied", "ResourcesHealthy", "ResourcesProgressing")
            ],
        },
    }
    assert managed(thing) == WELL
    assert managed({"metadata": thing["metadata"]}) == replace(WELL, observed=0, applied=None, healthy=None)
