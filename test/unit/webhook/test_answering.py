"""What clients get over HTTPS, whatever they send; what is counted of it, and what is never told."""

import asyncio
import json
import re
from contextlib import asynccontextmanager

import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families

from cri_resmgr.policies.declarations import ANNOTATION
from cri_resmgr.webhook import answering, reviews
from unit.webhook import pairs
from unit.webhook.pods import REVIEW, body, container, pod
from unit.webhook.served import JSON, serving


def parsed(text: str):
    """Every sample of a scrape, as the client library reads it."""
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def head_of(length: int) -> bytes:
    """A request up to its body."""
    return f"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()


async def test_a_review_is_answered_with_a_review(files):
    async with serving(files) as webhook:
        reply = await webhook.review(body(pod(), uid="uid-7"))
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json")
    assert reply.json == {**REVIEW, "response": reply.json["response"]}
    assert reply.json["response"]["uid"] == "uid-7"
    assert reply.json["response"]["patchType"] == "JSONPatch"


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz"])
async def test_who_asks_for_its_health_hears_that_it_is_well(files, path):
    # The predecessor's manifest asks `/`, with a type of content that it does not send.
    async with serving(files) as webhook:
        reply = await webhook("GET", path, headers=JSON)
    assert (reply.status, reply.json) == (200, {"status": "ok", "reasons": []})


@pytest.mark.parametrize(
    ("method", "path", "status"), [("POST", "/healthz", 405), ("PUT", "/", 405), ("POST", "/mutate", 404)]
)
async def test_other_methods_and_paths_are_none(files, method, path, status):
    async with serving(files) as webhook:
        assert (await webhook(method, path, data=body(pod()), headers=JSON)).status == status


@pytest.mark.parametrize(
    ("sent", "headers", "status", "remedy"),
    [
        (b"{}", JSON, 400, "let admissionReviewVersions be [v1]"),
        (b"", JSON, 400, "send an AdmissionReview"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "send a review as application/json"),
        (b"{}", {**JSON, "Content-Encoding": "gzip"}, 400, "let admissionReviewVersions"),
        (b" " * (answering.BODY_LIMIT_BYTES + 1), JSON, 413, f"send no more than {4 << 20} bytes"),
    ],
)
async def test_what_is_no_review_is_refused_with_the_remedy_and_counted(files, sent, headers, status, remedy):
    async with serving(files) as webhook:
        reply = await webhook.review(sent, headers)
        assert (reply.status, reply.headers["Content-Type"]) == (status, "text/plain; charset=utf-8")
        assert remedy in reply.body.decode()
        counted = parsed(await webhook.metrics())
    assert {key: value for key, value in counted.items() if "refused_total" in key[0] and value} == {
        ("cri_resmgr_webhook_refused_total", str(status)): 1
    }


async def test_a_review_as_large_as_they_come_is_answered(files):
    big = pod(annotations={"a": "x" * (3 << 20)})
    async with serving(files) as webhook:
        reply = await webhook.review(body(big))
    assert "its annotations would take" in reply.json["response"]["warnings"][0]


async def test_a_body_without_end_is_refused_at_its_limit(files):
    async def endless():
        while True:
            yield b" " * 65_536

    async with serving(files) as webhook:
        reply = await webhook("POST", "/", data=endless(), headers=JSON)
    assert reply.status == 413


async def test_a_body_that_does_not_come_is_waited_for_only_so_long(files):
    async with serving(files, body_deadline_s=0.05) as webhook:
        reader, writer = await webhook.connected()
        writer.write(head_of(9) + b"{")
        said = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        assert said.startswith(b"HTTP/1.1 408 ")
        assert b"send the body within 0.05 s" in said
        assert (await webhook.review(body(pod()))).status == 200


@asynccontextmanager
async def places_taken(webhook):
    """Clients that have begun to send large bodies and never go on; yields how one of them goes."""
    slow = [await webhook.connected() for _ in range(answering.LARGE_BODIES_LIMIT)]
    for _, writer in slow:
        writer.write(head_of(answering.BODY_LIMIT_BYTES))
    while not webhook.answers._places.locked():
        await asyncio.sleep(0.001)
    yield slow[0][1].transport.abort
    for _, writer in slow:
        writer.transport.abort()


async def test_large_bodies_that_do_not_come_keep_no_ordinary_review_waiting(files):
    async with serving(files, body_deadline_s=60) as webhook, places_taken(webhook):
        reply = await webhook.review(body(pod()))
    assert reply.json["response"]["patchType"] == "JSONPatch"


async def test_one_large_body_more_than_there_is_place_for_waits_until_another_has_gone(files):
    async with serving(files, body_deadline_s=60) as webhook, places_taken(webhook) as let_one_go:
        large = asyncio.create_task(webhook.review(body(pod(annotations={"a": "x" * answering.SMALL_BODY_BYTES}))))
        for _ in range(10):
            await webhook.review(body(pod()))
        assert not large.done()
        let_one_go()
        assert (await large).json["response"]["patchType"] == "JSONPatch"


async def test_a_body_that_is_wrongly_encoded_is_one_that_does_not_come(files):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(files, body_deadline_s=0.05) as webhook:
        reader, writer = await webhook.connected()
        writer.write(head + b"1\r\n{\r\nno number\r\n")
        said = await asyncio.wait_for(reader.read(), 60)
        writer.close()
    assert said.startswith((b"HTTP/1.1 408 ", b"HTTP/1.0 400 "))  # it depends on what of it is read at once


async def test_a_client_that_hangs_up_halfway_leaves_nothing_behind(files):
    async with serving(files) as webhook:
        _, writer = await webhook.connected()
        writer.write(head_of(99) + b"{")
        await writer.drain()
        writer.transport.abort()
        assert (await webhook.review(body(pod()))).status == 200


async def test_bytes_that_are_no_http_are_answered_and_not_logged(files):
    with structlog.testing.capture_logs() as events:
        async with serving(files) as webhook:
            reader, writer = await webhook.connected()
            writer.write(b"SECRET \xff\x00 \r\n\r\n")
            assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.0 400 ")
            writer.close()
    assert "SECRET" not in str(events)


async def test_what_breaks_in_here_allows_the_pod_and_tells_its_place_only(files, monkeypatch):
    def broken(pod):
        raise KeyError(pod["spec"])

    monkeypatch.setattr(reviews.annotating, "patch", broken)
    with structlog.testing.capture_logs() as events:
        async with serving(files) as webhook:
            reply = await webhook.review(body(pod(container("c", {"limits": {"cpu": "77"}})), uid="uid-7"))
    response = reply.json["response"]
    assert (response["uid"], response["allowed"]) == ("uid-7", True)
    assert "the webhook is broken, see its log" in response["warnings"][0]
    (event,) = [event for event in events if event["event"] == "review.broken"]
    assert event["error"] == "KeyError"
    assert re.fullmatch(r"test_answering\.py:\d+", event["at"])
    assert "secret-image" not in str(events)
    assert "735192468" not in str(events)


async def test_nothing_of_a_pods_spec_is_logged_even_when_debugging(files):
    amounts = {"limits": {"cpu": "735192468"}}
    sent = [
        body(pod(container("secret-name", amounts))),
        body(pod(container("secret-name", amounts), annotations=["secret"])),
        body(pod({"image": "secret-image"}), uid="u" * 10_000),
        b'{"secret": ',
    ]
    with structlog.testing.capture_logs() as events:
        async with serving(files) as webhook:
            for one in sent:
                await webhook.review(one)
    assert {"review.answered", "review.failed", "request.refused"} <= {event["event"] for event in events}
    assert "secret" not in str(events)
    assert "735192468" not in str(events)
    assert len(str(events)) < 10_000


async def test_pods_that_fail_again_and_again_are_told_once(files):
    with structlog.testing.capture_logs() as events:
        async with serving(files) as webhook:
            for at in range(5):
                await webhook.review(body(pod(*[container("c")] * at, "x")))
    failed = [event for event in events if event["event"] == "review.failed"]
    assert [event["problem"] for event in failed] == ["spec.containers[0] is no mapping"]


async def test_every_review_is_counted_by_what_became_of_it(files):
    true = pod(annotations={ANNOTATION: '{"initContainers":{},"containers":{"c":{}}}'})
    async with serving(files) as webhook:
        for one in (body(pod()), body(pod()), body(true), body(pod(), operation="UPDATE"), body(None)):
            await webhook.review(one)
        counted = parsed(await webhook.metrics())
    assert {key[1]: value for key, value in counted.items() if key[0] == "cri_resmgr_webhook_review_seconds_count"} == {
        "annotated": 2,
        "unchanged": 1,
        "unconcerned": 1,
        "failed": 1,
    }
    assert counted["cri_resmgr_webhook_certificate_expiry_timestamp_seconds",] == webhook.certificate.pair.expires_at_s
    assert counted["cri_resmgr_webhook_certificate_current",] == 1


async def test_a_renewal_that_cannot_be_used_is_seen_in_the_metrics(files):
    async with serving(files) as webhook:
        files.key.write_text("junk")
        webhook.certificate.refresh()
        assert parsed(await webhook.metrics())["cri_resmgr_webhook_certificate_current",] == 0
        assert (await webhook("GET", "/readyz")).status == 200


async def test_with_an_expired_certificate_it_is_alive_and_not_ready(tmp_path):
    async with serving(pairs.make(tmp_path, days=-1)) as webhook:
        assert (await webhook("GET", "/healthz")).status == 200
        ready = await webhook("GET", "/readyz")
    assert ready.status == 503
    assert ready.json["reasons"] == ["the certificate has expired; renew it"]


async def test_when_leaving_it_still_answers_but_lets_go_of_its_clients(files):
    async with serving(files) as webhook:
        assert "Connection" not in (await webhook.review(body(pod()))).headers
        webhook.answers.leaving = True
        reply = await webhook.review(body(pod()))
        ready = await webhook("GET", "/readyz")
    assert (reply.status, reply.headers["Connection"]) == (200, "close")
    assert json.loads(reply.body)["response"]["patchType"] == "JSONPatch"
    assert (ready.status, ready.json["reasons"]) == (503, ["stopping"])
