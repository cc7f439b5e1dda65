"""Which operation an Extension asks for, by Gardener's own table."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from extension.contract import extension
from extension.operations import Operation, decide, is_asked
from unit.extension.things import extension_object

KINDS = ("Create", "Reconcile", "Delete", "Migrate", "Restore")
STATES = ("Processing", "Error", "Failed", "Pending", "Succeeded")


def operation_of(*arguments, **keywords):
    found = decide(extension(extension_object(*arguments, **keywords)))
    return found.value if found else None


def test_what_was_never_worked_on_is_created():
    assert operation_of("reconcile", None) == "Create"


@pytest.mark.parametrize("kind", ["Create", "Restore", "Migrate"])
@pytest.mark.parametrize("state", ["Processing", "Error"])
def test_what_has_not_succeeded_goes_on_as_what_it_was(kind, state):
    assert operation_of("reconcile", (kind, state)) == kind


@pytest.mark.parametrize("last", [("Create", "Succeeded"), ("Reconcile", "Error"), ("Restore", "Succeeded")])
def test_everything_else_is_reconciled(last):
    assert operation_of("reconcile", last) == "Reconcile"


def test_migration_comes_before_deletion_and_deletion_before_restoring():
    assert operation_of("migrate", deleted=True) == "Migrate"
    assert operation_of("restore", deleted=True) == "Delete"
    assert operation_of("restore") == "Restore"


@pytest.mark.parametrize(("operation", "deleted"), [("", False), ("reconcile", False), ("", True)])
def test_what_has_been_migrated_is_left_alone(operation, deleted):
    assert operation_of(operation, ("Migrate", "Succeeded"), deleted=deleted) is None


@pytest.mark.parametrize("operation", ["restore", "migrate"])
def test_what_has_been_migrated_can_come_back_or_be_migrated_again(operation):
    assert operation_of(operation, ("Migrate", "Succeeded")) == operation.capitalize()


@given(st.sampled_from(KINDS), st.sampled_from(STATES), st.booleans())
def test_nothing_is_done_while_the_state_is_waited_for(kind, state, deleted):
    assert operation_of("wait-for-state", (kind, state), deleted=deleted) is None


@given(st.sampled_from(["", "reconcile", "restore", "migrate"]), st.sampled_from(KINDS), st.sampled_from(STATES))
def test_what_is_deleted_is_never_installed(operation, kind, state):
    found = decide(extension(extension_object(operation, (kind, state), deleted=True)))
    assert found in {Operation.DELETE, Operation.MIGRATE, None}


def asked(*arguments, **keywords):
    return is_asked(extension(extension_object(*arguments, **keywords)))


def test_nobody_waits_for_an_answer_that_has_been_given():
    assert not asked()
    assert not asked("wait-for-state")


@pytest.mark.parametrize("operation", ["reconcile", "restore", "migrate"])
def test_annotation_asks(operation):
    assert asked(operation)


def test_what_is_deleted_or_has_not_succeeded_asks():
    assert asked(deleted=True)
    assert asked(last=("Create", "Error"))
    assert asked(last=None)


def test_request_whose_annotation_is_gone_asks_until_it_has_been_answered():
    assert asked(requested="2026-08-21T10:00:01.5Z")
    assert not asked(requested="2026-08-21T10:00:00.999999999Z"), "whole seconds count"
    assert asked(generation=3), "the answer was about another generation"
