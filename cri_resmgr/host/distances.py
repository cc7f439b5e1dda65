"""How far memory nodes are from each other: rows of a matrix, in the firmware's unit, where 10 is a node's own memory.

For machines that do not exist the rows say what firmware usually says: 11 within a package, 21 between packages.  A
memory-only node has a node that it is near: it is as far from any other node as that one is, and its own distance
further; two memory-only nodes are as far apart as the farther one is from the node that the other is near.
"""

from collections.abc import Sequence

SELF, SAME_PACKAGE, OTHER_PACKAGE = 10, 11, 21
FARTHEST = 254  # 255 is the firmware's word for no way at all
RANGE = f"{SELF + 1} to {FARTHEST}"

Rows = Sequence[Sequence[int]]


def possible(distance: int) -> bool:
    """Whether firmware could say so."""
    return SELF <= distance <= FARTHEST


def usual(*, nodes: int, per_package: int) -> list[list[int]]:
    """The distances between nodes with CPUs, which are numbered package by package."""
    return [[_usual(a, b, per_package) for b in range(nodes)] for a in range(nodes)]


def extended(rows: Rows, memory_nodes: Sequence[tuple[int, int]]) -> list[list[int]]:
    """The distances after memory-only nodes have joined: each is near a node of `rows`, at a distance."""
    places = [(node, 0) for node in range(len(rows))] + [(node, distance - SELF) for node, distance in memory_nodes]
    return [
        [
            SELF if i == j else min(rows[a][b] + max(further_a, further_b), FARTHEST)
            for j, (b, further_b) in enumerate(places)
        ]
        for i, (a, further_a) in enumerate(places)
    ]


def symmetric(rows: Rows) -> list[list[int]]:
    """The mean of there and back, rounded down: firmware may tell them apart, policies do not."""
    return [[(rows[a][b] + rows[b][a]) // 2 for b in range(len(rows))] for a in range(len(rows))]


def _usual(a: int, b: int, per_package: int) -> int:
    if a == b:
        return SELF
    return SAME_PACKAGE if a // per_package == b // per_package else OTHER_PACKAGE
