"""Backward: the kubelet first, then the service, then the files, byte for byte.

What uninstalls and what undoes a failed installation is one road; it can be walked again from its beginning after a
crash at any point.
"""

import contextlib
import shutil

from installer import files, kubelet, layout, service
from installer.changes import Changes
from installer.errors import Error, Failed
from installer.host import Host
from installer.journal import BACKWARD, Entry, Journal
from installer.log import say
from installer.options import Options
from installer.reporting import Reports, Status

UNINSTALL = "uninstall"


def finish(options: Options, host: Host, journal: Journal) -> None:
    """End what was being undone when we were killed; what was being installed is left to be installed."""
    if journal.record.operation == UNINSTALL:
        _uninstall(options, host, journal)
    elif journal.record.operation and journal.record.direction == BACKWARD:
        reason = journal.record.reason
        turn_back(options, host, journal, reason)
        Reports(host.root).write(Status("rolled_back", journal.record.version, reason))


def turn_back(options: Options, host: Host, journal: Journal, reason: str) -> None:
    """Undo the operation that runs."""
    with contextlib.suppress(OSError):  # a full disk has room again when we have undone it
        journal.turn_back(reason)
    changes = journal.record.changes
    first = not journal.record.baseline
    _undo(options, host, Changes(host.root, journal), changes, gone=first)
    if first:
        _clear_run(host)
        journal.clear(everything=False)
    else:
        journal.abandon()
    say("operation.undone", reason=reason)


def uninstall(options: Options, host: Host) -> bool:
    """Take everything away; whether there was anything."""
    journal = Journal(files.inside(host.root, layout.OURS))
    if not journal.exists:
        Reports(host.root).clear()
        return False
    _uninstall(options, host, journal)
    say("node.uninstalled")
    return True


def _uninstall(options: Options, host: Host, journal: Journal) -> None:
    journal.begin(UNINSTALL)
    _undo(options, host, Changes(host.root, journal), journal.owned, gone=True)
    _clear_run(host)
    journal.clear(everything=True)


def _undo(options: Options, host: Host, changes: Changes, entries: tuple[Entry, ...], *, gone: bool) -> None:
    """Put back what the entries say, in an order that never leaves the kubelet without a runtime."""
    for entry in entries:
        if layout.kubelet_of(entry.path):
            _free_kubelet(options, host, changes, entry)
    if gone:
        service.take_down(host)
    for entry in reversed(entries):
        changes.put_back(entry)
    host.systemctl("daemon-reload")
    if not gone:
        _bring_up_old(options, host)


def _free_kubelet(options: Options, host: Host, changes: Changes, drop_in: Entry) -> None:
    """The kubelet on its own runtime; Failed while it still needs the relay."""
    unit = layout.kubelet_of(drop_in.path)
    changes.put_back(drop_in)
    (files.inside(host.root, layout.RUN) / "kubelet.env").unlink(missing_ok=True)
    host.systemctl("daemon-reload")
    seen = kubelet.look(host, unit)
    if not seen.unit.wanted or (seen.unit.active and not seen.on_relay):
        return
    # One that waits for its next start, after relay and it did not get on, is started now.
    host.systemctl("restart", unit)
    took_s = kubelet.wait_well(host, unit, on_relay=False, deadline_s=options.deadline_s)
    if took_s is None and kubelet.look(host, unit).on_relay:
        raise Failed(f"{unit} still talks to the relay, which stays; see why it does not restart")
    say("kubelet.on_runtime", took_s="never" if took_s is None else f"{took_s:.1f}")


def _bring_up_old(options: Options, host: Host) -> None:
    try:
        service.bring_up(host, restart=True, deadline_s=options.deadline_s)
    except Error as error:
        # Its bypass is there for that; the report says what holds.
        say("service.down", error=error)


def _clear_run(host: Host) -> None:
    """What only lives until the next boot, without waiting for it."""
    shutil.rmtree(files.inside(host.root, layout.RUN), ignore_errors=True)
    files.inside(host.root, layout.PID_FILE).unlink(missing_ok=True)
