"""What can go wrong, in words for whoever reads the pod's log.

    Error
    ├── BadInput   the command line, a configuration or a bundle cannot be used: exit code 2, nothing was changed
    ├── Refused    this node must not be installed on as it is: exit code 2, nothing was changed
    └── Failed     something on the host failed: exit code 1, what was changed is undone or in the journal

Every message says what is wrong, where, and what to do.  The cause is chained.
"""


class Error(Exception):
    """Base of all errors that this package raises on purpose."""

    code = 1


class BadInput(Error):  # noqa: N818 - the word that users see, as in the daemon
    """What a user gave cannot be used; nothing was changed."""

    code = 2


class Refused(Error):  # noqa: N818 - the same
    """The node is not fit; nothing was changed."""

    code = 2


class Failed(Error):  # noqa: N818 - the same
    """Something on the host failed."""
