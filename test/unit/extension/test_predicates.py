"""Which news are a reason to work; above all, what we write ourselves is none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.predicates import sight
from unit.extension.things import extension_object

LATER = "2026-08-21T11:00:00Z"


def seen(*arguments, **keywords):
    found = sight(extension_object(*arguments, **keywords))
    assert found is not None
    return found


@pytest.mark.parametrize("spec", [{"type": "other"}, {"type": "cri-resmgr-extension", "class": "seed"}, None, {}])
def test_others_are_not_seen(spec):
    assert sight({**extension_object(), "spec": spec}) is None


def test_class_of_shoots_may_be_said():
    assert sight({**extension_object(), "spec": {"type": "cri-resmgr-extension", "class": "shoot"}}) is not None


@pytest.mark.parametrize("operation", ["reconcile", "migrate", "restore"])
def test_new_annotation_is_a_reason(operation):
    assert seen(operation).wants_work_after(seen())
    assert seen(operation, requested=LATER).wants_work_after(seen(operation))


def test_waiting_for_state_is_none():
    assert not seen("wait-for-state").wants_work_after(seen())


def test_deletion_is_a_reason_once_and_again_when_gardenlet_repeats_it():
    assert seen(deleted=True).wants_work_after(seen())
    assert not seen(deleted=True, labels={"a": "b"}).wants_work_after(seen(deleted=True))
    assert seen(deleted=True, requested=LATER).wants_work_after(seen(deleted=True))


STATUSES = st.tuples(
    st.sampled_from(["Create", "Reconcile", "Delete", "Migrate", "Restore"]),
    st.sampled_from(["Processing", "Error", "Succeeded"]),
)


@given(STATUSES, STATUSES, st.sampled_from(["", "migrate", "restore"]), st.booleans())
def test_our_own_statuses_are_no_reason(before, after, operation, deleted):
    old = seen(operation, before, deleted=deleted)
    new = seen(operation, after, deleted=deleted, updated=LATER, finalizers=["ours"], resourceVersion="8")
    assert not new.wants_work_after(old)


def test_taking_the_annotation_off_is_no_reason():
    assert not seen().wants_work_after(seen("reconcile"))


def test_new_spec_is_a_reason_only_where_the_last_operation_has_failed():
    failed = ("Reconcile", "Error")
    assert seen(last=failed, generation=3).wants_work_after(seen(last=failed))
    assert not seen(generation=3).wants_work_after(seen())


def test_what_is_first_seen_has_work_if_somebody_waits():
    assert not seen().asking
    assert seen("reconcile").asking
    assert seen(deleted=True).asking
    assert seen(last=None).asking
    assert seen(requested=LATER).asking


def test_resource_of_what_is_deleted_or_migrated_is_on_its_way_out():
    assert [seen(deleted=True).leaving, seen("migrate").leaving, seen(last=("Migrate", "Error")).leaving] == [True] * 3
    assert not seen("reconcile").leaving
