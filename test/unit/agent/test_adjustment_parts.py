"""What is kept of an Adjustment, what is written about it, who cleans up, and what a large cluster costs."""

import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cri_resmgr.agent.adjustment_cleaning import Cleaner
from cri_resmgr.agent.adjustment_records import Record, patch, record
from cri_resmgr.agent.adjustment_writing import ADJUSTMENTS, PACE, due
from cri_resmgr.kube.errors import Unavailable
from unit.agent.adjustments import NAMESPACE, AdjustmentServer, merged, spec

SAID = st.dictionaries(st.sampled_from("abc"), st.sampled_from("xy"), max_size=3)
RESOURCE = ADJUSTMENTS.within(NAMESPACE)


def thing(name: str = "a", status=None, **fields) -> dict:
    return {"metadata": {"name": name}, **fields, **({} if status is None else {"status": status})}


def test_one_for_others_is_not_kept_unless_we_have_an_entry_in_it():
    assert record(thing(spec=spec("node-2")), "node-1") is None
    ours = {"nodes": {"node-1": {"errors": {}}, "node-2": {"errors": {}}}}
    assert record(thing(spec=spec("node-2"), status=ours), "node-1") == Record("a", said=())


def test_what_other_nodes_say_makes_no_other_record():
    one = record(thing(spec=spec("node-1"), status={"nodes": {"node-2": {"errors": {}}}}), "node-1")
    two = record(thing(spec=spec("node-1"), status={"nodes": {"node-3": {"errors": {"a": "b"}}}}), "node-1")
    assert one == two == record(thing(spec=spec("node-1")), "node-1")


@pytest.mark.parametrize("status", [None, {}, {"nodes": None}, {"nodes": {"node-1": None}}, {"nodes": []}, "text"])
def test_a_status_of_any_form_is_read(status):
    assert record(thing(spec=spec("node-1"), status=status), "node-1").is_ours


@pytest.mark.parametrize("wrong", [None, "text", {}, {"scope": 3}, {"scope": [{"nodes": 3}]}])
def test_a_spec_that_nobody_understands_is_for_every_node_and_a_problem(wrong):
    assert record(thing(spec=wrong), "node-1").problem.startswith("spec.")


@given(SAID, st.none() | SAID)
def test_a_patch_makes_our_entry_what_it_should_be_and_leaves_others_alone(before, after):
    status = {"nodes": {"node-1": {"errors": before}, "node-2": {"errors": {"a": "x"}}}}
    now = merged(thing(status=status), patch("node-1", before, after))["status"]["nodes"]
    assert now["node-2"] == {"errors": {"a": "x"}}
    assert now.get("node-1") == (None if after is None else {"errors": after})


@pytest.mark.parametrize(
    ("gone", "left"), [("node-3", {"node-1", "node-2"}), ("node-2", {"node-1", "node-2", "node-3"})]
)
async def test_the_entries_of_a_node_that_is_gone_are_taken_out_of_all(gone, left):
    server = AdjustmentServer()  # with nodes 1 and 2
    for name in "ab":
        status = {"nodes": {f"node-{n}": {"errors": {}} for n in (1, 2, 3)}}
        server.apply(name, spec("node-1"), status)
    records = {name: record(one, "node-1") for name, one in server.objects.items()}
    cleaner = Cleaner(
        server, RESOURCE, "node-1", records=lambda: records, choose=lambda names: gone if gone in names else names[0]
    )
    await cleaner.once()
    assert all(set(one["status"]["nodes"]) == left for one in server.objects.values())


async def test_nobody_is_gone_because_the_api_server_is():
    server = AdjustmentServer()
    server.apply("a", spec("node-1"), {"nodes": {"node-3": {"errors": {}}}})
    records = {"a": record(server.objects["a"], "node-1")}
    server.breaks(Unavailable("away"))

    async def away(*_args, **_options):
        raise Unavailable("away")

    server.get = away
    with pytest.raises(Unavailable):
        await Cleaner(server, RESOURCE, "node-1", records=lambda: records).once()
    assert server.patches == []


async def test_without_adjustments_nobody_is_asked():
    server = AdjustmentServer()
    await Cleaner(server, RESOURCE, "node-1", records=dict).once()
    assert server.requests == []


def test_agents_wait_longer_the_more_of_them_there_are():
    assert max(PACE.wait_s(2) for _ in range(200)) <= 0.52
    assert 8.0 < max(PACE.wait_s(1000) for _ in range(200)) <= 10.5
    assert max(PACE.wait_s(10**6) for _ in range(200)) <= 30.0


def test_a_thousand_nodes_and_a_hundred_adjustments_write_once_for_each_node_in_scope_and_then_no_more():
    nodes = [f"node-{n:04d}" for n in range(1_000)]
    objects = {f"rack-{n}": thing(f"rack-{n}", spec=spec(f"node-00{n:02d}", f"node-0{n:02d}*")) for n in range(90)}
    objects |= {f"all-{n}": thing(f"all-{n}", spec=spec("*")) for n in range(10)}
    writes: Counter[str] = Counter()
    kept: Counter[str] = Counter()

    def round_(verdict: dict[str, dict[str, str]]) -> int:
        """Every agent looks at every object once, in any order, and writes what it must."""
        before = writes.total()
        for node in random.Random(1).sample(nodes, len(nodes)):
            for name, one in objects.items():
                mine = record(one, node)
                if mine is None:
                    continue
                kept[node] += 1
                wanted = due(mine, verdict)
                if (None if mine.said is None else dict(mine.said)) != wanted:
                    objects[name] = merged(one, patch(node, dict(mine.said or ()), wanted))
                    writes[name] += 1
        return writes.total() - before

    in_scope = 10 * 1_000 + 90 * 11 - 1  # a rack is ten nodes by their beginning, and one more by name
    first = round_({})
    assert first == sum(len(one["status"]["nodes"]) for one in objects.values())
    assert round_({}) == 0
    conflict = {"c1": "cache: conflicting adjustments for p:c: rack-1,rack-2"}
    changed = round_({"rack-1": conflict, "rack-2": conflict})
    assert changed == sum(len(objects[name]["status"]["nodes"]) for name in ("rack-1", "rack-2"))
    events = sum(count * len(nodes) for count in writes.values())
    assert first == in_scope
    print(
        f"1,000 nodes, 100 Adjustments: {first} writes at first, 0 then, {changed} for a conflict of two;"
        f" each is an event for each agent that watches, {events:,} in all; an agent keeps"
        f" {kept.total() / 3 / len(nodes):.1f} of 100 objects"
    )
