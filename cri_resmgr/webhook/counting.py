"""What the webhook counts, and how Prometheus reads it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from itertools import chain

from cri_resmgr import __version__
from cri_resmgr.observe.exposition import head, histogram, labels, sample
from cri_resmgr.relay.counters import BOUNDS_S, Histogram
from cri_resmgr.webhook.certificates import Certificate
from cri_resmgr.webhook.reviews import Outcome

REFUSALS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
)
"""With what a request is refused that cannot be answered with a review."""
_BOUNDS = (*map(str, BOUNDS_S), "+Inf")
_PREFIX = "cri_resmgr_webhook"


@dataclass(frozen=True, slots=True)
class Counters:
    """Requests since the start, by what became of them."""

    took_s: dict[Outcome, Histogram] = field(default_factory=lambda: {outcome: Histogram() for outcome in Outcome})
    refused: dict[HTTPStatus, int] = field(default_factory=lambda: dict.fromkeys(REFUSALS, 0))


def text(counters: Counters, certificate: Certificate) -> str:
    """All metrics as they are now."""
    return "".join(chain(_of_requests(counters), _of_certificate(certificate), _of_build()))


def _of_requests(counters: Counters) -> Iterator[str]:
    name = f"{_PREFIX}_review_seconds"
    yield head(name, "histogram", "Seconds from the head of a request to the answer, by what became of the review.")
    for outcome, took in counters.took_s.items():
        pairs = labels(outcome=outcome.value)
        yield from histogram(name, pairs, bounds=_BOUNDS, counts=took.counts, total=took.total_s)
    name = f"{_PREFIX}_refused_total"
    yield head(name, "counter", "Requests that were no review, too large or too slow, by the HTTP status they got.")
    yield from (sample(name, count, labels(status=str(int(status)))) for status, count in counters.refused.items())


def _of_certificate(certificate: Certificate) -> Iterator[str]:
    name = f"{_PREFIX}_certificate_expiry_timestamp_seconds"
    yield head(name, "gauge", "Until when the certificate in use is valid, in Unix time.")
    yield sample(name, certificate.pair.expires_at_s)
    name = f"{_PREFIX}_certificate_current"
    yield head(name, "gauge", "1 if the certificate in use is the one in its file, 0 if that one cannot be used.")
    yield sample(name, not certificate.problem)


def _of_build() -> Iterator[str]:
    yield head("cri_resmgr_build_info", "gauge", "Always 1; the version is a label.")
    yield sample("cri_resmgr_build_info", 1, labels(version=__version__))
