"""Adjustments in force: what somebody else than a pod's author wants containers to have.

    the agent gives a set ──► each container has at most one of them? ──► the policy decides about all that change
                                        │ no                                        │ it has not the room
                                        ▼                                           ▼
                              nothing changes, and each adjustment has its errors, for whoever wrote it

A container that is made later gets the one that has it in its scope, or none if there are several, which is said, too.
What is in force stands in the store with the decisions that follow from it, so a daemon that starts goes on with it.

Thousands of adjustments are looked through in slices of a millisecond, between which calls go on; only the last step,
in which all of it comes into force, is made at once.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from time import perf_counter
from typing import TypeVar

import structlog

from cri_resmgr.manager.adjusting_decisions import answers
from cri_resmgr.manager.adjusting_errors import effective, not_applied
from cri_resmgr.manager.adjusting_scopes import Scopes
from cri_resmgr.manager.book import Book
from cri_resmgr.manager.deciding import Decider
from cri_resmgr.manager.events import Events
from cri_resmgr.manager.turns import within
from cri_resmgr.state.writer import Writer
from cri_resmgr.values.adjusting_errors import Errors, add, listed, rejected
from cri_resmgr.values.adjustments import ERRORS_META_KEY, META_KEY, Adjusted, kept, read
from cri_resmgr.values.events import Kind
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container

BEGIN_DEADLINE_S = 10.0  # for the comparison with the runtime, at start
SLICE_S = 0.001
_SHOWN = 3

T = TypeVar("T")

log = structlog.get_logger("resource-manager")


class Adjuster:
    """The adjustments of this node; `stored` is the text that an earlier daemon has kept."""

    def __init__(
        self,
        book: Book,
        decider: Decider,
        writer: Writer,
        *,
        events: Events,
        stored: str | None,
    ) -> None:
        self._book, self._decider, self._writer, self._events = book, decider, writer, events
        book.placing.adjusted = self.adjusted
        self._scopes, self._texts = _restored(stored)
        self._errors: Errors = {}  # of the last update
        self._partly: Errors = {  # of what is in force
            name: {name: missing} for name, one in self._scopes.adjustments.items() if (missing := not_applied(one))
        }
        self._late: dict[str, Container] = {}  # containers that could not be adjusted when they were made
        self._one = asyncio.Lock()
        self.digest = ""
        """Of the set that this daemon was given last, in force or not."""

    def __len__(self) -> int:
        return len(self._texts)

    @property
    def errors(self) -> Errors:
        """What is amiss now, by adjustment; empty when all of them are in force."""
        found = {name: dict(said) for name, said in self._errors.items()}
        for name, said in self._partly.items():
            found.setdefault(name, {}).update(said)
        for container in self._alive(self._late):
            matching = self._scopes.of(container, self._book.placing.pod_of(container))
            if text := self._effective(container)[1]:
                add(found, (one.name for one in matching), _called(container), text)
        return found

    def adjusted(self, container: Container) -> Container:
        """A container that is about to be made, with what is in force for it."""
        adjustment, problem = self._effective(container)
        if problem:
            alive = {one.key: one for one in self._alive(self._late)}  # those of long ago need no room
            self._late = {**alive, container.key: container}
            self._events.record(Kind.ADJUSTMENTS_REJECTED, container=container, text=problem)
            log.warning("adjustment.impossible", container=container.key, error=problem)
        return replace(container, adjustment=adjustment) if adjustment != container.adjustment else container

    async def apply(self, pushed: Mapping[str, str], digest: str) -> Errors:
        """Bring a set into force, texts by name, or none of it; what is amiss, by adjustment.

        Raises `Degraded` when the policy gives no answer, and nothing has changed.
        """
        async with self._one:
            await within(self._book.reconciled, BEGIN_DEADLINE_S)
            self.digest = digest
            scopes, errors = await self._compiled(pushed)
            partly, stored = await self._prepared(scopes, pushed)
            wanted: dict[str, Adjusted] = {}
            if not errors:
                wanted, errors = await self._wanted(scopes)
            if not errors:
                errors = self._placed(wanted)
            if errors:
                self._reject(errors, pushed)
            else:
                self._take(scopes, pushed, partly, stored=stored)
            said = self.errors
            self._writer.keep({ERRORS_META_KEY: json.dumps(said)})
            return said

    async def _compiled(self, pushed: Mapping[str, str]) -> tuple[Scopes, Errors]:
        scopes, errors = Scopes(), Errors()
        async for name, text in _gently(pushed.items()):
            try:
                known = self._scopes.adjustments.get(name) if self._texts.get(name) == text else None
                scopes.add(known or read(name, text))
            except ValueError as error:
                errors[name] = {name: str(error)}
        return scopes, errors

    async def _prepared(self, scopes: Scopes, pushed: Mapping[str, str]) -> tuple[Errors, str]:
        """What is to be said of them once they are in force, and the text for the store."""
        partly, parts = Errors(), list[str]()
        async for name, text in _gently(pushed.items()):
            parts.append(json.dumps((name, text)))
            if (one := scopes.adjustments.get(name)) and (missing := not_applied(one)):
                partly[name] = {name: missing}
        return partly, f"[{','.join(parts)}]"

    async def _wanted(self, scopes: Scopes) -> tuple[dict[str, Adjusted], Errors]:
        """What each container gets; nothing is awaited after the last one, so that none is forgotten."""
        wanted, errors = dict[str, Adjusted](), Errors()
        async for container in _gently(tuple(self._book.ledger.holders.values())):
            self._want(container, scopes, wanted, errors=errors)
        for container in tuple(self._book.ledger.holders.values()):
            if container.key not in wanted:  # it has come meanwhile
                self._want(container, scopes, wanted, errors=errors)
        return wanted, errors

    def _want(self, container: Container, scopes: Scopes, wanted: dict[str, Adjusted], *, errors: Errors) -> None:
        pod = self._book.placing.pod_of(container)
        matching = scopes.of(container, pod)
        wanted[container.key], problem = effective(matching, container, pod)
        if problem:
            add(errors, (one.name for one in matching), _called(container), problem)

    def _placed(self, wanted: Mapping[str, Adjusted]) -> Errors:
        """Let the policy decide about all that change, at once; what it refuses."""
        errors, holders = Errors(), self._book.ledger.holders
        wishes = [
            replace(holders[key], adjustment=adjustment)
            for key, adjustment in wanted.items()
            if key in holders and holders[key].adjustment != adjustment
        ]
        wishes.sort(key=lambda wish: _grows(holders[wish.key].wanted, wish.wanted))
        placing = self._book.placing
        decisions, refusals = answers(self._decider, [(wish, placing.pod_of(wish)) for wish in wishes])
        for key, text in refusals.items():
            add(errors, [wanted[key].by], _called(holders[key]), text)
        if not errors:
            placing.adjust(wishes, decisions)
        return errors

    def _take(self, scopes: Scopes, pushed: Mapping[str, str], partly: Errors, *, stored: str) -> None:
        if self._texts != pushed:
            self._texts = dict(pushed)
            self._writer.keep({META_KEY: stored})
        self._scopes, self._partly, self._errors, self._late = scopes, partly, {}, {}
        log.info("adjustments.applied", count=len(pushed), containers=len(self._adjusted_now()))

    def _reject(self, errors: Errors, pushed: Mapping[str, str]) -> None:
        unchanged = {name for name, text in self._texts.items() if pushed.get(name) == text}
        self._errors = rejected(errors, pushed.keys(), unchanged)
        said = listed(errors)
        beyond = f" and {len(said) - _SHOWN} more" if len(said) > _SHOWN else ""
        text = f"{'; '.join(said[:_SHOWN])}{beyond}"
        log.warning("adjustments.rejected", count=len(pushed), error=text)
        self._events.record(Kind.ADJUSTMENTS_REJECTED, text=text)

    def _effective(self, container: Container) -> tuple[Adjusted, str]:
        pod = self._book.placing.pod_of(container)
        return effective(self._scopes.of(container, pod), container, pod)

    def _adjusted_now(self) -> Sequence[str]:
        return [container.key for container in self._book.ledger.holders.values() if container.adjustment.by]

    def _alive(self, containers: Mapping[str, Container]) -> list[Container]:
        holders = self._book.ledger.holders
        return [holders[key] for key in containers if key in holders]


async def _gently(things: Iterable[T]) -> AsyncIterator[T]:
    """One after another; others have their turn each millisecond."""
    end_s = perf_counter() + SLICE_S
    for thing in things:
        yield thing
        if perf_counter() >= end_s:
            await asyncio.sleep(0)
            end_s = perf_counter() + SLICE_S


def _grows(before: Resources, after: Resources) -> bool:
    """Whoever gives something back comes first."""
    return after.cpu_shares > before.cpu_shares or after.memory_limit_bytes > before.memory_limit_bytes


def _called(container: Container) -> str:
    return container.id or container.key


def _restored(stored: str | None) -> tuple[Scopes, dict[str, str]]:
    scopes, texts = Scopes(), dict[str, str]()
    for text, adjustment in kept(stored):
        with suppress(ValueError):  # a statement of another version; the agent gives it again
            scopes.add(adjustment)
            texts[adjustment.name] = text
    return scopes, texts
