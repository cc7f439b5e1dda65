"""What is sent for each verb, and what comes of each kind of answer; every request ends within its deadline."""

import asyncio
import json

import pytest
from aiohttp import web

from cri_resmgr.errors import BadInput
from cri_resmgr.kube import errors
from cri_resmgr.kube.clients import connected
from cri_resmgr.kube.errors import Conflict, Expired, LeaseLost, NotFound, Unauthorised, Unavailable
from cri_resmgr.kube.resources import Collection, Resource
from cri_resmgr.kube.streams import Event
from unit.kube.served import served

THINGS = Resource("example.org/v1", "things", "here")
PATH = "/apis/example.org/v1/namespaces/here/things"
LONG_S, SHORT_S = 30.0, 0.05


def answering(status=200, body=None, **headers):
    async def handler(request):
        await request.read()
        return web.json_response({} if body is None else body, status=status, headers=headers)

    return handler


async def sent(act):
    """Method, path with query, content type and body of what `act` sends."""
    async with served(answering()) as here:
        await act(here.client)
        (request,) = here.requests
        text = await request.text()
        assert request.headers["User-Agent"] == "a-test"
        assert request.headers["Authorization"] == "Bearer one"
        return request.method, request.path_qs, request.content_type, json.loads(text) if text else None


async def test_each_verb_sends_what_the_api_server_expects():
    thing = {"metadata": {"name": "a"}}
    operations = [{"op": "remove", "path": "/x"}]
    plain, merge, patch = "application/json", "application/merge-patch+json", "application/json-patch+json"
    for act, expected in [
        (lambda c: c.get(THINGS, "a"), ("GET", f"{PATH}/a", plain, None)),
        (lambda c: c.create(THINGS, thing), ("POST", PATH, plain, thing)),
        (lambda c: c.replace(THINGS, thing), ("PUT", f"{PATH}/a", plain, thing)),
        (lambda c: c.replace(THINGS, thing, subresource="status"), ("PUT", f"{PATH}/a/status", plain, thing)),
        (lambda c: c.merge_patch(THINGS, "a", {"x": None}), ("PATCH", f"{PATH}/a", merge, {"x": None})),
        (
            lambda c: c.merge_patch(THINGS, "a", {}, subresource="status"),
            ("PATCH", f"{PATH}/a/status", merge, {}),
        ),
        (lambda c: c.json_patch(THINGS, "a", operations), ("PATCH", f"{PATH}/a", patch, operations)),
        (lambda c: c.delete(THINGS, "a"), ("DELETE", f"{PATH}/a", plain, None)),
    ]:
        assert await sent(act) == expected


async def test_a_list_comes_in_pages_that_go_on_where_the_last_one_ended():
    async def handler(request):
        if "continue" in request.query:
            return web.json_response({"metadata": {"resourceVersion": "7"}, "items": [{"x": 2}]})
        return web.json_response({"metadata": {"resourceVersion": "7", "continue": "on=&"}, "items": [{"x": 1}]})

    async with served(handler) as here:
        pages = [page async for page in here.client.pages(THINGS.all(labels="a in (b,c)"), page_size=1)]
        assert [(page.items, page.version) for page in pages] == [([{"x": 1}], "7"), ([{"x": 2}], "7")]
        assert [dict(request.query) for request in here.requests] == [
            {"labelSelector": "a in (b,c)", "limit": "1"},
            {"labelSelector": "a in (b,c)", "limit": "1", "continue": "on=&"},
        ]


async def test_whoever_needs_metadata_only_asks_for_no_more_both_in_lists_and_in_watches():
    things = Collection(THINGS, metadata_only=True)
    async with served(answering(body={"metadata": {"resourceVersion": "7"}, "items": []})) as here:
        assert [page.items async for page in here.client.pages(things)] == [[]]
        async with here.client.watch(things, since="7", lasting_s=1.0, silence_s=SHORT_S):
            pass
        listing, watching = (request.headers["Accept"] for request in here.requests)
    assert listing == "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    assert watching == "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"


async def test_a_list_of_nothing_may_say_null():
    async with served(answering(body={"metadata": {"resourceVersion": "7"}, "items": None})) as here:
        assert [page.items async for page in here.client.pages(THINGS.all())] == [[]]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, errors.Invalid),
        (403, errors.Forbidden),
        (404, NotFound),
        (405, errors.Refused),
        (409, Conflict),
        (410, Expired),
        (422, errors.Invalid),
        (429, Unavailable),
        (500, Unavailable),
        (503, Unavailable),
    ],
)
async def test_a_refusal_has_a_kind_and_says_what_was_asked_and_what_the_server_said(status, kind):
    async with served(answering(status, {"kind": "Status", "message": "because of that"})) as here:
        with pytest.raises(errors.ApiError, match=f"^GET {PATH}/a: {status} because of that$") as raised:
            await here.client.get(THINGS, "a")
    assert type(raised.value) is kind


async def test_a_refusal_by_something_in_between_is_told_as_it_is_and_not_at_length():
    async def handler(request):
        return web.Response(status=502, text="<html>\n  bad   gateway\n</html>" + 10_000 * "x")

    async with served(handler) as here:
        with pytest.raises(Unavailable, match="502 <html> bad gateway </html>") as raised:
            await here.client.get(THINGS, "a")
    assert len(str(raised.value)) < 1000


@pytest.mark.parametrize(("header", "expected_s"), [("7", 7.0), ("soon", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)])
async def test_how_long_the_server_wants_to_be_left_alone_is_known(header, expected_s):
    async with served(answering(429, **{"Retry-After": header})) as here:
        with pytest.raises(Unavailable) as raised:
            await here.client.get(THINGS, "a")
    assert raised.value.retry_after_s == expected_s


async def test_an_answer_that_is_no_json_is_told_as_such():
    async def handler(request):
        return web.Response(text="hello")

    async with served(handler) as here:
        with pytest.raises(Unavailable, match="is this an API server"):
            await here.client.get(THINGS, "a")


async def test_a_server_that_does_not_answer_or_not_to_the_end_costs_no_more_than_the_deadline():
    async def silent(request):
        await asyncio.sleep(LONG_S)

    async def stuck(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"metadata":')
        await asyncio.sleep(LONG_S)

    for handler in (silent, stuck):
        async with served(handler) as here:
            with pytest.raises(Unavailable, match=r"no answer within 0\.05 s"):
                await here.client.get(THINGS, "a", deadline_s=SHORT_S)


async def test_a_connection_that_breaks_in_the_middle_of_an_answer_is_unavailable():
    async def handler(request):
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        request.transport.abort()
        return response

    async with served(handler) as here:
        with pytest.raises(Unavailable, match=f"GET {PATH}/a: ."):
            await here.client.get(THINGS, "a")


async def test_nobody_at_the_address_is_unavailable():
    async with served(answering()) as here:
        here.address = "http://127.0.0.1:1"
        with pytest.raises(Unavailable, match="127"):
            await here.client.get(THINGS, "a")


async def test_what_a_watch_asks_for_and_what_it_gives():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{"x":1}}\n{"type":"BOOK')
        await response.write(b'MARK","object":{}}\n')
        return response

    async with served(handler) as here:
        async with here.client.watch(THINGS.named("a"), since="7", lasting_s=300.5, silence_s=LONG_S) as events:
            assert [event async for event in events] == [Event("ADDED", {"x": 1}), Event("BOOKMARK", {})]
        assert dict(here.requests[0].query) == {
            "fieldSelector": "metadata.name=a",
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": "7",
            "timeoutSeconds": "300",
        }


async def test_a_watch_that_is_refused_is_so_when_it_is_entered():
    async with served(answering(410, {"message": "too old"})) as here:
        with pytest.raises(Expired):
            async with here.client.watch(THINGS.all(), since="7", lasting_s=LONG_S, silence_s=LONG_S):
                pytest.fail("there is nothing to watch")


async def endless(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b'{"type":"ADDED","object":{}}\n')
    await asyncio.sleep(LONG_S)
    return response


async def test_a_silent_watch_ends_without_an_error():
    async with (
        served(endless) as here,
        here.client.watch(THINGS.all(), since="7", lasting_s=LONG_S, silence_s=SHORT_S) as events,
    ):
        assert len([event async for event in events]) == 1


async def test_a_watch_can_be_left_at_any_time():
    async with served(endless) as here:
        for _ in range(3):
            async with here.client.watch(THINGS.all(), since="7", lasting_s=LONG_S, silence_s=LONG_S) as events:
                assert await anext(events) == Event("ADDED", {})


async def test_a_watch_that_breaks_is_unavailable():
    async def handler(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"type":"ADDED","object":{}}\n{"type"')
        request.transport.abort()
        return response

    async with (
        served(handler) as here,
        here.client.watch(THINGS.all(), since="7", lasting_s=LONG_S, silence_s=LONG_S) as events,
    ):
        await anext(events)
        with pytest.raises(Unavailable):
            await anext(events)


async def test_what_goes_wrong_with_an_event_in_other_hands_is_not_the_api_servers_fault():
    async def stumble(here):
        async with here.client.watch(THINGS.all(), since="7", lasting_s=LONG_S, silence_s=LONG_S) as events:
            async for _ in events:
                raise ValueError("mine")

    async with served(endless) as here:
        with pytest.raises(ValueError, match="mine"):
            await stumble(here)


async def test_credentials_that_are_refused_are_read_again_and_the_request_is_repeated():
    async def handler(request):
        return web.json_response({}, status=200 if request.headers["Authorization"] == "Bearer two" else 401)

    async with served(handler) as here:
        await here.session.open()
        here.tokens.append("Bearer two")
        await here.client.get(THINGS, "a")
        assert (len(here.requests), here.loads) == (2, 2)


async def test_credentials_that_stay_refused_are_tried_twice_and_not_in_a_loop():
    async with served(answering(401, {"message": "Unauthorized"})) as here:
        with pytest.raises(Unauthorised):
            await here.client.get(THINGS, "a")
        assert (len(here.requests), here.loads) == (2, 2)


async def test_many_requests_that_are_refused_at_once_read_the_credentials_once():
    async def handler(request):
        await asyncio.sleep(SHORT_S)  # so that all are under way
        return web.json_response({}, status=200 if request.headers["Authorization"] == "Bearer two" else 401)

    async with served(handler) as here:
        await here.session.open()
        here.tokens.append("Bearer two")
        await asyncio.gather(*(here.client.get(THINGS, "a") for _ in range(10)))
        assert here.loads == 2


async def test_credentials_are_read_again_when_they_are_old_and_not_before():
    async with served(answering()) as here:
        here.good_for_s = 60
        for here.now_s, loads in ((0, 1), (60, 1), (61, 2), (121, 2), (122, 3)):
            await here.client.get(THINGS, "a")
            assert here.loads == loads


async def test_a_new_token_does_not_end_a_watch():
    async with served(endless) as here:
        here.good_for_s = 60
        async with here.client.watch(THINGS.all(), since="7", lasting_s=LONG_S, silence_s=LONG_S) as events:
            await anext(events)
            here.now_s = 61
            async with here.client.watch(THINGS.all(), since="7", lasting_s=LONG_S, silence_s=SHORT_S):
                assert here.loads == 2
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(SHORT_S):
                    await anext(events)


async def test_credentials_that_have_gone_bad_make_requests_fail_and_nothing_else():
    async with served(answering()) as here:
        here.good_for_s = 60
        await here.client.get(THINGS, "a")
        here.tokens.append("")
        here.now_s = 61
        with pytest.raises(Unavailable, match="no service account"):
            await here.client.get(THINGS, "a")


async def test_a_guarded_client_reads_but_does_not_write_when_it_may_not():
    def guard():
        raise LeaseLost("not the leader")

    async with served(answering()) as here:
        guarded = here.client.guarded(guard)
        await guarded.get(THINGS, "a")
        for write in (
            guarded.create(THINGS, {}),
            guarded.replace(THINGS, {"metadata": {"name": "a"}}),
            guarded.merge_patch(THINGS, "a", {}),
            guarded.json_patch(THINGS, "a", []),
            guarded.delete(THINGS, "a"),
        ):
            with pytest.raises(LeaseLost):
                await write
        assert [request.method for request in here.requests] == ["GET"]


async def test_a_write_that_had_to_wait_for_its_connection_is_checked_again_before_it_goes_out():
    answers = iter([LONG_S])

    def guard():
        if left_s := next(answers, None):
            return left_s
        raise LeaseLost("not the leader any more")

    async with served(answering()) as here:
        with pytest.raises(LeaseLost, match="any more"):
            await here.client.guarded(guard).create(THINGS, {})
        await here.client.create(THINGS, {})
        assert len(here.requests) == 1


async def test_a_guarded_write_has_no_longer_than_it_may_write():
    async def silent(request):
        await asyncio.sleep(LONG_S)

    async with served(silent) as here:
        with pytest.raises(Unavailable, match=r"within 0\.05 s"):
            await here.client.guarded(lambda: SHORT_S).delete(THINGS, "a")


async def test_neither_the_environments_proxy_nor_netrc_comes_between(monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    for name, value in (("http_proxy", "http://127.0.0.1:1"), ("NETRC", str(netrc))):
        monkeypatch.setenv(name, value)
    async with served(answering()) as here:
        await here.client.get(THINGS, "a")
        assert here.requests[0].headers["Authorization"] == "Bearer one"


async def test_a_kubeconfig_that_cannot_be_used_is_the_users_to_repair(tmp_path):
    with pytest.raises(BadInput, match="nothing-here"):
        async with connected(kubeconfig=tmp_path / "nothing-here", user_agent="a-test"):
            pytest.fail("there is nothing to connect to")
