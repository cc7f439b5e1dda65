"""What holds on a node now: the last report, corrected by what is seen."""

from dataclasses import dataclass, replace

from installer import files, kubelet, layout, service
from installer.host import Host
from installer.journal import Journal
from installer.options import BYPASS, SERVICE, Options
from installer.reporting import Reports, Status


@dataclass(frozen=True, slots=True)
class Sight:
    """`problems` are what keeps the node from being what `status` says; none means that it is ready."""

    status: Status
    installed: bool
    problems: tuple[str, ...]


def look(options: Options, host: Host) -> Sight:
    """See, and correct the report where it is about what comes and goes."""
    journal, reports = Journal(files.inside(host.root, layout.OURS)), Reports(host.root)
    said = reports.read()
    if not journal.exists or journal.record.operation or said.state not in {"installed", "bypassed"}:
        pending = f"{journal.record.operation} is not finished" if journal.record.operation else ""
        return Sight(said, journal.exists, (pending,) if pending else ())
    seen, problems = kubelet.look(host, options.kubelet_unit), _problems(options, host)
    now = _status(host, said, seen)
    if not problems and now != said:
        reports.write(now)
    return Sight(now, installed=True, problems=problems)


def _status(host: Host, said: Status, seen: kubelet.Kubelet) -> Status:
    if host.unit(BYPASS).active and not host.unit(SERVICE).active:
        return replace(said, state="bypassed", reason=f"{SERVICE} does not stay up; see `journalctl -u {SERVICE}`")
    if seen.unit.active and not seen.on_relay:
        return replace(said, state="bypassed", reason="the kubelet talks to its runtime; restart it to use the relay")
    return replace(said, state="installed", reason="")


def _problems(options: Options, host: Host) -> tuple[str, ...]:
    """What does not work: a node that goes without us is no problem, a node that does not go is."""
    problems = []
    if not (host.unit(SERVICE).active or host.unit(BYPASS).active):
        problems.append(f"{SERVICE} is not active")
    if not service.answers(host):
        problems.append(f"no CRI runtime answers at {layout.RELAY_SOCKET}")
    if not kubelet.well(host, options.kubelet_unit):
        problems.append(f"{options.kubelet_unit} is not healthy")
    return tuple(problems)
