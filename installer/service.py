"""The daemon's unit and its bypass: brought up, taken down, and how they are."""

from installer import files, layout
from installer.errors import Failed
from installer.host import Host
from installer.log import say
from installer.options import BYPASS, SERVICE


def answers(host: Host) -> bool:
    """Somebody speaks CRI behind the relay's socket."""
    try:
        host.runtime(layout.RELAY_SOCKET)
    except Failed:
        return False
    return True


def runtime_socket(host: Host) -> str:
    """What the installation that is there was told; '' without one."""
    found = files.look(files.inside(host.root, f"{layout.CONFIG}/options")).content.decode(errors="replace")
    words = dict(line.split("=", 1) for line in found.splitlines() if "=" in line)
    return words.get("RUNTIME_SOCKET", "")


def bring_up(host: Host, *, restart: bool, deadline_s: float) -> None:
    """Start the daemon, or start it anew; Failed when it does not answer in time or its bypass takes over."""
    if not restart and host.unit(SERVICE).active and answers(host):
        return
    host.run("systemctl", "reset-failed", SERVICE)
    host.systemctl("restart", "--no-block", SERVICE)
    took_s = host.wait(lambda: _given_up(host) or _up(host), deadline_s)
    if took_s is None or not _up(host):
        raise Failed(f"{SERVICE} does not come up: {_last_words(host)}; see `journalctl -u {SERVICE}`")
    say("service.up", took_s=f"{took_s:.1f}")


def take_down(host: Host) -> None:
    """Stop both, and give containers back what the kubelet asked for; no client may need them any more."""
    for unit in (BYPASS, SERVICE):
        if host.unit(unit).loaded:
            host.systemctl("stop", unit)
    socket, store = runtime_socket(host), files.inside(host.root, f"{layout.STATE}/state.db")
    if socket and store.is_file() and files.inside(host.root, layout.PROGRAM).is_file():
        code, text = host.run(layout.PROGRAM, "release", "--all", "--runtime-socket", socket)
        say("release.failed" if code else "containers.released", code=code, said=text.strip()[-500:])
    for unit in (BYPASS, SERVICE):
        host.run("systemctl", "reset-failed", unit)


def _up(host: Host) -> bool:
    return host.unit(SERVICE).active and not host.unit(BYPASS).active and answers(host)


def _given_up(host: Host) -> bool:
    """The bypass serves, and the daemon is not being tried."""
    return host.unit(BYPASS).active and host.unit(SERVICE).state in {"inactive", "failed"}


def _last_words(host: Host) -> str:
    """What the daemon said itself, or systemd about it."""
    for match in (f"_SYSTEMD_UNIT={SERVICE}", f"UNIT={SERVICE}"):
        _, text = host.run("journalctl", "--lines=3", "--output=cat", "--no-pager", "--quiet", match)
        if words := text.strip():
            return " / ".join(words.splitlines())
    return "nothing is logged"
