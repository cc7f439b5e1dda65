"""How the daemon tells what it does: logs, metrics, health, message dumps.

Observes and never decides.  Called by `manager` and `cli`.
"""
