"""What runs, what was asked for and what was decided: the ledger in memory, the store in SQLite.

Decides nothing and calls nobody.  Called by `manager` and, reading only, by `observe`.
"""
