"""Forward: the service first, then the kubelet, then everything is proven, then what is old goes."""

import hashlib
import subprocess
from pathlib import Path

from installer import bundle, files, kubelet, layout, preflight, service, undoing
from installer.changes import Changes
from installer.errors import BadInput, Error, Failed, Refused
from installer.host import Host
from installer.journal import Journal
from installer.layout import Wish
from installer.log import say
from installer.options import SERVICE, Options
from installer.reporting import Reports, Status

CHECK_DEADLINE_S = 30.0


def wish(options: Options, host: Host, journal: Journal) -> Wish:
    """What is wanted, checked as far as it can be without a change; BadInput says what is wrong."""
    version = bundle.version(options.bundle)
    bundle.check(options.bundle)
    configs = {}
    for name in layout.CONFIG_FILES if options.config_dir else ():
        path = Path(options.config_dir or "", name)
        if path.is_file():
            configs[name] = path.read_bytes()
            _check_config(bundle.program(options.bundle), path)
    socket = preflight.runtime_socket(options, kubelet.look(host, options.kubelet_unit)) or service.runtime_socket(host)
    if not socket:
        raise Refused("the runtime's socket is not known; give it with --runtime-socket")
    return Wish(version, socket, configs, options.daemon_flags)


def target(wished: Wish) -> str:
    """A word for what is wanted: version, and a digest of everything that stands in our files."""
    digest = hashlib.sha256()
    for path, content in layout.service_files(wished):
        digest.update(b"%s %d\n%s" % (path.encode(), len(content), content))
    return f"{wished.version}/{digest.hexdigest()[:16]}"


def install(options: Options, host: Host, *, again: bool = True) -> Status:
    """Install, upgrade or repair; what the node is afterwards.  With `again` also what has failed before."""
    journal, reports = Journal(files.inside(host.root, layout.OURS)), Reports(host.root)
    undoing.finish(options, host, journal)
    before = reports.read()
    try:
        wished = wish(options, host, journal)
        _refuse_unfit(options, host, journal)
    except (BadInput, Refused) as error:
        reports.write(Status("refused", journal.record.version, str(error)))
        raise
    wanted = target(wished)
    if not again and before.state == "rolled_back" and before.target == wanted:
        say("install.not_repeated", target=wanted, reason=before.reason)
        return before
    if before.state == "bypassed" and before.target == wanted and not again:
        return before
    if before.state != "installed" or before.target != wanted:
        reports.write(Status("installing", journal.record.version, "", wanted))
    status = _forward(options, host, journal, wished)
    reports.write(status)
    return status


def _forward(options: Options, host: Host, journal: Journal, wished: Wish) -> Status:
    """All steps; what fails is undone."""
    try:
        journal.begin("install")
        _put_service(options, host, Changes(host.root, journal), journal, wished)
        _point_kubelet(options, host, Changes(host.root, journal), journal)
        journal.commit(wished.version)
        _prune(host, journal, wished.version)
    except (Error, OSError) as error:
        reason = str(error)
        say("install.failed", error=reason)
        undoing.turn_back(options, host, journal, reason)
        Reports(host.root).write(Status("rolled_back", journal.record.version, reason, target(wished)))
        raise Failed(f"{reason}; everything is as it was before") from error
    return Status("installed", wished.version, "", target(wished))


def _put_service(options: Options, host: Host, changes: Changes, journal: Journal, wished: Wish) -> None:
    """Bundle, files and units, and the daemon that runs from them."""
    _put_bundle(options.bundle, host, changes, journal, wished.version)
    for path, content in layout.service_files(wished):
        changes.file(path, content)
    for name in layout.CONFIG_FILES:
        if name not in wished.configs:
            changes.give_back(f"{layout.CONFIG}/{name}")
    changes.link(layout.WANTED, f"{layout.UNITS}/{SERVICE}")
    changes.link(layout.CURRENT, wished.version)
    touched = [entry.path for entry in journal.record.changes]
    if any(path.startswith(layout.UNITS) for path in touched):
        host.systemctl("daemon-reload")
    service.bring_up(host, restart=bool(touched), deadline_s=options.deadline_s)


def _put_bundle(tree: Path, host: Host, changes: Changes, journal: Journal, version: str) -> None:
    path = f"{layout.BUNDLES}/{version}"
    at = files.inside(host.root, path)
    if at.exists() and bundle.same(tree, at):
        return
    if at.exists() and not _ours(journal, path):
        raise BadInput(f"{path} is there already and not ours; move it away, or install from it with --bundle")
    try:
        changes.tree(path, tree)
    except OSError as error:
        needed_mib = -(-bundle.check(tree) >> 20)
        raise Failed(f"{path}: {files.first_cause(error)}; the bundle needs {needed_mib} MiB there") from error
    say("bundle.put", path=path)


def _point_kubelet(options: Options, host: Host, changes: Changes, journal: Journal) -> None:
    """Let the kubelet ask us at each start; restart it now if it talks to somebody else."""
    path = layout.kubelet_drop_in(options.kubelet_unit)
    changes.file(path, layout.kubelet_drop_in_content())
    touched = any(entry.path == path for entry in journal.record.changes)
    if touched:
        host.systemctl("daemon-reload")
    seen = kubelet.look(host, options.kubelet_unit)
    if not seen.unit.wanted:
        say("kubelet.not_running", unit=options.kubelet_unit)
        return
    if seen.on_relay and not touched:
        return
    if not seen.on_relay:
        host.systemctl("restart", options.kubelet_unit)
    took_s = kubelet.wait_well(host, options.kubelet_unit, on_relay=True, deadline_s=options.deadline_s)
    if took_s is None:
        raise Failed(f"{options.kubelet_unit} is not well through the relay after {options.deadline_s:g} s")
    say("kubelet.on_relay", took_s=f"{took_s:.1f}", restarted=not seen.on_relay)


def _prune(host: Host, journal: Journal, version: str) -> None:
    """Bundles that are no longer needed go; the one in use has proven itself."""
    for entry in journal.record.baseline:
        if entry.whole and entry.path != f"{layout.BUNDLES}/{version}":
            files.remove(files.inside(host.root, entry.path), whole=True)
            journal.forget(entry.path)


def _refuse_unfit(options: Options, host: Host, journal: Journal) -> None:
    found = preflight.findings(host, options, installed=journal.exists)
    for one in found:
        say(f"preflight.{one.level}", text=one.text)
    if (reasons := preflight.refusals(found)) and not options.force:
        raise Refused(reasons)


def _check_config(program: Path, path: Path) -> None:
    try:
        done = subprocess.run(
            (program, "config", "check", path), capture_output=True, text=True, check=False, timeout=CHECK_DEADLINE_S
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise BadInput(f"{program}: cannot be run here: {error}; is the bundle for this machine?") from error
    if done.returncode:
        raise BadInput(f"{path}: {(done.stdout + done.stderr).strip()}")


def _ours(journal: Journal, path: str) -> bool:
    return any(entry.path == path for entry in journal.owned)
