"""Which news about an Extension are a reason to work: Gardener's predicates, without those that need a request.

What is kept of an Extension has nothing that we write ourselves as a reason to work, so our own writes never come
back as work.  Two things go beyond Gardener's: an object whose last operation failed is worked on at once when its
spec changes, since that may be what repairs it; and it is looked at again when its Cluster changes.
"""

from dataclasses import dataclass

from cri_resmgr.kube.resources import Object
from extension.contract import MIGRATE, extension, is_of_our_type
from extension.operations import ASKING, Operation


@dataclass(frozen=True, slots=True)
class Sight:
    """What is kept of an Extension while nothing happens to it."""

    operation: str
    requested: str
    generation: int
    deleting: bool
    unfinished: bool
    """Its last operation has not succeeded, or is older than what gardenlet asks for."""
    leaving: bool
    """It is being deleted or migrated: its ManagedResource is on its way out."""

    @property
    def reason(self) -> tuple[str, str, int, bool]:
        """What must change for work to begin."""
        return self.operation, self.requested, self.generation, self.deleting

    @property
    def asking(self) -> bool:
        """Is there something to do for it, whatever happened before?"""
        return self.operation in ASKING or self.deleting or self.unfinished

    def wants_work_after(self, old: "Sight") -> bool:
        """Is what has changed a reason to work?"""
        if self.reason == old.reason:
            return False
        repaired = old.unfinished and self.generation != old.generation
        return self.operation in ASKING or self.deleting or repaired


def sight(thing: Object) -> Sight | None:
    """What to keep of an Extension; None if it is none of ours."""
    if not is_of_our_type(thing):
        return None
    seen = extension(thing)
    migrating = seen.operation == MIGRATE or (seen.last is not None and seen.last.kind == Operation.MIGRATE.value)
    return Sight(
        operation=seen.operation,
        requested=seen.requested,
        generation=seen.generation,
        deleting=bool(seen.deleted),
        unfinished=not (seen.settled and seen.answered),
        leaving=bool(seen.deleted) or migrating,
    )
