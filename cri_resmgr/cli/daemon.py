"""The life of the daemon: read the configuration, claim the socket, meet the runtime, relay, drain, leave.

Nothing is changed before the input has been found good.  Then the socket comes first, so that clients queue instead
of failing; the runtime is met before anything is accepted; the ledger is reconciled while calls already pass.
"""

import asyncio
import gc
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

from cri_resmgr import __version__
from cri_resmgr.cli import configuring, pidfile
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.meeting import meet
from cri_resmgr.cli.node import Node
from cri_resmgr.cli.site import Site
from cri_resmgr.cli.systemd import kept_sockets, service_manager
from cri_resmgr.cli.watching import Watching, unhealthy
from cri_resmgr.config.settings import Settings
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.observe import logging
from cri_resmgr.relay.listener import Listener, open_listener
from cri_resmgr.wire.client import Client

DRAIN_S = 5.0
STARTING_S = 30.0  # how much more time systemd is asked for while the runtime is away
GC_THRESHOLDS = (50_000, 20, 50)  # few cycles are made here, and a ledger of thousands is slow to look through


def run(flags: Flags) -> int:
    """Be the daemon until SIGTERM; the exit code.  Raises `BadInput` and `Fatal`."""
    logging.configure(flags.logging)
    return asyncio.run(Daemon(flags).run())


class Daemon:
    """One run."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._systemd = service_manager(os.environ)
        self._kept = kept_sockets(os.environ)
        self._log = logging.get("cri-resmgr")
        self._stop, self._reload = asyncio.Event(), asyncio.Event()
        self._settings = Settings()
        self._config_error = ""

    async def run(self) -> int:
        """Live; the exit code."""
        _check_host_root(self._flags.host_root)
        self._listen_to_signals()
        self._log.info("daemon.starting", version=__version__, pid=os.getpid())
        self._settings = await configuring.read(self._flags)
        logging.configure(self._settings.logger.over(self._flags.logging))
        site = Site.survey(self._flags, self._settings)
        async with AsyncExitStack() as undo:
            listener = self._claim(undo)
            runtime = Runtime(Client(self._flags.runtime_socket))
            undo.callback(runtime.close)
            if await self._met(runtime):
                node = Node.open(self._flags, self._settings, site, runtime=runtime)
                undo.push_async_callback(node.close)
                await self._serve(node, listener)
        self._log.info("daemon.stopped")
        return 0

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGUSR1, logging.toggle_debug)
        loop.add_signal_handler(signal.SIGHUP, self._log.info, "config.unchanged")
        if self._flags.reload_signal is not None:
            loop.add_signal_handler(self._flags.reload_signal, self._reload.set)

    def _claim(self, undo: AsyncExitStack) -> Listener:
        """Take the PID file and the socket's path, or refuse to run twice."""
        pid_file = Path(self._flags.pid_file)
        pidfile.claim(pid_file)
        undo.callback(pidfile.release, pid_file)
        listener = open_listener(Path(self._flags.relay_socket), kept=self._kept)
        undo.callback(lambda: listener.close(unlink=not self._systemd))
        for name, kept in self._kept.items():
            if kept is not listener.socket:
                kept.close()
                self._systemd.forget(name)
        if not listener.inherited:
            self._systemd.keep(listener.name, listener.socket.fileno())
        return listener

    async def _met(self, runtime: Runtime) -> bool:
        """Wait for the runtime; False if we are stopped before it comes."""

        def waiting(waited_s: float) -> None:
            self._systemd.extend(STARTING_S)
            self._systemd.notify(f"STATUS=waiting for {self._flags.runtime_socket} for {waited_s:.0f} s")

        flags, loop = self._flags, asyncio.get_running_loop()
        meeting = loop.create_task(
            meet(runtime, flags.runtime_socket, allow_untested=flags.allow_untested_runtimes, waiting=waiting)
        )
        stopped = loop.create_task(self._stop.wait())
        try:
            await asyncio.wait({meeting, stopped}, return_when=asyncio.FIRST_COMPLETED)
            return meeting.done() and bool(meeting.result())
        finally:
            stopped.cancel()
            meeting.cancel()

    async def _serve(self, node: Node, listener: Listener) -> None:
        """Relay until we are told to stop, then finish what has begun."""
        watching = Watching(self._flags, node, reasons=lambda: self._unhealthy(node))
        await watching.apply(self._settings)
        async with AsyncExitStack() as undo, asyncio.TaskGroup() as tasks:
            undo.push_async_callback(watching.close)
            configuring.remember(self._flags, self._settings)
            node.relay.start(listener.socket)
            background = [
                tasks.create_task(node.reconciler.run()),
                tasks.create_task(node.drift.run()),
                tasks.create_task(self._rebalance(node)),
                tasks.create_task(self._follow_reloads(node, watching)),
                tasks.create_task(self._report_alive()),
            ]
            _calm_garbage_collector()
            status = f"STATUS=policy {self._settings.policy.active}"
            self._systemd.notify("READY=1", status)
            self._log.info("daemon.ready", socket=str(listener.path), policy=self._settings.policy.active)
            await self._stop.wait()
            self._systemd.notify("STOPPING=1", "STATUS=finishing calls")
            await node.relay.drain(DRAIN_S)
            for task in background:
                task.cancel()

    def _unhealthy(self, node: Node) -> list[str]:
        return unhealthy(node) + ([f"configuration: {self._config_error}"] if self._config_error else [])

    async def _follow_reloads(self, node: Node, watching: Watching) -> None:
        async def apply(settings: Settings) -> None:
            logging.configure(settings.logger.over(self._flags.logging))
            try:
                await watching.apply(settings)
            except BadInput:
                logging.configure(self._settings.logger.over(self._flags.logging))
                raise
            node.configure(settings)

        while True:
            await self._reload.wait()
            self._reload.clear()
            self._systemd.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                self._settings = await configuring.reread(self._flags, self._settings, apply)
                configuring.remember(self._flags, self._settings)
                self._config_error = ""
            except (BadInput, Degraded) as error:
                self._config_error = str(error)
                self._log.error("config.rejected", error=self._config_error)
            self._systemd.notify("READY=1")

    async def _rebalance(self, node: Node) -> None:
        """Let the policy put things right from time to time."""
        while self._flags.rebalance_interval_s:
            await asyncio.sleep(self._flags.rebalance_interval_s)
            node.book.placing.rebalance()

    async def _report_alive(self) -> None:
        """Tell the watchdog that the loop turns."""
        while self._systemd.watchdog_s:
            self._systemd.notify("WATCHDOG=1")
            await asyncio.sleep(self._systemd.watchdog_s / 3)


def _calm_garbage_collector() -> None:
    """What start-up made stays for ever: not to be looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _check_host_root(root: str) -> None:
    if root and not Path(root, "sys").is_dir():
        raise BadInput(f"--host-root {root}: there is no {root}/sys; name the directory that holds the host's /sys")
