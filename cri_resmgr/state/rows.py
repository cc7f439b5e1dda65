"""Values to rows and back.

Writing a container happens before each CreateContainer is forwarded, so it is the fast direction; reading happens
once, at start, and believes nothing: what does not become the value that was written is damage.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from json.encoder import encode_basestring as _quoted
from operator import attrgetter
from typing import Any, TypeVar

from cri_resmgr.state.schema import MalformedError
from cri_resmgr.state.tracking import Pending
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State

Row = TypeVar("Row")
Cells = tuple[Any, ...]  # STRICT tables hold what the columns say: str, int or None

POD = ("id", "name", "namespace", "uid", "cgroup_parent", "runtime_handler", "labels", "annotations")
IDENTITY = ("key", "pod_id", "name", "attempt", "id", "state", "labels", "annotations", "reasons", "adopted")
ASKED = tuple(Resources.__dataclass_fields__)
GIVEN = tuple(Assignment.__dataclass_fields__)
CONTAINER = (*IDENTITY, *(f"asked_{name}" for name in ASKED), *(f"given_{name}" for name in GIVEN))

_asked_cells: Callable[[Resources], Cells] = attrgetter(*ASKED)
_given_cells: Callable[[Assignment], Cells] = attrgetter(*GIVEN)


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
    for cells in connection.execute(query):
        try:
            yield value(cells)
        except (TypeError, ValueError) as error:
            raise MalformedError(f"row {cells[0]!r}: {error}") from error


def _pod_cells(pod: Pod) -> Cells:
    return (
        pod.id,
        pod.name,
        pod.namespace,
        pod.uid,
        pod.cgroup_parent,
        pod.runtime_handler,
        _map_cell(pod.labels),
        _map_cell(pod.annotations),
    )


def _pod(cells: Cells) -> Pod:
    fields = dict(zip(POD, cells, strict=True))
    return Pod(**fields | {"labels": _map(fields["labels"]), "annotations": _map(fields["annotations"])})


def _container_cells(container: Container) -> Cells:
    return (
        container.key,
        container.pod_id,
        container.name,
        container.attempt,
        container.id,
        container.state.value,
        _map_cell(container.labels),
        _map_cell(container.annotations),
        _list_cell(container.reasons),
        container.adopted,
        *_asked_cells(container.asked),
        *_given_cells(container.given),
    )


def _container(cells: Cells) -> Container:
    key, pod_id, name, attempt, container_id, state, labels, annotations, reasons, adopted = cells[: len(IDENTITY)]
    asked, given = cells[len(IDENTITY) : -len(GIVEN)], cells[-len(GIVEN) :]
    container = Container(
        pod_id=pod_id,
        name=name,
        attempt=attempt,
        id=container_id,
        state=State(state),
        labels=_map(labels),
        annotations=_map(annotations),
        asked=Resources(*asked),
        given=Assignment(*given),
        reasons=_list(reasons),
        adopted=bool(adopted),
    )
    if container.key != key:
        raise ValueError(f"this key is not that of {container.key!r}")
    return container


# json.dumps makes an encoder for each call, which costs more than encoding a few strings.
def _map_cell(strings: Mapping[str, str]) -> str:
    return f"{{{','.join([f'{_quoted(key)}:{_quoted(value)}' for key, value in strings.items()])}}}"


def _list_cell(strings: tuple[str, ...]) -> str:
    return f"[{','.join(map(_quoted, strings))}]"


def _map(cell: str) -> dict[str, str]:
    found = json.loads(cell)
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise TypeError(f"no map of strings: {cell[:80]}")
    return found


def _list(cell: str) -> tuple[str, ...]:
    found = json.loads(cell)
    if not isinstance(found, list) or not all(isinstance(value, str) for value in found):
        raise TypeError(f"no list of strings: {cell[:80]}")
    return tuple(found)
