"""What can be scraped, with the Prometheus library's parser as the judge."""

import asyncio

from prometheus_client.parser import text_string_to_metric_families

from cri_resmgr.kube.queueing import Queue
from extension.metrics import PREFIX, Metrics
from extension.observing import CLASSES, Finished


async def nothing(_: str) -> None:
    """No work."""


def scraped(metrics: Metrics) -> dict[tuple[str, ...], float]:
    status, content_type, body = metrics.answer()
    assert (status, content_type.split(";")[0]) == (200, "text/plain")
    return {
        (sample.name.removeprefix(f"{PREFIX}_"), *map(str, sample.labels.values())): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def test_every_line_is_there_from_the_start() -> None:
    found = scraped(Metrics(version="1.2"))
    assert found["reconciles_total", "Create", "succeeded"] == 0
    assert {key[1] for key in found if key[0] == "errors_total"} == set(CLASSES)
    assert found["build_info", "1.2"] == 1
    assert found["leading",] == 0


def test_work_that_ended_is_counted_by_how_and_timed() -> None:
    metrics = Metrics(version="1")
    for outcome, duration_s in (("succeeded", 0.015625), ("succeeded", 400.0), ("conflict", 0.015625)):
        metrics.finished(Finished("Reconcile", outcome, duration_s))
    found = scraped(metrics)
    assert found["reconciles_total", "Reconcile", "succeeded"] == 2
    assert found["errors_total", "conflict"] == 1
    assert found["errors_total", "internal"] == 0
    assert found["reconcile_seconds_bucket", "Reconcile", "0.01"] == 0
    assert found["reconcile_seconds_bucket", "Reconcile", "0.025"] == 2
    assert found["reconcile_seconds_bucket", "Reconcile", "180.0"] == 2
    assert found["reconcile_seconds_bucket", "Reconcile", "+Inf"] == 3
    assert found["reconcile_seconds_sum", "Reconcile"] == 400.03125


def test_an_operation_that_nobody_knew_of_is_counted_as_well() -> None:
    metrics = Metrics(version="1")
    metrics.finished(Finished("New", "odd", 1.0))
    assert scraped(metrics)["reconciles_total", "New", "odd"] == 1


def test_only_a_leader_has_queues_and_those_that_wait_for_their_time_do_not_count() -> None:
    async def main() -> None:
        metrics = Metrics(version="1")
        queue: Queue[str] = Queue(nothing, workers=1, deadline_s=1)
        queue.add("now")
        queue.add("later", after_s=1000)
        with metrics.leading(extensions=queue):
            found = scraped(metrics)
            assert (found["leading",], found["queue_depth", "extensions"]) == (1, 1)
        found = scraped(metrics)
        assert found["leading",] == 0
        assert ("queue_depth", "extensions") not in found

    asyncio.run(main())
