"""What the daemon has written down, all of one moment; read beside it, without a lock and without a trace."""

import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from cri_resmgr.config import remembered
from cri_resmgr.config import settings as settings_
from cri_resmgr.config.settings import Settings
from cri_resmgr.errors import BadInput, Degraded
from cri_resmgr.state import rows, schema
from cri_resmgr.values import adjustments, machine_texts
from cri_resmgr.values import events as events_
from cri_resmgr.values.adjustments import Adjustment
from cri_resmgr.values.events import Event
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, Pod, State

NAME = "state.db"
_PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Stored:
    """Pods by id and containers by key, in the order of their arrival; `pid` is the daemon's, 0 if none runs."""

    path: Path
    pid: int
    pods: Mapping[str, Pod]
    containers: Mapping[str, Container]
    events: tuple[Event, ...]
    settings: Settings
    """Those with which the daemon has started most recently."""
    adjustments: tuple[Adjustment, ...]
    """Those in force."""
    adjustment_errors: Mapping[str, Mapping[str, str]]
    """What was amiss when the agent gave some last: by adjustment, a key, and a sentence."""
    machine: Machine | None
    """None if nobody has looked at it: policy `none` has no need to."""

    def name(self, container: Container) -> str:
        """What people call it: `NAMESPACE/POD:CONTAINER`."""
        pod = self.pods.get(container.pod_id)
        return f"{pod.namespace}/{pod.name}:{container.name}" if pod else container.key

    def alive(self) -> tuple[Container, ...]:
        """The containers that have not ended."""
        return tuple(c for c in self.containers.values() if c.state is not State.EXITED)


def read(directory: Path) -> Stored:
    """What is in the store in this directory.

    Raises BadInput if there is none, or one that this program does not understand, and Degraded if it is damaged.
    """
    path = directory / NAME
    with _connected(path) as connection:
        connection.execute("BEGIN")
        _check_version(connection, path)
        meta = dict(connection.execute("SELECT key, value FROM meta"))
        pods, containers = rows.read_pods(connection), rows.read_containers(connection)
    return Stored(
        path=path,
        pid=_holder(directory / f"{NAME}.lock"),
        pods={pod.id: pod for pod in pods},
        containers={container.key: container for container in containers},
        events=events_.read(meta.get(events_.META_KEY)),
        settings=_settings(meta.get(remembered.META_KEY)),
        adjustments=tuple(one for _, one in adjustments.kept(meta.get(adjustments.META_KEY))),
        adjustment_errors=_errors(meta.get(adjustments.ERRORS_META_KEY)),
        machine=_machine(meta.get(machine_texts.META_KEY)),
    )


@contextmanager
def _connected(path: Path) -> Iterator[sqlite3.Connection]:
    try:
        path.open("rb").close()
    except FileNotFoundError as error:
        raise BadInput(f"there is no {path}; has the daemon run here? name its directory with --relay-dir") from error
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}; ask as root") from error
    # SQLite makes a log and its index even for a reader; where there is none nobody writes, and none is needed.
    log = path.with_name(f"{NAME}-wal").exists()
    uri = f"file:{quote(os.fspath(path))}?mode=ro{'' if log else '&immutable=1'}"
    try:
        with closing(sqlite3.connect(uri, uri=True, timeout=_PATIENCE_S, isolation_level=None)) as connection:
            yield connection
    except (sqlite3.Error, schema.MalformedError) as error:
        raise Degraded(f"{path} cannot be read: {error}; ask again, or start the daemon, which repairs it") from error


def _check_version(connection: sqlite3.Connection, path: Path) -> None:
    found, ours = schema.version(connection), len(schema.MIGRATIONS)
    if found != ours:
        remedy = "start the daemon of this version once" if found < ours else "use the program that wrote it"
        raise BadInput(f"{path} has schema version {found}, this program reads version {ours}; {remedy}")


def _settings(text: str | None) -> Settings:
    with suppress(ValueError, KeyError, TypeError):
        return settings_.from_json(text) if text else Settings()
    return Settings()


def _errors(text: str | None) -> dict[str, dict[str, str]]:
    with suppress(ValueError, AttributeError):
        return {name: dict(said) for name, said in json.loads(text or "{}").items()}
    return {}


def _machine(text: str | None) -> Machine | None:
    with suppress(ValueError):
        machine = machine_texts.read(text) if text else None
        return machine if machine and machine.online else None
    return None


def _holder(lock: Path) -> int:
    """The process that holds the lock, as the kernel sees it: trying the lock could get in a daemon's way."""
    with suppress(OSError):
        inode = lock.stat().st_ino
        for line in Path("/proc/locks").read_text().splitlines():
            kind, pid, where = line.split()[1], line.split()[4], line.split()[5]
            if kind == "FLOCK" and where.rpartition(":")[2] == str(inode):
                return max(int(pid), 0)
    return 0
