"""Rows in memory that know what the store has not been told yet.

The ledger's pods and containers are two such tables.  A table remembers by key what to write: the newest row, or that
the row is gone.  Many changes of one row between two writes cost one write, and a row that came and went between them
costs none: without that, a store that fails for a week would leave a tombstone for every container of the week.

    put, drop ──► rows (what is)          take ──► Pending ──► store
                  pending (what to tell) ◄── put_back ◄── a write that failed
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Generic, TypeVar

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Pending(Generic[Row]):
    """What the store must be told: the newest row of each key, None for one that is gone."""

    rows: Mapping[str, Row | None]
    unstored: AbstractSet[str]  # those of which the store has no row to change or delete


class Tracked(Generic[Row]):
    """A table of frozen rows by key; `rows` is for reading only."""

    __slots__ = ("_pending", "_unstored", "rows")

    def __init__(self, stored: Iterable[tuple[str, Row]] = ()) -> None:
        self.rows: dict[str, Row] = dict(stored)
        self._pending: dict[str, Row | None] = {}
        self._unstored: set[str] = set()

    def put(self, key: str, row: Row) -> Row | None:
        """Insert or replace a row; returns what stood there."""
        old = self.rows.get(key)
        if old == row:
            return old
        # A tombstone that is still pending means that the store has a row: the new one replaces it.
        if old is None and key not in self._pending:
            self._unstored.add(key)
        self.rows[key] = self._pending[key] = row
        return old

    def drop(self, key: str) -> Row | None:
        """Remove a row; returns it."""
        old = self.rows.pop(key, None)
        if old is None:
            return None
        if key in self._unstored:
            self._unstored.discard(key)
            del self._pending[key]
        else:
            self._pending[key] = None
        return old

    def take(self) -> Pending[Row]:
        """Hand over what is pending; from now on it counts as stored, unless it is put back."""
        taken = Pending(self._pending, self._unstored)
        self._pending, self._unstored = {}, set()
        return taken

    def put_back(self, taken: Pending[Row]) -> None:
        """Make pending again what could not be written; changes made since then win."""
        for key, row in taken.rows.items():
            if key not in taken.unstored:
                self._unstored.discard(key)
            elif key in self.rows:
                self._unstored.add(key)
            else:  # came before the write and went after it: the store never heard of it
                self._pending.pop(key, None)
                continue
            self._pending.setdefault(key, row)

    def take_back_all(self) -> None:
        """Make every row pending beside what already is: the store may have lost anything."""
        self._pending.update(self.rows)
