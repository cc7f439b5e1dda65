"""`cri-resmgr release --all`: every container gets back what the kubelet asked for, before a node goes on without us.

The daemon must not run: the store is locked by whoever uses it.  Nothing is stopped or restarted; containers run on
with what their pods say.  A daemon with a policy that starts again places them anew.
"""

import asyncio
import json
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from cri_resmgr.cli import goflags
from cri_resmgr.cli.flags import Flags
from cri_resmgr.config import endpoints
from cri_resmgr.cri.runtime import Runtime
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.host import topology
from cri_resmgr.manager import releasing
from cri_resmgr.manager.differences import Whole
from cri_resmgr.manager.exporting import Exporter
from cri_resmgr.manager.releasing import Fate
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.workloads import Container
from cri_resmgr.wire.client import CallError, Client

PROGRAM = "cri-resmgr release"
USAGE = f"{PROGRAM} --all [--relay-dir DIR] [--runtime-socket PATH] [--output text|json]"
_DAEMON = Flags()


@dataclass(frozen=True, slots=True)
class ReleaseFlags:
    """What `release` takes."""

    everything: bool = goflags.switch("release all containers of this node", name="all")
    output: str = goflags.text("form of the answer: text for people, json for programs", default="text")
    relay_dir: str = goflags.text("directory of the daemon's state", default=_DAEMON.relay_dir)
    runtime_socket: str = goflags.text("socket of the container runtime", default=_DAEMON.runtime_socket)
    host_root: str = goflags.text("directory under which the host's /sys is found; '' for /")


def run(arguments: Sequence[str]) -> int:
    """Do what the words after `release` say; the exit code. Raises BadInput and Degraded."""
    flags, words = goflags.parse(ReleaseFlags, arguments, {}, program=PROGRAM)
    if words or not flags.everything or flags.output not in {"text", "json"}:
        raise BadInput(f"release is for all containers of a node; write {USAGE}")
    socket, directory = endpoints.socket_path(flags.runtime_socket), Path(flags.relay_dir)
    if not (directory / "state.db").exists():
        raise BadInput(f"--relay-dir {directory}: there is no state.db; name the directory that the daemon is given")
    whole = Whole.of(topology.discover(Path(flags.host_root or "/")))
    with closing(Store.open(directory)) as store:
        release = _Release(store, Exporter(directory))
        fates = asyncio.run(release.run(socket, whole))
        sys.stdout.write(release.as_json(fates) if flags.output == "json" else release.as_text(fates))
    return 1 if any(fate.error for fate in fates) else 0


class _Release:
    """One run over an open store."""

    def __init__(self, store: Store, exporter: Exporter) -> None:
        self._store, self._exporter = store, exporter
        self._ledger = Ledger(*store.load())
        if store.rebuilt:
            raise Degraded(
                f"{store.path} was damaged and is moved aside: what was given is not known; restart the pods"
            )
        self._names = {c.key: self._name(c) for c in self._ledger.containers.values()}
        self._left = len(releasing.holders(self._ledger))

    async def run(self, socket: str, whole: Whole) -> tuple[Fate, ...]:
        """Release, and keep what was done whatever happens."""
        writer = Writer(self._ledger, self._store)
        runtime = Runtime(Client(socket))

        def report(fate: Fate) -> None:
            writer.soon()
            self._report(fate)

        try:
            return await releasing.release(self._ledger, runtime, whole, report=report)
        except CallError as error:
            raise Degraded(f"--runtime-socket {socket}: {error.text}; start the runtime, or name its socket") from error
        finally:
            runtime.close()
            await self._exporter.close()
            if not await writer.close():
                raise writer.last_error or Degraded("the store has not taken what was done; repeat this command")

    def as_json(self, fates: Sequence[Fate]) -> str:
        """`{"released": […], "gone": […], "failed": [{"container": …, "error": …}]}`."""
        failed = [{"container": self._names[f.container.key], "error": f.error} for f in fates if f.error]
        gone = [self._names[f.container.key] for f in fates if f.gone]
        released = [self._names[f.container.key] for f in fates if not f.gone and not f.error]
        return json.dumps({"released": released, "gone": gone, "failed": failed}) + "\n"

    def as_text(self, fates: Sequence[Fate]) -> str:
        """One line that counts, and one for each failure."""
        failed = [f"{self._names[f.container.key]}: {f.error}\n" for f in fates if f.error]
        gone = sum(f.gone for f in fates)
        head = f"{len(fates) - gone - len(failed)} released, {gone} gone, {len(failed)} failed\n"
        return head + "".join(failed)

    def _report(self, fate: Fate) -> None:
        self._left -= 1
        if fate.gone:
            self._exporter.gone(fate.container)
        elif not fate.error:
            self._exporter.changed(fate.container, {})
        word = "gone" if fate.gone else fate.error or "released"
        sys.stderr.write(f"{self._names[fate.container.key]}: {word} ({self._left} left)\n")

    def _name(self, container: Container) -> str:
        pod = self._ledger.pods.get(container.pod_id)
        return f"{pod.namespace}/{pod.name}:{container.name}" if pod else container.key
