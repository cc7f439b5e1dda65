"""Where the page is served: `/` for people, `/node.json` for what is on it, `/container.json?key=…` for why.

A look is kept for a moment, so that many who look cost what one costs.
"""

import asyncio
import base64
import hashlib
import json
import os
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs

from cri_resmgr.cli.applying import Applier
from cri_resmgr.cli.flags import Flags
from cri_resmgr.cli.inspecting import explaining
from cri_resmgr.cli.inspecting.stored import Stored
from cri_resmgr.cli.node import Node
from cri_resmgr.cli.page.looking import Look, Looker
from cri_resmgr.cli.site import NOWHERE
from cri_resmgr.config import endpoints
from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.config.settings import Settings
from cri_resmgr.host import topology
from cri_resmgr.observe.http import Answer, Route, Server
from cri_resmgr.values.workloads import Container, Pod

KEPT_S = 0.5
_JSON = "application/json"
_INLINE = re.compile(rb"<(script|style)>(.*?)</\1>", re.DOTALL)

Looking = Callable[[], Awaitable[Look]]
Telling = Callable[[str], str]


def server(endpoint: Endpoint, look: Looking, tell: Telling) -> Server:
    """A server of the page; `look` is asked for what is now, `tell` for the JSON about a container by its key.

    `tell` raises LookupError for a key that nobody has.
    """
    html = resources.files(__package__).joinpath("page.html").read_bytes()
    page = HTTPStatus.OK, "text/html; charset=utf-8", html
    routes: dict[str, Route] = {"/": lambda: page, "/node.json": _Kept(look).answer}
    questions = {"/container.json": partial(_container, tell)}
    return Server(endpoint, routes, questions=questions, headers=headers(html), local_names=True)


def headers(html: bytes) -> dict[str, str]:
    """What keeps a browser from doing anything but what the page says: its own two pieces, and nothing from outside."""
    inline = {kind.decode(): _hash(text) for kind, text in _INLINE.findall(html)}
    policy = f"script-src {inline['script']}; style-src {inline['style']}; connect-src 'self'; img-src data:"
    closed = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    return {
        "Content-Security-Policy": f"{closed}; {policy}",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }


async def serve(
    flags: Flags, node: Node, applier: Applier, *, reasons: Callable[[], Sequence[str]], undo: AsyncExitStack
) -> None:
    """Serve the daemon's page where the flags say, if anywhere; raises `BadInput` where that is not possible."""
    endpoint = None if flags.disable_ui else endpoints.parse(flags.page_address)
    if endpoint is not None:
        live = _Live(flags, node, applier, reasons)
        serving = server(endpoint, live.look, live.tell)
        await serving.start()
        undo.push_async_callback(serving.close)


def told(pods: Mapping[str, Pod], containers: Mapping[str, Container], key: str) -> str:
    """What `explain` says of a container, as JSON; raises LookupError if there is none of that key."""
    now = Stored(Path(), os.getpid(), pods, containers, (), Settings(), (), MappingProxyType({}), None)
    return json.dumps(explaining.explained(now, containers[key]))


class _Live:
    """The daemon as the page sees it."""

    def __init__(self, flags: Flags, node: Node, applier: Applier, reasons: Callable[[], Sequence[str]]) -> None:
        self._flags, self._node, self._applier, self._reasons = flags, node, applier, reasons
        self._machine = NOWHERE  # for a policy that has no need to look at it

    async def look(self) -> Look:
        """This moment."""
        machine = self._applier.machine
        if machine == NOWHERE:
            if self._machine == NOWHERE:
                self._machine = await asyncio.to_thread(topology.discover, Path(self._flags.host_root or "/"))
            machine = self._machine
        node, decider = self._node, self._node.decider
        return Look(
            policy=decider.policy.name,
            source=self._applier.settings.source,
            machine=machine,
            pods=node.book.ledger.pods,
            containers=tuple(node.book.ledger.holders.values()),
            pools=decider.policy.pools(decider.state) if decider.begun else (),
            events=tuple(node.events),
            health=self._reasons(),
            warnings=decider.policy.warnings(decider.state) if decider.begun else (),
            astray=node.drift.astray,
        )

    def tell(self, key: str) -> str:
        """What `explain` says of a container."""
        ledger = self._node.book.ledger
        return told(ledger.pods, ledger.containers, key)


class _Kept:
    """The text of the last look, made anew when it is old and somebody asks; who asks meanwhile waits for the same."""

    def __init__(self, look: Looking) -> None:
        self._look, self._looker = look, Looker()
        self._one = asyncio.Lock()
        self._text, self._until_s = b"", 0.0

    async def answer(self) -> Answer:
        """The route."""
        clock = asyncio.get_running_loop().time
        async with self._one:
            if clock() >= self._until_s:
                self._text = (await self._looker.text(await self._look())).encode()
                self._until_s = clock() + KEPT_S
        return HTTPStatus.OK, _JSON, self._text


def _container(tell: Telling, query: str) -> Answer:
    keys = parse_qs(query).get("key", [""])
    try:
        return HTTPStatus.OK, _JSON, tell(keys[0]).encode()
    except LookupError:
        return HTTPStatus.NOT_FOUND, _JSON, b'{"error": "there is no such container; it may have ended"}'


def _hash(text: bytes) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text).digest()).decode()}'"
