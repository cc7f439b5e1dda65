"""Everything between the two sockets, put together: store, ledger, policy, hooks, taps, relay."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from cri_resmgr.cli.flags import Flags
from cri_resmgr.config.settings import Settings
from cri_resmgr.cri import methods
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.manager.book import Book
from cri_resmgr.manager.containers import Containers
from cri_resmgr.manager.deciding import Decider
from cri_resmgr.manager.pods import Pods
from cri_resmgr.manager.reconciling import Reconciler
from cri_resmgr.manager.tapping import ListTaps, either
from cri_resmgr.observe import logging
from cri_resmgr.observe.dump import Dumper
from cri_resmgr.observe.dump_qualifiers import qualifier
from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Context
from cri_resmgr.relay.counters import Counters
from cri_resmgr.relay.elsewhere import served_by, served_by_nobody
from cri_resmgr.relay.opening import opener
from cri_resmgr.relay.server import Relay
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.machines import Machine
from cri_resmgr.wire.client import Client


@dataclass(frozen=True, slots=True)
class Node:
    """The parts that others look at, open from `open` to `close`."""

    counters: Counters
    store: Store
    writer: Writer
    book: Book
    decider: Decider
    reconciler: Reconciler
    dumper: Dumper
    relay: Relay
    images: Client  # of a separate image service

    @classmethod
    def open(cls, flags: Flags, settings: Settings, runtime: Runtime) -> "Node":
        """Open the store and build the rest on it; raises `BadInput` and `Degraded` for the store's place."""
        policy = registry.find(settings.policy.active).make(Context(Machine(0, (), (), (), ())))
        store = Store.open(Path(flags.relay_dir))
        ledger = Ledger(*store.load())
        writer = Writer(ledger, store)
        book = Book(ledger, writer)
        decider = Decider(policy, budget_s=flags.call_budget_s)
        reconciler = Reconciler(book, runtime)
        dumper = Dumper(logging.get("message"))
        dumper.configure(settings.dump)
        qualify = partial(qualifier, pod=ledger.pods.get, container=ledger.by_id)
        hooks = Pods(book).hooks() | Containers(book, decider, budget_s=flags.call_budget_s).hooks()
        dumped = {path: dumper.layer(hook, qualify) for path, hook in hooks.items()}
        images = Client(flags.image_socket)
        services = {}
        if flags.image_socket != flags.runtime_socket:
            hook = served_by(images) if flags.image_socket else served_by_nobody
            services[methods.IMAGE_SERVICE] = dumper.layer(hook, qualify)
        taps = either(ListTaps(reconciler).tap_for, dumper.tap_for)
        counters = Counters(endless=methods.ENDLESS)
        relay = Relay(flags.runtime_socket, opener(dumped, taps, services=services), counters=counters)
        return cls(counters, store, writer, book, decider, reconciler, dumper, relay, images)

    async def close(self) -> None:
        """Write what is pending and let go of the files."""
        self.images.close()
        await self.writer.close()
        self.store.close()
        self.dumper.close()
