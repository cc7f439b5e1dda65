"""One guest at a time, which tests share while it is good.

A restored guest starts with nothing translated: its first pods cost three times what later ones do, and starting the
daemon costs more than removing a test's pods.  So a test gets the guest of the one before it, unless that one failed
or wanted another machine.
"""

import time
from pathlib import Path

from equipment.guest import Lost
from equipment.guest.inits import Init
from equipment.guest.node import Node
from equipment.guest.snapshots import snapshot
from equipment.guest.topologies import Topology

Machine = tuple[Topology, Init]


class Stand:
    """Gives nodes out; a context manager that leaves none behind."""

    def __init__(self, disk: Path) -> None:
        """`disk` is the payload of all nodes."""
        self._disk = disk
        self._machine: Machine | None = None
        self._node: Node | None = None
        self.events: list[str] = []
        """What was restored, how long it took, and what was lost: for the end of the test run."""

    def __enter__(self) -> "Stand":
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def node(self, machine: Machine) -> Node:
        """A node on this machine, without pods, with or without a running daemon."""
        if self._node is None or machine != self._machine or not self._emptied(self._node):
            self.discard()
            try:
                self._node = self._restore(machine)
            except Lost as lost:
                self.lost("restore", lost)
                self._node = self._restore(machine)
            self._machine = machine
        return self._node

    def discard(self) -> None:
        """The guest is no longer good: the next test gets a fresh one."""
        if self._node:
            self._node.guest.close()
        self._node = None

    def lost(self, during: str, lost: Lost) -> None:
        """A guest has stopped answering; whoever noticed tries again, for all to see."""
        self.events.append(f"LOST during {during}, tried once more on a fresh guest: {lost}")
        self.discard()

    def _emptied(self, node: Node) -> bool:
        """Remove the pods of the test before; a guest on which that fails is no longer good."""
        try:
            node.pods.remove_all()
        except Lost as lost:
            self.lost("the removal of pods", lost)
            return False
        except BaseException:
            self.discard()
            raise
        return True

    def _restore(self, machine: Machine) -> Node:
        saved = snapshot(*machine)
        begin_s = time.monotonic()
        guest = saved.restore()
        try:
            node = Node(guest, self._disk)
        except BaseException:
            guest.close()
            raise
        topology, init = machine
        self.events.append(f"{topology.name}, {init.name}: restored in {time.monotonic() - begin_s:.1f} s")
        return node
