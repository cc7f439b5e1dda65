"""Which adjustments have a container in their scope, without looking at all of them.

Most statements say that something equals one of a few words.  Those are filed under the words, so that thousands of
adjustments cost a container that is about to be made as many looks as they name different keys; the rest is asked one
by one.
"""

from collections.abc import Iterator

from cri_resmgr.policies import expression_keys
from cri_resmgr.policies.expression_keys import Key
from cri_resmgr.policies.expressions import Expression, expression, holds
from cri_resmgr.values.adjustments import Adjustment, Statement
from cri_resmgr.values.workloads import Container, Pod

_LISTED = frozenset({"Equals", "In"})


class Scopes:
    """Adjustments by what their scopes say about containers; nodes are for the agent to look at."""

    def __init__(self) -> None:
        self.adjustments: dict[str, Adjustment] = {}
        self._everywhere: list[str] = []
        self._listed: dict[Key, dict[str, list[str]]] = {}
        self._others: list[tuple[Expression, str]] = []

    def add(self, adjustment: Adjustment) -> None:
        """One more. Raises ValueError for a statement that is none, and then it is not there."""
        statements = [_read(one) for scope in adjustment.scopes for one in scope.containers]
        self.adjustments[adjustment.name] = adjustment
        if not adjustment.scopes or not all(scope.containers for scope in adjustment.scopes):
            self._everywhere.append(adjustment.name)
            return
        for statement in statements:
            self._file(statement, adjustment.name)

    def of(self, container: Container, pod: Pod) -> tuple[Adjustment, ...]:
        """Those with the container in their scope, by name."""
        return tuple(self.adjustments[name] for name in sorted(set(self._names(container, pod))))

    def _names(self, container: Container, pod: Pod) -> Iterator[str]:
        yield from self._everywhere
        for key, table in self._listed.items():
            value = expression_keys.resolve(key, container, pod)
            if value is not None:
                yield from table.get(value, ())
        yield from (name for statement, name in self._others if holds(statement, container, pod))

    def _file(self, statement: Expression, name: str) -> None:
        if statement.operator.word not in _LISTED or "*" in statement.values:
            self._others.append((statement, name))
            return
        table = self._listed.setdefault(statement.key, {})
        for value in statement.values:
            table.setdefault(value, []).append(name)


def _read(said: Statement) -> Expression:
    return expression(said.key, said.operator, said.values)
