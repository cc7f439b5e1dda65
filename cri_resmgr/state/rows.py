"""Values to rows and back.

Writing a container happens before each CreateContainer is forwarded, so it is the fast direction; reading happens
once, at start, and believes nothing: what does not become the value that was written is damage.
"""

import sqlite3
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar

from cri_resmgr.state import cells
from cri_resmgr.state.schema import MalformedError
from cri_resmgr.state.tracking import Pending
from cri_resmgr.values.decisions import Holding
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State

Row = TypeVar("Row")
Cells = tuple[Any, ...]  # STRICT tables hold what the columns say: str, int or None

POD = ("id", "name", "namespace", "uid", "cgroup_parent", "runtime_handler", "labels", "annotations")
IDENTITY = ("key", "pod_id", "name", "attempt", "id", "state", "labels", "annotations", "reasons", "adopted")
EXPLAINED = ("hints", "candidates", "revisit_after_start_s", "adjustment")
ASKED = tuple(Resources.__dataclass_fields__)
GIVEN = tuple(Assignment.__dataclass_fields__)
HOLDING = tuple(Holding.__dataclass_fields__)
CONTAINER = (
    *IDENTITY,
    *EXPLAINED,
    *(f"asked_{name}" for name in ASKED),
    *(f"given_{name}" for name in GIVEN),
    *(f"told_{name}" for name in GIVEN),
    *(f"holding_{name}" for name in HOLDING),
)

_asked_cells: Callable[[Resources], Cells] = attrgetter(*ASKED)
_given_cells: Callable[[Assignment], Cells] = attrgetter(*GIVEN)
_holding_cells: Callable[[Holding], Cells] = attrgetter(*HOLDING)


def _upsert(table: str, columns: tuple[str, ...]) -> str:
    key, *others = columns
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"  # noqa: S608 - ours
        f" ON CONFLICT ({key}) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}"
    )


PUT_POD, DROP_POD = _upsert("pods", POD), "DELETE FROM pods WHERE id = ?"
PUT_CONTAINER, DROP_CONTAINER = _upsert("containers", CONTAINER), "DELETE FROM containers WHERE key = ?"


def write_pods(connection: sqlite3.Connection, pending: Pending[Pod]) -> None:
    """Tell the file about pods, within the caller's transaction."""
    connection.executemany(DROP_POD, _gone(pending))
    connection.executemany(PUT_POD, map(_pod_cells, _kept(pending)))


def write_containers(connection: sqlite3.Connection, pending: Pending[Container]) -> None:
    """Tell the file about containers, within the caller's transaction."""
    connection.executemany(DROP_CONTAINER, _gone(pending))
    connection.executemany(PUT_CONTAINER, map(_container_cells, _kept(pending)))


def read_pods(connection: sqlite3.Connection) -> tuple[Pod, ...]:
    """All pods in the order of their arrival; `MalformedError` if one cannot be read."""
    return tuple(_read(connection, f"SELECT {', '.join(POD)} FROM pods ORDER BY rowid", _pod))  # noqa: S608


def read_containers(connection: sqlite3.Connection) -> tuple[Container, ...]:
    """All containers in the order of their arrival; `MalformedError` if one cannot be read."""
    query = f"SELECT {', '.join(CONTAINER)} FROM containers ORDER BY rowid"  # noqa: S608
    return tuple(_read(connection, query, _container))


def _gone(pending: Pending[Row]) -> Iterator[tuple[str]]:
    return ((key,) for key, row in pending.rows.items() if row is None)


def _kept(pending: Pending[Row]) -> Iterable[Row]:
    return (row for row in pending.rows.values() if row is not None)


def _read(connection: sqlite3.Connection, query: str, value: Callable[[Cells], Row]) -> Iterator[Row]:
    for row in connection.execute(query):
        try:
            yield value(row)
        except (TypeError, ValueError) as error:
            raise MalformedError(f"row {row[0]!r}: {error}") from error


def _pod_cells(pod: Pod) -> Cells:
    return (
        pod.id,
        pod.name,
        pod.namespace,
        pod.uid,
        pod.cgroup_parent,
        pod.runtime_handler,
        cells.of_map(pod.labels),
        cells.of_map(pod.annotations),
    )


def _pod(row: Cells) -> Pod:
    fields = dict(zip(POD, row, strict=True))
    return Pod(
        **fields | {"labels": cells.to_map(fields["labels"]), "annotations": cells.to_map(fields["annotations"])}
    )


def _container_cells(container: Container) -> Cells:
    return (
        container.key,
        container.pod_id,
        container.name,
        container.attempt,
        container.id,
        container.state.value,
        cells.of_map(container.labels),
        cells.of_map(container.annotations),
        cells.of_list(container.reasons),
        container.adopted,
        cells.of_hints(container.hints),
        cells.of_candidates(container.candidates),
        container.revisit_after_start_s,
        cells.of_adjusted(container.adjustment),
        *_asked_cells(container.asked),
        *_given_cells(container.given),
        *_given_cells(container.told),
        *_holding_cells(container.holding),
    )


def _container(row: Cells) -> Container:
    rest = iter(row)
    fields = dict(zip((*IDENTITY, *EXPLAINED), rest))  # noqa: B905 - the rest are the parts below
    key = fields.pop("key")
    readers = {
        "state": State,
        "labels": cells.to_map,
        "annotations": cells.to_map,
        "reasons": cells.to_list,
        "adopted": bool,
        "hints": cells.to_hints,
        "candidates": cells.to_candidates,
        "adjustment": cells.to_adjusted,
    }
    container = Container(
        **fields | {name: read(fields[name]) for name, read in readers.items()},
        asked=Resources(*islice(rest, len(ASKED))),
        given=Assignment(*islice(rest, len(GIVEN))),
        told=Assignment(*islice(rest, len(GIVEN))),
        holding=Holding(*rest),
    )
    if container.key != key:
        raise ValueError(f"this key is not that of {container.key!r}")
    return container
