"""Tells Kubernetes what the daemon remembers for an operator: its events become Events of the Node or of a Pod.

How far that has come stands in a small file beside the daemon's sockets, written when everything up to there is with
the API server: the next agent goes on from there.  Without that file it begins with what is from the last hour, which
is as long as Events live.  What is told twice all the same is one Event (`reports`).
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from cri_resmgr.agent import reports
from cri_resmgr.agent.daemon import Status
from cri_resmgr.agent.reporting import Reporter
from cri_resmgr.agent.reports import Report, Subject
from cri_resmgr.values.events import Event

FILE = "cri-resmgr-agent.events"
AGE_LIMIT_S = 3600.0
_DIGITS_LIMIT = 19

log = structlog.get_logger("resource-manager-agent")


class Retelling:
    """A follower; `since` is the number from which on it wants to hear of events."""

    def __init__(self, reporter: Reporter, file: Path, *, node: str, clock: Callable[[], float] = time.time) -> None:
        self._reporter, self._file, self._node, self._clock = reporter, file, node, clock
        self._written = self._told = _read(file)
        self._complained = False

    def since(self) -> int:
        """What to ask the daemon with."""
        return self._told

    def seen(self, status: Status) -> None:
        """Tell what is new."""
        if self._reporter.idle and self._written != self._told:
            self._write(self._told)
        oldest_s = self._clock() - AGE_LIMIT_S
        for event in status.events:
            if self._told or event.last_s >= oldest_s:
                self._reporter.report(_report(event, self._node))
        self._told = status.next

    def lost(self) -> None:
        """Nothing is lost: the daemon keeps its events over its restarts."""

    def off(self, reason: str) -> None:
        """Nobody can be asked."""

    def _write(self, number: int) -> None:
        aside = self._file.with_name(f".{self._file.name}.{os.getpid()}")
        self._written = number
        try:
            aside.write_text(f"{number}\n", encoding="ascii")
            aside.rename(self._file)
        except OSError as error:
            with contextlib.suppress(OSError):
                aside.unlink(missing_ok=True)
            if not self._complained:
                log.warning("events.unsaved", file=str(self._file), error=str(error))
            self._complained = True


def _report(event: Event, node: str) -> Report:
    about = reports.node(node)
    if event.pod and event.namespace:
        about = Subject("Pod", event.pod, event.pod_uid, namespace=event.namespace, container=event.container)
    return Report(about, event.kind, event.text, count=max(1, event.count), first_s=event.first_s)


def _read(file: Path) -> int:
    """The number in the file, 0 if there is none."""
    try:
        text = file.read_bytes()[: _DIGITS_LIMIT + 1].strip()
    except OSError:
        return 0
    return int(text) if text.isdigit() and len(text) <= _DIGITS_LIMIT else 0
