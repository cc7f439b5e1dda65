"""Changes to the metadata of an Extension, as merge patches: our finalizer, and the operation annotation.

A merge patch replaces the whole list of finalizers, so it carries the resourceVersion of the object whose list it was
made from: whoever has changed the list meanwhile wins, and we read again.
"""

from typing import Any

from extension.contract import FINALIZER, OPERATION, RECONCILE, Extension

Patch = dict[str, Any]


def claimed(extension: Extension, *, finalizer: bool) -> Patch | None:
    """The request to reconcile is taken off before the work, with our finalizer put on if it is wanted; or nothing."""
    patch: Patch = {}
    if extension.operation == RECONCILE:
        patch["annotations"] = {OPERATION: None}
    if finalizer and not extension.ours:
        patch["finalizers"] = [*extension.finalizers, FINALIZER]
        patch["resourceVersion"] = extension.version
    return {"metadata": patch} if patch else None


def released(extension: Extension) -> Patch:
    """Our finalizer is taken off, and no other."""
    rest = [name for name in extension.finalizers if name != FINALIZER]
    return {"metadata": {"finalizers": rest, "resourceVersion": extension.version}}


def abandoned() -> Patch:
    """All finalizers are taken off: the object moves to another seed."""
    return {"metadata": {"finalizers": None}}


def answered() -> Patch:
    """The operation annotation is taken off, after the work."""
    return {"metadata": {"annotations": {OPERATION: None}}}
