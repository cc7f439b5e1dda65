"""The daemon's end: at most one recording, as long as somebody fetches it."""

import asyncio
import json
import os
import time
from contextlib import AsyncExitStack
from pathlib import Path

import structlog

from cri_resmgr import __version__
from cri_resmgr.cli.applying import Applier
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.node import Node
from cri_resmgr.cli.recording import talk
from cri_resmgr.cli.recording.talk import Question, Reply
from cri_resmgr.errors import BadInput
from cri_resmgr.host import cgroups, topology
from cri_resmgr.observe import recording_lines
from cri_resmgr.observe.recording import Recorder, Regime
from cri_resmgr.observe.recording_events import FORMAT, Header
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values import cpusets, machine_texts
from cri_resmgr.values.machines import Machine
from cri_resmgr.wire import grpc, sockets
from cri_resmgr.wire.server import Server, Status

SOCKET_MODE = 0o600
BACKLOG = 4
LEASE_S = 5.0  # then its reader has gone
LINES_AT_ONCE = 32  # some milliseconds of work, between which others have their turn

log = structlog.get_logger("resource-manager")


class Recordings:
    """Answers `talk.NEXT`."""

    def __init__(self, flags: Flags, node: Node, applier: Applier, *, lease_s: float = LEASE_S) -> None:
        self._flags, self._node, self._applier, self._lease_s = flags, node, applier, lease_s
        self._id = ""
        self._recorder: Recorder | None = None
        self._lapse: asyncio.TimerHandle | None = None

    async def next(self, message: bytes) -> bytes:
        """Begin a recording, or the next lines of one."""
        try:
            asked = talk.read_question(message)
        except ValueError as error:
            raise Status(grpc.INVALID_ARGUMENT, str(error)) from error
        return talk.write(self._continued(asked) if asked.id else await self._begun())

    def close(self) -> None:
        """End what is under way."""
        if self._lapse is not None:
            self._lapse.cancel()
        self._recorder = self._lapse = self._node.decider.recorder = None

    async def _begun(self) -> Reply:
        self._refuse_second()
        machine = self._applier.machine
        if not machine.online:  # policy none has had no need to look
            machine = await asyncio.to_thread(topology.discover, Path(self._flags.host_root or "/"))
        self._refuse_second()  # somebody may have been faster
        self._id = os.urandom(8).hex()
        recorder = Recorder(self._node.book.ledger.holders, self._node.book.ledger.pods, regime_of=self._regime_of)
        self._recorder = self._node.decider.recorder = recorder
        self._follow()
        log.info("record.begun", containers=len(recorder))
        return Reply(self._id, (recording_lines.header(self._header(machine)),), more=len(recorder) > 0, ended=False)

    def _continued(self, asked: Question) -> Reply:
        recorder = self._recorder
        if recorder is None or asked.id != self._id:
            raise Status(grpc.NOT_FOUND, "this recording has ended: nobody fetched it, or the daemon has started anew")
        if asked.stop:
            recorder.end(asked.stop)
        lines = tuple(map(recording_lines.line, recorder.fetched(LINES_AT_ONCE)))
        over = bool(recorder.ended) and not len(recorder)
        self._follow()
        if over:
            log.info("record.ended", reason=recorder.ended)
            self.close()
        return Reply(self._id, lines, more=len(recorder) > 0, ended=over)

    def _refuse_second(self) -> None:
        if self._recorder is not None:
            text = f"somebody records already; wait until that ends, at the latest {self._lease_s:g} s after its reader"
            raise Status(grpc.FAILED_PRECONDITION, text)

    def _follow(self) -> None:
        """The reader is there: its time begins anew."""
        if self._lapse is not None:
            self._lapse.cancel()
        self._lapse = asyncio.get_running_loop().call_later(self._lease_s, self._lapsed)

    def _lapsed(self) -> None:
        log.warning("record.abandoned", remedy="nothing is recorded any more; begin again if it is still wanted")
        self.close()

    def _header(self, machine: Machine) -> Header:
        decider = self._node.decider
        settings, cgroup_cpus = self._regime_of(decider.policy)
        return Header(
            record=FORMAT,
            version=__version__,
            began_s=round(time.time(), 3),
            machine=json.loads(machine_texts.written(machine)),
            settings=settings,
            cgroups=cgroup_cpus,
        )

    def _regime_of(self, policy: Policy) -> Regime:
        settings = self._applier.settings_of(policy)
        limits = filter(None, (settings.policy.available, settings.policy.reserved))
        named = {limit.cgroup for limit in limits if limit.cgroup}
        return json.loads(settings.to_json()), {directory: self._cpus_of(directory) for directory in named}

    def _cpus_of(self, directory: str) -> str:
        try:
            return cpusets.text(cgroups.constraint_cpus(directory, mount=Path(self._flags.cgroup_mount)))
        except BadInput:  # it has gone since the policy was made
            return ""


async def serve(recordings: Recordings, directory: Path, undo: AsyncExitStack) -> None:
    """Answer in the daemon's directory until `undo`; where that is not possible nobody can record, and no more."""
    path = talk.socket_in(directory)
    try:
        listening = sockets.bind(path, mode=SOCKET_MODE, backlog=BACKLOG)
    except OSError as error:
        log.warning("record.unavailable", socket=str(path), error=str(error))
        return
    server = Server({talk.NEXT: recordings.next}, failed=_failed)
    await server.start(listening)
    undo.callback(recordings.close)
    undo.push_async_callback(server.close)
    undo.callback(path.unlink, missing_ok=True)


def _failed(method: str, error: Exception) -> None:
    log.error("record.call_failed", method=method, exc_info=error)
