"""Which operation an Extension object asks for: Gardener's rules, in Gardener's order, as pure functions."""

from enum import Enum

from extension.contract import MIGRATE, RESTORE, SUCCEEDED, WAIT_FOR_STATE, Extension

ASKING = frozenset({"reconcile", MIGRATE, RESTORE})
"""The values of the operation annotation that want something done."""


class Operation(Enum):
    """The types of a lastOperation that we write."""

    CREATE = "Create"
    RECONCILE = "Reconcile"
    DELETE = "Delete"
    MIGRATE = "Migrate"
    RESTORE = "Restore"


_GOES_ON = frozenset({Operation.CREATE.value, Operation.MIGRATE.value, Operation.RESTORE.value})


def decide(extension: Extension) -> Operation | None:
    """What is to be done; None if the object wants to be left alone.

    An object that has been migrated belongs to another seed, until that is undone by a restore.
    """
    if extension.operation == WAIT_FOR_STATE:
        return None
    operation = _operation(extension)
    last = extension.last
    migrated = last is not None and last.kind == Operation.MIGRATE.value and extension.settled
    if migrated and operation not in {Operation.MIGRATE, Operation.RESTORE}:
        return None
    return operation


def _operation(extension: Extension) -> Operation:
    last = extension.last
    if extension.operation == MIGRATE:
        return Operation.MIGRATE
    if extension.deleted:
        return Operation.DELETE
    if extension.operation == RESTORE:
        return Operation.RESTORE
    if last is None:
        return Operation.CREATE
    if last.kind in _GOES_ON and last.state != SUCCEEDED:
        return Operation(last.kind)
    return Operation.RECONCILE


def is_asked(extension: Extension) -> bool:
    """Does somebody wait for us, so that the status must say how it went, even if nothing changes?

    A request that was taken off the object by somebody who died then is known by its time.
    """
    idle = extension.settled and extension.answered
    return extension.operation in ASKING or bool(extension.deleted) or not idle
