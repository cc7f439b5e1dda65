"""The tables of the store's file and their history.

Columns are explicit, so that `sqlite3` on a node answers questions and a new field is a new version; only maps and
lists are JSON.  Tables are STRICT: a cell of the wrong type cannot get in, and one that is there is damage.

To change the schema, append one migration.  Never edit one that was released: nodes have run it.
"""

import sqlite3
from collections.abc import Sequence

Migrations = Sequence[Sequence[str]]

# Migration i takes a file of version i to version i + 1; all that are missing run in one transaction.
MIGRATIONS: Migrations = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
        """CREATE TABLE pods (
            id TEXT PRIMARY KEY, name TEXT NOT NULL, namespace TEXT NOT NULL, uid TEXT NOT NULL,
            cgroup_parent TEXT NOT NULL, runtime_handler TEXT NOT NULL,
            labels TEXT NOT NULL, annotations TEXT NOT NULL) STRICT""",
        """CREATE TABLE containers (
            key TEXT PRIMARY KEY, pod_id TEXT NOT NULL, name TEXT NOT NULL, attempt INTEGER NOT NULL,
            id TEXT NOT NULL, state TEXT NOT NULL, labels TEXT NOT NULL, annotations TEXT NOT NULL,
            reasons TEXT NOT NULL, adopted INTEGER NOT NULL,
            asked_cpu_period_us INTEGER NOT NULL, asked_cpu_quota_us INTEGER NOT NULL,
            asked_cpu_shares INTEGER NOT NULL, asked_memory_limit_bytes INTEGER NOT NULL,
            asked_oom_score_adj INTEGER NOT NULL, asked_cpuset_cpus TEXT NOT NULL, asked_cpuset_mems TEXT NOT NULL,
            given_cpuset_cpus TEXT, given_cpuset_mems TEXT, given_cpu_shares INTEGER,
            given_cpu_quota_us INTEGER, given_cpu_period_us INTEGER) STRICT""",
    ),
    (
        "ALTER TABLE containers ADD COLUMN told_cpuset_cpus TEXT",
        "ALTER TABLE containers ADD COLUMN told_cpuset_mems TEXT",
        "ALTER TABLE containers ADD COLUMN told_cpu_shares INTEGER",
        "ALTER TABLE containers ADD COLUMN told_cpu_quota_us INTEGER",
        "ALTER TABLE containers ADD COLUMN told_cpu_period_us INTEGER",
        "ALTER TABLE containers ADD COLUMN holding_policy TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE containers ADD COLUMN holding_pool TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE containers ADD COLUMN holding_exclusive TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE containers ADD COLUMN holding_isolated TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE containers ADD COLUMN holding_shared TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE containers ADD COLUMN holding_memo TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE containers ADD COLUMN hints TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE containers ADD COLUMN candidates TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE containers ADD COLUMN revisit_after_start_s REAL NOT NULL DEFAULT 0",
        # An assignment of an earlier version reached its container in CreateContainer.
        """UPDATE containers SET told_cpuset_cpus = given_cpuset_cpus, told_cpuset_mems = given_cpuset_mems,
            told_cpu_shares = given_cpu_shares, told_cpu_quota_us = given_cpu_quota_us,
            told_cpu_period_us = given_cpu_period_us""",
    ),
    (
        "ALTER TABLE containers ADD COLUMN asked_memory_swap_limit_bytes INTEGER NOT NULL DEFAULT 0",
        "ALTER TABLE containers ADD COLUMN given_memory_limit_bytes INTEGER",
        "ALTER TABLE containers ADD COLUMN told_memory_limit_bytes INTEGER",
        "ALTER TABLE containers ADD COLUMN adjustment TEXT NOT NULL DEFAULT ''",
    ),
)
VERSION_KEY = "schema_version"
PUT_META = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


class MalformedError(ValueError):
    """The file holds what this program cannot have written."""


def version(connection: sqlite3.Connection) -> int:
    """The version of the file; 0 for one that is empty."""
    tables = sorted(name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'"))
    if not tables:
        return 0
    if "meta" not in tables:
        raise MalformedError(f"tables of somebody else: {', '.join(tables[:5])}")
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (VERSION_KEY,)).fetchone()
    if row is None or not str(row[0]).isdecimal():
        raise MalformedError(f"no schema version, but {row}")
    return int(row[0])


def migrate(connection: sqlite3.Connection, *, found: int, migrations: Migrations) -> None:
    """Bring a file of version `found` to the newest, entirely or not at all: the caller rolls back on errors."""
    connection.execute("BEGIN IMMEDIATE")
    for statements in migrations[found:]:
        for statement in statements:
            connection.execute(statement)
    connection.execute(PUT_META, (VERSION_KEY, str(len(migrations))))
    connection.execute("COMMIT")
