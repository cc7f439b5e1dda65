"""`cri-resmgr --reset-config` and `--reset-policy`: what a daemon that does not run shall have forgotten at its start.

    --reset-config   the configuration that the agent gave
    --reset-policy   which policy was active, and what it has given to whom: the next one decides about all anew

Both refuse while a daemon listens on the relay socket, and then the exit code is how many of them there were, as the
predecessor has it.  What containers run on stays as it is until the next daemon has started.
"""

import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from cri_resmgr.cli.flags import PROGRAM, Flags
from cri_resmgr.config import remembered
from cri_resmgr.state import peeking
from cri_resmgr.state.ledger import Ledger
from cri_resmgr.state.store import Store
from cri_resmgr.values.decisions import HOLDING_NOTHING
from cri_resmgr.wire import sockets

_REASONS = ("the policy that decided this was reset",)


def run(flags: Flags) -> int:
    """Forget what the flags say; the exit code. Raises BadInput and Degraded for a store that cannot be used."""
    try:
        sockets.refuse_taken(Path(flags.relay_socket))
    except (sockets.Taken, OSError) as error:
        sys.stderr.write(f"{PROGRAM}: nothing is reset: {error}; stop the daemon first\n")
        return flags.reset_config + flags.reset_policy
    directory = Path(flags.relay_dir)
    if (directory / peeking.NAME).exists():
        with closing(Store.open(directory)) as store:
            if flags.reset_config:
                store.set(remembered.AGENT_KEY, "")
            if flags.reset_policy:
                _forget_policy(store)
    return 0


def _forget_policy(store: Store) -> None:
    ledger = Ledger(*store.load())
    for container in tuple(ledger.containers.values()):
        if container.holding != HOLDING_NOTHING:
            ledger.put(replace(container, holding=HOLDING_NOTHING, reasons=_REASONS, candidates=()))
    store.write(ledger.take_changes(), {remembered.META_KEY: ""})
