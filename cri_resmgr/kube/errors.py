"""What can come of a request, as one tree; the cause is chained.

    Degraded
    ├── ApiError            the API server has not done what it was asked
    │   ├── Unavailable     nobody answered, or not now: the same request may succeed later
    │   └── Refused         it answered, and would answer so again
    │       ├── Unauthorised    401: it does not know who we are
    │       ├── Forbidden       403: it knows, and we may not
    │       ├── NotFound        404: no such object, or no such kind of objects
    │       ├── Conflict        409: somebody else has made or changed it meanwhile
    │       ├── Expired         410: from too long ago to go on from there
    │       └── Invalid         400, 422: the object is not valid
    └── LeaseLost           somebody else may lead from now on

Whoever works on one object catches Refused or what is below it; Unavailable is for whoever repeats things.
"""

import json
from contextlib import suppress

from cri_resmgr.errors import Degraded

TEXT_LIMIT_CHARS = 500


class ApiError(Degraded):
    """The API server has not done what it was asked."""


class Unavailable(ApiError):  # noqa: N818 - the words of the tree above
    """Nobody answered, or not now; `retry_after_s` is how long the server wants to be left alone."""

    def __init__(self, text: str, *, retry_after_s: float = 0.0) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Refused(ApiError):  # noqa: N818
    """The API server answered, and would answer so again."""


class Unauthorised(Refused):
    """The credentials are not, or no longer, good."""


class Forbidden(Refused):
    """The credentials are good, and may not do this."""


class NotFound(Refused):
    """There is no such object, or no such kind of objects."""


class Conflict(Refused):
    """Somebody else has made or changed the object meanwhile: read it again."""


class Expired(Refused):
    """A resourceVersion or a page is from too long ago: list again."""


class Invalid(Refused):
    """The object, or the change to it, is not valid."""


class LeaseLost(Degraded):
    """Somebody else may hold the lease from now on."""


def refusal(request: str, status: int, body: bytes, *, retry_after: str = "") -> ApiError:
    """What an answer with this HTTP status means; `request` says what was asked, `retry_after` is the header."""
    text = f"{request}: {status} {_said(body)}"
    if status == 429 or status >= 500:  # noqa: PLR2004 - HTTP
        return Unavailable(text, retry_after_s=float(retry_after) if retry_after.isdecimal() else 0.0)
    kinds = {
        400: Invalid,
        401: Unauthorised,
        403: Forbidden,
        404: NotFound,
        409: Conflict,
        410: Expired,
        422: Invalid,
    }
    return kinds.get(status, Refused)(text)


def _said(body: bytes) -> str:
    """The message of a Status object, or what else somebody in between has put there."""
    text = body.decode(errors="replace")
    with suppress(ValueError, TypeError, LookupError):
        text = json.loads(text)["message"]
    return " ".join(str(text).split())[:TEXT_LIMIT_CHARS]
