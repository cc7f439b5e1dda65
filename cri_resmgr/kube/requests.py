"""A request as a value, and what its failing below HTTP means."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from typing import Any
from urllib.parse import urlencode

import aiohttp

from cri_resmgr.errors import BadInput
from cri_resmgr.kube.errors import Unavailable

JSON = "application/json"
METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"

Guard = Callable[[], float]
"""For how many seconds from now one may still write; it raises when one may not."""


def always() -> float:
    """No guard."""
    return inf


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; `body` is sent as JSON unless it is None."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None
    content_type: str = JSON
    accept: str = JSON
    guard: Guard = always

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def target(self) -> str:
        """Path and query as they stand in a URL."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@contextmanager
def explained(request: Request, deadline_s: float) -> Iterator[None]:
    """Whatever goes wrong below HTTP, in whatever library, is `Unavailable`; so are credentials that have gone bad."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(f"{request}: no answer within {deadline_s:g} s") from error
    except ValueError as error:
        raise Unavailable(f"{request}: the answer is no JSON ({error}); is this an API server?") from error
    except (aiohttp.ClientError, OSError, BadInput) as error:
        raise Unavailable(f"{request}: {str(error) or type(error).__name__}") from error
