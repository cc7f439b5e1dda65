"""Adjustments for a node reach its daemon, what became of them their status; nothing is done for nothing."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from cri_resmgr.agent import adjustment_metrics
from cri_resmgr.agent.daemon import Away
from cri_resmgr.errors import Degraded
from cri_resmgr.kube.errors import Conflict, Forbidden, NotFound, Unavailable
from unit.agent.adjustments import HALF, AdjustmentServer, Node, TakingDaemon, running, spec
from unit.kube.virtual_time import run

SETTLED_S = 20.0

Story = Callable[[AdjustmentServer, TakingDaemon], Awaitable[None]]


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[dict]]:
    with capture_logs() as records:
        yield records


@pytest.fixture(name="told")
def _told() -> Callable[[Story], None]:
    """A story on a loop on which waiting takes no time."""

    def tell(story: Story) -> None:
        async def main() -> None:
            await story(AdjustmentServer(), TakingDaemon())

        run(main())

    return tell


def effects(daemon: TakingDaemon) -> dict[str, dict]:
    return {name: json.loads(text)["effect"] for name, text in daemon.texts.items()}


def test_those_for_this_node_go_to_the_daemon_and_get_a_status(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("mine", spec("node-1"))
        server.apply("all", spec("node-*", toptierLimit="1Mi"))
        server.apply("other", spec("node-2"))
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
        half = {"cpu_limit_millicpu": 500, "cpu_request_millicpu": 500}
        assert effects(daemon) == {"mine": half, "all": {"toptier_limit_bytes": 1 << 20}}
        assert server.objects["mine"]["status"] == {"nodes": {"node-1": {"errors": {}}}}, "exactly the seed's shape"
        assert server.errors("all") == {}
        assert "status" not in server.objects["other"]
        assert (len(daemon.given), len(server.patches)) == (1, 2)

    told(story)


def test_prometheus_gets_how_many_there_are_and_what_they_have_cost(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("good", spec("node-1"))
        server.apply("bad", spec("node-1"))
        server.apply("other", spec("node-2"))
        daemon.verdict = lambda _texts: {"bad": {"bad": "not applied on this node"}}
        node = Node(server, daemon)
        async with running(node):
            await asyncio.sleep(SETTLED_S)
        families = text_string_to_metric_families(adjustment_metrics.text(node.adjusting))
        numbers = {one.name.removeprefix("cri_resmgr_agent_"): one.value for each in families for one in each.samples}
        assert numbers == {
            "adjustments": 2,
            "adjustments_amiss": 1,
            "adjustments_pushes_total": 1,
            "adjustments_status_writes_total": 2,
            "adjustments_status_refused_total": 0,
        }

    told(story)


def test_errors_are_written_to_those_they_are_about_and_go_when_they_are_over(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        conflict = {"b71a": "cache: conflicting adjustments for p:c: one,two"}

        def verdict(texts):
            both = {"one", "two"} <= texts.keys() and json.loads(texts["two"])["scopes"][0]["containers"]
            return {"one": conflict, "two": conflict} if both else {}

        daemon.verdict = verdict
        server.apply("one", spec("node-1"))
        server.apply("two", spec("node-1"))
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
            assert (server.errors("one"), server.errors("two")) == (conflict, conflict)
            server.apply("two", {"scope": [{"nodes": ["node-1"]}], **HALF})
            await asyncio.sleep(SETTLED_S)
            assert (server.errors("one"), server.errors("two")) == ({}, {})

    told(story)


def test_what_is_amiss_is_tried_again_with_growing_pauses_and_what_never_changes_is_not(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        daemon.verdict = lambda _texts: {"one": {"one": "not applied on this node: RDT class"}}
        async with running(Node(server, daemon)):
            await asyncio.sleep(3600)
            assert len(daemon.given) == 1
            daemon.verdict = lambda _texts: {"one": {"b71a": "cache: conflicting adjustments"}}
            server.apply("one", spec("node-1", toptierLimit="1Mi"))
            await asyncio.sleep(3600)
            assert 10 < len(daemon.given) < 40
            daemon.verdict = lambda _texts: {}
            await asyncio.sleep(400)
            assert server.errors("one") == {}

    told(story)


def test_what_the_daemon_says_later_is_written_too(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
            daemon.errors = {"one": {"c9": "cache: conflicting adjustments for p:new: one,two"}}
            await asyncio.sleep(SETTLED_S)
            assert server.errors("one") == daemon.errors["one"]
            assert len(daemon.given) == 1

    told(story)


def test_the_status_of_other_nodes_is_no_work(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
            patches, pushes = len(server.patches), len(daemon.given)
            for n in range(500):
                await server.merge_patch(
                    _resource(), "one", {"status": {"nodes": {f"node-{n + 2}": {"errors": {}}}}}, subresource="status"
                )
            await asyncio.sleep(SETTLED_S)
            assert (len(server.patches), len(daemon.given)) == (patches + 500, pushes)

    told(story)


def _resource():
    from cri_resmgr.agent.adjustment_writing import ADJUSTMENTS  # noqa: PLC0415 - one name for one test

    return ADJUSTMENTS.within("kube-system")


def test_an_entry_of_ours_that_somebody_spoils_is_put_right(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
            server.apply("one", spec("node-1"), {"nodes": {"node-1": {"errors": {"a": "b"}}}})
            await asyncio.sleep(SETTLED_S)
            assert server.errors("one") == {}
            server.apply("one", spec("node-1"), {})
            await asyncio.sleep(SETTLED_S)
            assert server.errors("one") == {}

    told(story)


def test_a_node_that_leaves_the_scope_takes_its_entry_and_what_was_adjusted_back(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
            server.apply("one", spec("node-2"))
            await asyncio.sleep(SETTLED_S)
            assert server.objects["one"]["status"] == {"nodes": {}}
            assert daemon.texts == {}

    told(story)


def test_an_adjustment_that_is_deleted_is_taken_back(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
            server.drop("one")
            await asyncio.sleep(SETTLED_S)
            assert daemon.texts == {}

    told(story)


def test_one_that_says_what_cannot_be_keeps_the_set_back_and_says_why_to_all(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("good", spec("node-1"))
        node = Node(server, daemon)
        async with running(node):
            await asyncio.sleep(SETTLED_S)
            server.apply("bad", spec("node-1", resources={"requests": {"cpu": 2}, "limits": {"cpu": 1}}))
            await asyncio.sleep(SETTLED_S)
            assert len(daemon.given) == 1
            assert server.errors("bad") == {
                "bad": "spec.resources.requests.cpu: 2 is more than the limit, 1; make one fit the other"
            }
            text = "cache: this update was rejected because of bad; what was in force before stays"
            assert server.errors("good") == {"cache": text}
            assert f"adjustments: {text}; spec.resources" in node.standing.text()
            server.apply("bad", spec("node-1"))
            await asyncio.sleep(SETTLED_S)
            assert (server.errors("good"), server.errors("bad")) == ({}, {})
            assert set(daemon.texts) == {"good", "bad"}

    told(story)


def test_a_daemon_that_starts_again_is_given_the_set_once(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
            assert [one.texts for one in daemon.given] == [{}], "even if there is nothing: it may remember something"
            daemon.restarted()
            await asyncio.sleep(SETTLED_S)
            assert len(daemon.given) == 2

    told(story)


def test_a_daemon_that_is_away_is_waited_for_and_said_is_what_was_known(told, logged):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        daemon.broken = Away("nobody answers")
        async with running(Node(server, daemon)):
            await asyncio.sleep(3600)
            assert server.errors("one") is None
            assert [line["event"] for line in logged].count("adjustments.undelivered") == 1
            daemon.broken = None
            await asyncio.sleep(SETTLED_S)
            assert server.errors("one") == {}

    told(story)


def test_a_daemon_that_cannot_take_it_is_an_error_of_the_request(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        daemon.broken = Degraded("this daemon does not know it: update it")
        async with running(Node(server, daemon)):
            await asyncio.sleep(SETTLED_S)
            assert server.errors("one") == {
                "request": "not applied on this node: this daemon does not know it: update it"
            }
            daemon.broken = None
            await asyncio.sleep(SETTLED_S)
            assert server.errors("one") == {}

    told(story)


def test_a_daemon_that_takes_nothing_is_said_to_be_so(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        daemon.broken = Away("there is no socket")
        node = Node(server, daemon)
        async with running(node):
            node.adjusting.lost()
            node.adjusting.off("--force-config")
            await asyncio.sleep(SETTLED_S)
            assert server.errors("one") == {"request": "not applied on this node: --force-config"}

    told(story)


def test_without_the_resource_definition_nothing_happens_until_it_is_there(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.breaks(NotFound("adjustments in kube-system: 404"))
        node = Node(server, daemon)
        async with running(node):
            await asyncio.sleep(3600)
            assert 60 < len(server.requests) < 300, "it looks again, with pauses"
            assert daemon.texts == {}
            server.mends()
            server.apply("one", spec("node-1"))
            await asyncio.sleep(60)
            assert server.errors("one") == {}

    told(story)


@pytest.mark.parametrize(
    "error", [Unavailable("too many requests", retry_after_s=7), Conflict("409"), Forbidden("403")]
)
def test_a_status_that_cannot_be_written_is_written_later(told, error):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        server.refusing = error
        async with running(Node(server, daemon)):
            await asyncio.sleep(600)
            assert 5 < [what for _, what in server.requests].count("patch") < 60
            server.refusing = None
            await asyncio.sleep(120)
            assert server.errors("one") == {}

    told(story)


def test_an_adjustment_that_goes_before_its_status_is_written_is_no_error(told, logged):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        server.refusing = NotFound("gone")
        async with running(Node(server, daemon)):
            await asyncio.sleep(600)
            assert [what for _, what in server.requests].count("patch") == 1

    told(story)
    assert not [line for line in logged if line["log_level"] in {"warning", "error"}]


def test_two_agents_on_a_node_do_not_take_turns_for_ever(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        server.apply("one", spec("node-1"))
        blind = AdjustmentServer()
        async with running(Node(server, daemon), Node(blind, daemon)):
            await asyncio.sleep(3600)
        assert len(daemon.given) < 60

    told(story)


def test_five_thousand_for_others_cost_nothing_to_keep_and_for_this_node_one_push(told):
    async def story(server: AdjustmentServer, daemon: TakingDaemon) -> None:
        for n in range(5_000):
            server.apply(f"a{n}", spec("node-1" if n < 50 else f"node-{n}"))
        node = Node(server, daemon)
        async with running(node):
            await asyncio.sleep(SETTLED_S)
            assert len(node.adjusting._records()) == 50
            assert (len(daemon.given), len(server.patches)) == (1, 50)

    told(story)
