"""A store as a daemon leaves it behind, for whoever reads it."""

from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cri_resmgr.config import remembered
from cri_resmgr.config.settings import Settings
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.values import events as events_
from cri_resmgr.values import machine_texts
from cri_resmgr.values.events import Event
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, Pod


@contextmanager
def kept(
    directory: Path,
    pods: Iterable[Pod] = (),
    containers: Iterable[Container] = (),
    *,
    machine: Machine | None = None,
    settings: Settings | None = None,
    events: Iterable[Event] = (),
) -> Iterator[Store]:
    """The store with this in it, in use until the end of the block."""
    with closing(Store.open(directory)) as store:
        ledger = Ledger()
        for pod in pods:
            ledger.put_pod(pod)
        for container in containers:
            ledger.put(container)
        store.write(ledger.take_changes())
        store.set(events_.META_KEY, events_.written(events))
        if machine is not None:
            store.set(machine_texts.META_KEY, machine_texts.written(machine))
        if settings is not None:
            store.set(remembered.META_KEY, settings.to_json())
        yield store
