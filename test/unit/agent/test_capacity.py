"""A Node that promises more CPUs than the policy has is warned of, once, until that changes."""

import pytest

from cri_resmgr.agent.capacity import Capacity
from cri_resmgr.agent.choosing import NodeFacts
from cri_resmgr.agent.daemon import Status
from unit.agent.voices import voice


class Here:
    def __init__(self) -> None:
        self.facts: NodeFacts | None = NodeFacts("", 7920)
        self.voice, self.kept = voice()
        self.capacity = Capacity(lambda: self.facts, voice=self.voice)

    def says(self, capacity) -> str:
        """What stands there after the daemon has said this."""
        self.capacity.seen(Status(policy="topology-aware", said={"capacity": capacity}))
        return "".join(line for line in self.voice.standing.text().splitlines() if line.startswith("capacity"))


@pytest.fixture(name="here")
def _here():
    return Here()


def test_less_than_the_node_promises_is_told_once_with_what_to_do(here):
    text = here.says({"cpus": 4, "reserved": 1})
    assert "promises 7920m CPU" in text
    assert "policy topology-aware has 4000m, 1000m of these reserved" in text
    assert "policy.AvailableResources" in text
    assert here.capacity.short
    here.says({"cpus": 4, "reserved": 1})
    assert [reason for reason, _ in here.kept.told()] == ["CapacityBelowAllocatable"]
    assert here.voice.standing.text().startswith("configuration"), "it makes nobody unready"


def test_enough_is_no_matter(here):
    assert here.says({"cpus": 8, "reserved": 1}) == ""
    assert not here.capacity.short
    assert here.kept.told() == []


def test_what_is_put_right_is_said_no_more_and_told_again_when_it_comes_again(here):
    here.says({"cpus": 4, "reserved": 0})
    assert here.says({"cpus": 8, "reserved": 0}) == ""
    assert "reserved" not in here.says({"cpus": 4, "reserved": 0}).partition(":")[2].partition("pods may")[0]
    assert len(here.kept.told()) == 2


@pytest.mark.parametrize("capacity", [None, {}, {"cpus": 0}, {"cpus": "4"}, {"cpus": -1}, [4], "4"])
def test_a_policy_that_does_not_say_has_nothing_to_compare(here, capacity):
    assert here.says(capacity) == ""
    assert here.capacity.policy_millicpu == 0


def test_a_node_that_does_not_say_has_nothing_to_compare(here):
    for here.facts in (None, NodeFacts("", 0)):
        assert here.says({"cpus": 4, "reserved": 1}) == ""


def test_it_holds_while_the_daemon_is_away_and_ends_where_nobody_can_be_asked(here):
    here.says({"cpus": 4, "reserved": 1})
    here.capacity.lost()
    assert here.capacity.short
    here.capacity.off("forced")
    assert not here.capacity.short
