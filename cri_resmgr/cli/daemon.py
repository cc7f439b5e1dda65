"""The life of the daemon: read the configuration, claim the socket, meet the runtime, relay, drain, leave.

Nothing is changed before the input has been found good.  Then the socket comes first, so that clients queue instead
of failing; the runtime is met before anything is accepted; the ledger is reconciled while calls already pass.
"""

import asyncio
import contextlib
import gc
import os
import signal
import time
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

from cri_resmgr import __version__
from cri_resmgr.cli import answering, configuring, pidfile, resetting
from cri_resmgr.cli.answering import Answers
from cri_resmgr.cli.applying import Applier
from cri_resmgr.cli.configuring import InUse
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.meeting import meet
from cri_resmgr.cli.node import Node
from cri_resmgr.cli.page import serving as page
from cri_resmgr.cli.recording import serving
from cri_resmgr.cli.recording.serving import Recordings
from cri_resmgr.cli.systemd import kept_sockets, service_manager
from cri_resmgr.cli.watching import Watching, unhealthy
from cri_resmgr.config import child
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.observe import logging
from cri_resmgr.relay.listener import Listener, open_listener
from cri_resmgr.wire.client import Client

DRAIN_S = 5.0
STARTING_S = 30.0  # how much more time systemd is asked for while the runtime is away
GC_THRESHOLDS = (50_000, 20, 50)  # few cycles are made here, and a ledger of thousands is slow to look through


def run(flags: Flags) -> int:
    """Be the daemon until SIGTERM, or reset what the flags say; the exit code.  Raises `BadInput` and `Fatal`."""
    logging.configure(flags.logging)
    if flags.reset_config or flags.reset_policy:
        return resetting.run(flags)
    return asyncio.run(Daemon(flags).run())


class Daemon:
    """One run."""

    def __init__(self, flags: Flags) -> None:
        self._flags = flags
        self._systemd = service_manager(os.environ)
        self._kept = kept_sockets(os.environ)
        self._log = logging.get("cri-resmgr")
        self._stop, self._reload = asyncio.Event(), asyncio.Event()

    async def run(self) -> int:
        """Live; the exit code."""
        _check_host_root(self._flags.host_root)
        self._listen_to_signals()
        self._log.info("daemon.starting", version=__version__, pid=os.getpid())
        in_use = await configuring.begin(self._flags)
        async with AsyncExitStack() as undo:
            listener = self._claim(undo)
            runtime = Runtime(Client(self._flags.runtime_socket))
            undo.callback(runtime.close)
            if await self._met(runtime):
                node = Node.open(self._flags, in_use.settings, in_use.site, runtime=runtime)
                undo.push_async_callback(node.close)
                await self._serve(node, listener, in_use)
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

    async def _serve(self, node: Node, listener: Listener, begun_with: InUse) -> None:
        """Let others watch and configure us while we work."""
        watching = Watching(self._flags, node, reasons=lambda: _reasons(node, applier))
        applier = Applier(self._flags, node, watching, begun_with=begun_with)
        await watching.apply(begun_with.settings)
        async with AsyncExitStack() as undo:
            undo.push_async_callback(watching.close)
            await self._answer(applier, node, watching, undo)
            await page.serve(self._flags, node, applier, reasons=partial(_reasons, node, applier), undo=undo)
            await serving.serve(Recordings(self._flags, node, applier), Path(self._flags.relay_dir), undo)
            await self._work(node, listener, applier)

    async def _work(self, node: Node, listener: Listener, applier: Applier) -> None:
        """Relay until we are told to stop, then finish what has begun."""
        settings = applier.settings
        async with asyncio.TaskGroup() as tasks:
            configuring.remember(self._flags, settings)
            node.relay.start(listener.socket)
            background = [
                tasks.create_task(node.reconciler.run()),
                tasks.create_task(node.drift.run()),
                tasks.create_task(self._rebalance(node)),
                tasks.create_task(self._follow_reloads(applier)),
                tasks.create_task(self._report_alive()),
            ]
            _calm_garbage_collector()
            policy = settings.policy.active
            self._systemd.notify("READY=1", f"STATUS=policy {policy}")
            self._log.info("daemon.ready", socket=str(listener.path), policy=policy)
            await self._stop.wait()
            self._systemd.notify("STOPPING=1", "STATUS=finishing calls")
            await node.relay.drain(DRAIN_S)
            for task in background:
                task.cancel()

    async def _answer(self, applier: Applier, node: Node, watching: Watching, undo: AsyncExitStack) -> None:
        """Let the agent in, unless the configuration is forced."""
        if not self._flags.config_socket or self._flags.force_config:
            return
        path = Path(self._flags.config_socket)
        reasons = partial(_reasons, node, applier)
        answers = Answers(self._flags, applier, node, reasons=reasons, metrics=watching.text)
        server = await answering.serve(path, answers.handlers())
        undo.push_async_callback(answers.close)
        undo.push_async_callback(server.close)
        undo.callback(path.unlink, missing_ok=True)

    async def _follow_reloads(self, applier: Applier) -> None:
        while True:
            await self._reload.wait()
            self._reload.clear()
            self._systemd.notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
            await self._reread(applier)
            self._systemd.notify("READY=1", f"STATUS=policy {applier.settings.policy.active}")

    async def _reread(self, applier: Applier) -> None:
        """The forced file once more; what cannot be used is said, and changes nothing."""
        try:
            settings = await child.read(self._flags.force_config)
        except (BadInput, Degraded) as error:
            applier.refused(self._flags.force_config, error)
            return
        with contextlib.suppress(BadInput, Degraded):
            await applier.apply(settings)
            configuring.remember(self._flags, settings)

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


def _reasons(node: Node, applier: Applier) -> list[str]:
    return unhealthy(node) + ([f"configuration: {applier.error}"] if applier.error else [])


def _calm_garbage_collector() -> None:
    """What start-up made stays for ever: not to be looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def _check_host_root(root: str) -> None:
    if root and not Path(root, "sys").is_dir():
        raise BadInput(f"--host-root {root}: there is no {root}/sys; name the directory that holds the host's /sys")
