"""What the webhook answers over HTTP: reviews on `/`, health and metrics beside them.

A request that is no review, too large or too slow gets an HTTP error.  The API server takes it as a failed call, and
the pod is made without annotation.  Everything that is a review is answered, also when we fail ourselves.

A pod's spec may hold secrets.  Nothing of it is logged: of an error of ours, only its kind and its place.
"""

import asyncio
import contextlib
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from pathlib import Path

import structlog
from aiohttp import web

from cri_resmgr.observe.exposition import CONTENT_TYPE
from cri_resmgr.observe.http import Answer, health
from cri_resmgr.observe.limiting import Limiter
from cri_resmgr.webhook import counting, reviews
from cri_resmgr.webhook.certificates import Certificate
from cri_resmgr.webhook.reviews import NoReview, Outcome, Request, Verdict

BODY_LIMIT_BYTES = 4 << 20
"""The API server takes 3 MiB for an object; a review holds one, and who asks."""
BODY_DEADLINE_S = 2.0
"""As long as the API server waits for the whole answer."""
SMALL_BODY_BYTES = 64 << 10
"""Nearly every review is smaller.  Connections buffer as much anyhow, so small bodies need not wait for a place."""
LARGE_BODIES_LIMIT = 8
COMPLAIN_S = 60.0
NAME_LIMIT_CHARS = 253

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = structlog.get_logger("webhook")


class Answers:
    """The handlers and what they count."""

    def __init__(self, certificate: Certificate, *, body_deadline_s: float = BODY_DEADLINE_S) -> None:
        self.counters = counting.Counters()
        self.leaving = False
        """Once set we are not ready, and each connection is closed with its answer."""
        self._certificate = certificate
        self._body_deadline_s = body_deadline_s
        self._places = asyncio.Semaphore(LARGE_BODIES_LIMIT)
        self._limiter = Limiter(COMPLAIN_S)
        self._busy = 0
        self._idle = asyncio.Event()
        self._idle.set()

    def application(self) -> web.Application:
        """All routes."""
        made = web.Application(client_max_size=BODY_LIMIT_BYTES, middlewares=[self._accompany])
        made.router.add_post("/", self._review)
        alive, ready = health(tuple), health(self._unready)
        for path, route in (("/", alive), ("/healthz", alive), ("/readyz", ready), ("/metrics", self._metrics)):
            made.router.add_get(path, _handler(route))
        return made

    async def finish(self, deadline_s: float) -> None:
        """Wait until what has begun is answered, but no longer: aiohttp reads no more once it shuts down."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), deadline_s)

    @web.middleware
    async def _accompany(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._busy += 1
        self._idle.clear()
        try:
            response = await handler(request)
        finally:
            self._busy -= 1
            if not self._busy:
                self._idle.set()
        if self.leaving:
            response.force_close()
        return response

    async def _review(self, request: web.Request) -> web.Response:
        begun_s = time.monotonic()
        if request.content_type != "application/json":
            return self._refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send a review as application/json")
        try:
            asked = await self._asked(request)
        except TimeoutError:
            return self._refused(HTTPStatus.REQUEST_TIMEOUT, f"send the body within {self._body_deadline_s:g} s")
        except web.HTTPRequestEntityTooLarge:
            return self._refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"send no more than {BODY_LIMIT_BYTES} bytes")
        except NoReview as error:
            return self._refused(HTTPStatus.BAD_REQUEST, str(error))
        said = self._verdict(asked)
        self.counters.took_s[said.outcome].observe(time.monotonic() - begun_s)
        return web.Response(body=reviews.answer(asked.uid, said), content_type="application/json")

    async def _asked(self, request: web.Request) -> Request:
        length = request.content_length
        small = length is not None and length <= SMALL_BODY_BYTES
        async with asyncio.timeout(self._body_deadline_s), contextlib.nullcontext() if small else self._places:
            return reviews.request(await request.read())

    def _verdict(self, asked: Request) -> Verdict:
        try:
            said = reviews.verdict(asked)
        except Exception as error:  # noqa: BLE001 - whatever it is, the pod must come
            if (missed := self._limiter.turn("review.broken")) is not None:
                log.error("review.broken", **_named(asked), error=type(error).__name__, at=_place(error), missed=missed)
            return Verdict(Outcome.FAILED, problem="the webhook is broken, see its log")
        if said.problem and (missed := self._limiter.turn("review.failed")) is not None:
            log.warning("review.failed", **_named(asked), problem=said.problem, missed=missed)
        log.debug("review.answered", **_named(asked), outcome=said.outcome.value)
        return said

    def _refused(self, status: HTTPStatus, remedy: str) -> web.Response:
        self.counters.refused[status] += 1
        if (missed := self._limiter.turn(status)) is not None:
            log.warning("request.refused", status=int(status), remedy=remedy, missed=missed)
        return web.Response(status=status, text=f"{remedy}\n")

    def _unready(self) -> list[str]:
        expired = "the certificate has expired; renew it" if self._certificate.expired() else ""
        return [reason for reason in (expired, "stopping" if self.leaving else "") if reason]

    def _metrics(self) -> Answer:
        return HTTPStatus.OK, CONTENT_TYPE, counting.text(self.counters, self._certificate).encode()


def _named(asked: Request) -> Mapping[str, str]:
    """Which review it is, for the log; nothing has looked at these words yet."""
    words = {"uid": asked.uid, "namespace": asked.namespace, "name": asked.name}
    return {key: word[:NAME_LIMIT_CHARS] for key, word in words.items()}


def _place(error: Exception) -> str:
    """File and line where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{Path(frame.filename).name}:{frame.lineno}"


def _handler(route: Callable[[], Answer]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        status, content_type, body = route()
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    return handle
