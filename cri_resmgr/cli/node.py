"""Everything between the two sockets, put together: store, ledger, policy, hooks, taps, relay."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.site import NONE, Site
from cri_resmgr.config import remembered
from cri_resmgr.config.settings import Settings
from cri_resmgr.cri import methods
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.host.cgroups import effective_of
from cri_resmgr.host.hints import hints
from cri_resmgr.manager.adjusting import Adjuster
from cri_resmgr.manager.book import Book
from cri_resmgr.manager.containers import Containers
from cri_resmgr.manager.deciding import Decider
from cri_resmgr.manager.drift import Drift, Means
from cri_resmgr.manager.enforcing import Enforcer
from cri_resmgr.manager.events import Events
from cri_resmgr.manager.exporting import Exporter
from cri_resmgr.manager.exports import Exports
from cri_resmgr.manager.hinting import Hinter
from cri_resmgr.manager.placing import Placing
from cri_resmgr.manager.pods import Pods
from cri_resmgr.manager.reconciling import Reconciler
from cri_resmgr.manager.reconfiguring import Reconfigurer
from cri_resmgr.manager.statuses import Statuses
from cri_resmgr.manager.tapping import ListTaps, either
from cri_resmgr.manager.unplaced import Unplaced
from cri_resmgr.observe import logging
from cri_resmgr.observe.dump import Dumper
from cri_resmgr.observe.dump_qualifiers import qualifier
from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.elsewhere import served_by, served_by_nobody
from cri_resmgr.relay.hooks import Hook
from cri_resmgr.relay.opening import opener
from cri_resmgr.relay.server import Relay
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.state.writer import Writer
from cri_resmgr.values import adjustments, machine_texts
from cri_resmgr.values.events import META_KEY, Kind
from cri_resmgr.values.workloads import Container
from cri_resmgr.wire.client import Client

log = logging.get("cri-resmgr")


@dataclass(frozen=True, slots=True)
class Node:
    """The parts that others look at, open from `open` to `close`."""

    counters: Counters
    store: Store
    writer: Writer
    book: Book
    decider: Decider
    enforcer: Enforcer
    unplaced: Unplaced
    events: Events
    adjuster: Adjuster
    exports: Exports
    drift: Drift
    reconciler: Reconciler
    reconfigurer: Reconfigurer
    dumper: Dumper
    relay: Relay
    images: Client  # of a separate image service

    @classmethod
    def open(cls, flags: Flags, settings: Settings, site: Site, *, runtime: Runtime) -> "Node":
        """Open the store and build the rest on it; raises `BadInput` and `Degraded` for the store's place."""
        store = Store.open(Path(flags.relay_dir))
        try:
            return _built(store, flags, settings, site=site, runtime=runtime)
        except BaseException:
            store.close()
            raise

    def configure(self, settings: Settings) -> None:
        """Take over what can be changed while it runs."""
        self.dumper.configure(settings.dump)
        self.decider.on_error = settings.on_policy_error
        self.drift.every(settings.drift_interval_s)

    async def close(self) -> None:
        """Write what is pending and let go of the files."""
        self.images.close()
        self.book.placing.close()
        await self.enforcer.close()
        await self.exports.close()
        self.events.close()
        await self.writer.close()
        self.store.close()
        self.dumper.close()


def _built(store: Store, flags: Flags, settings: Settings, *, site: Site, runtime: Runtime) -> Node:
    ledger = Ledger(*store.load())
    writer = Writer(ledger, store)
    events = Events(partial(store.set, META_KEY), pods=ledger.pods, stored=store.get(META_KEY))
    decider = Decider(site.policy, budget_s=flags.call_budget_s, events=events)
    exports = Exports(Exporter(Path(flags.relay_dir), failed=partial(_export_failed, events)), decider)
    exports.sweep(ledger.containers)
    enforcer = Enforcer(ledger, writer, runtime, events=events, whole=cache(site.whole))
    unplaced = Unplaced(ledger, cpus=site.cpus)
    placing = Placing(ledger, decider, enforcer=enforcer, unplaced=unplaced, exported=exports.changed)
    book = Book(ledger, writer, placing, forgets=exports.gone)
    hinter = Hinter(partial(hints, root=site.root), needed=lambda: decider.policy.name != NONE)
    containers = Containers(book, enforcer, exports=exports, hinter=hinter, budget_s=flags.call_budget_s)
    kernel = partial(effective_of, root=site.root)
    means = Means(busy=enforcer.busy, pid_of=runtime.pid, effective=kernel, repair=enforcer.repair)
    reconciler = Reconciler(book, runtime, ledger_was_lost=store.rebuilt)
    dumper = Dumper(logging.get("message"))
    images, counters = Client(flags.image_socket), Counters(endless=methods.ENDLESS)
    taps = either(ListTaps(reconciler).tap_for, dumper.tap_for)
    qualify = partial(qualifier, pod=ledger.pods.get, container=ledger.by_id)
    hooks = Pods(book).hooks() | containers.hooks() | Statuses(ledger).hooks()
    dumped = {path: dumper.layer(hook, qualify) for path, hook in hooks.items()}
    services = {name: dumper.layer(hook, qualify) for name, hook in _elsewhere(flags, images).items()}
    node = Node(
        counters=counters,
        store=store,
        writer=writer,
        book=book,
        decider=decider,
        enforcer=enforcer,
        unplaced=unplaced,
        events=events,
        adjuster=Adjuster(book, decider, writer, events=events, stored=store.get(adjustments.META_KEY)),
        exports=exports,
        drift=Drift(ledger, events, means=means),
        reconciler=reconciler,
        reconfigurer=Reconfigurer(book, enforcer, writer, regime=site.regime),
        dumper=dumper,
        relay=Relay(flags.runtime_socket, opener(dumped, taps, services=services), counters=counters),
        images=images,
    )
    writer.keep(told(site, settings))
    node.configure(settings)
    return node


def _elsewhere(flags: Flags, images: Client) -> Mapping[str, Hook]:
    """Who answers for a service that is not the runtime's."""
    if flags.image_socket == flags.runtime_socket:
        return {}
    return {methods.IMAGE_SERVICE: served_by(images) if flags.image_socket else served_by_nobody}


def told(site: Site, settings: Settings) -> dict[str, str]:
    """What stands beside the ledger, so that who asks the store later sees what we saw, and what we were told."""
    return {machine_texts.META_KEY: machine_texts.written(site.machine), remembered.META_KEY: settings.to_json()}


def _export_failed(events: Events, container: Container, text: str) -> None:
    events.record(Kind.EXPORT_FAILED, container=container, text=text)
