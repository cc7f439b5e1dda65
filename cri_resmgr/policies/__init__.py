"""Pure decision makers: what runs and what is asked in, assignments with reasons out.

No I/O, no clock, no randomness: the daemon, `simulate`, `plan`, `explain`, `replay` and the tests share them.
Called by `manager`; imports `values` only.
"""
