"""The one tree of errors.

    Error
    ├── BadInput      what a user gave is wrong: exit code 2, nothing was changed
    ├── Fatal         the daemon cannot go on: exit code 1
    └── Degraded      something outside failed; we go on and say so

Every message says what is wrong, where, and what to do.  The cause is chained.
"""


class Error(Exception):
    """Base of all errors that this package raises on purpose."""


class BadInput(Error):  # noqa: N818 - the word that users see
    """What a user gave cannot be used; the process ends with exit code 2 and nothing was changed."""


class Fatal(Error):  # noqa: N818
    """The daemon cannot go on; the process ends with exit code 1."""


class Degraded(Error):  # noqa: N818
    """Something outside failed; the daemon goes on without it and its health says so."""
