"""What the daemon remembers becomes Events, and where that has come survives the agent."""

import pytest
from structlog.testing import capture_logs

from cri_resmgr.agent.daemon import Status
from cri_resmgr.agent.reports import Subject, node
from cri_resmgr.agent.retelling import Retelling
from cri_resmgr.values.events import Event
from unit.agent.voices import Kept

NOW_S = 1_700_000_000.0
NODE = Event("CpusetDrift", "put right", NOW_S - 60, NOW_S - 30, count=3)
POD = Event(
    "PolicyRefused", "too large", NOW_S - 9, NOW_S - 9, namespace="shop", pod="web", pod_uid="u-1", container="app"
)
OLD = Event("PolicyPassed", "broke", NOW_S - 9000, NOW_S - 8000)


class Here:
    def __init__(self, file) -> None:
        self.file, self.kept = file, Kept()
        self.retelling = self.next_agent()

    def next_agent(self) -> Retelling:
        self.kept.reports.clear()
        self.retelling = Retelling(self.kept, self.file, node="node-1", clock=lambda: NOW_S)
        return self.retelling

    def says(self, number: int, *events: Event) -> None:
        self.retelling.seen(Status(events=events, next=number))

    def written(self) -> str:
        return self.file.read_text() if self.file.exists() else ""


@pytest.fixture(name="here")
def _here(tmp_path):
    return Here(tmp_path / "cri-resmgr-agent.events")


def test_an_event_is_about_the_node_or_about_the_pod_that_it_names(here):
    here.says(1, NODE, POD)
    first, second = here.kept.reports
    assert (first.about, first.count, first.first_s, first.warning) == (node("node-1"), 3, NOW_S - 60, True)
    assert second.about == Subject("Pod", "web", "u-1", namespace="shop", container="app")
    assert here.kept.told() == [("CpusetDrift", "put right"), ("PolicyRefused", "too large")]


def test_only_what_is_new_is_asked_for(here):
    assert here.retelling.since() == 0
    here.says(41, NODE)
    assert here.retelling.since() == 41


def test_it_is_written_down_when_it_has_reached_the_api_server(here):
    here.kept.idle = False
    here.says(41, NODE)
    here.says(41)
    assert here.written() == ""
    here.kept.idle = True
    here.says(41)
    assert here.written() == "41\n"
    assert [path.name for path in here.file.parent.iterdir()] == [here.file.name]


def test_the_next_agent_goes_on_from_there(here):
    here.says(41, NODE)
    here.says(41)
    assert here.next_agent().since() == 41
    here.says(50, OLD)
    assert here.kept.told() == [("PolicyPassed", "broke")], "it has happened while there was no agent"


def test_without_the_file_only_what_is_recent_is_told(here):
    here.says(41, OLD, NODE)
    assert here.kept.told() == [("CpusetDrift", "put right")]
    here.says(42, OLD)
    assert len(here.kept.reports) == 2


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "9" * 40, "\x00\x01"])
def test_a_file_that_says_nothing_is_none(here, text):
    here.file.write_text(text)
    assert here.next_agent().since() == 0


def test_a_file_that_cannot_be_written_is_said_once_and_stops_nothing(here):
    here.file.mkdir()
    with capture_logs() as logs:
        for number in (41, 42, 43):
            here.says(number, NODE)
    assert [entry["event"] for entry in logs] == ["events.unsaved"]
    assert here.retelling.since() == 43
    assert [path.name for path in here.file.parent.iterdir()] == [here.file.name]


def test_a_daemon_that_is_away_or_cannot_be_asked_changes_nothing(here):
    here.says(41, NODE)
    here.retelling.lost()
    here.retelling.off("forced")
    assert here.retelling.since() == 41
