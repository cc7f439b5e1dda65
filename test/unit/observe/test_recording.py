"""A recorder keeps what it is told, forgets what is fetched, ends rather than grows, and shows nothing secret."""

import itertools
import json

import pytest

from cri_resmgr.observe import recording, recording_lines
from cri_resmgr.observe.recording import Recorder
from cri_resmgr.observe.recording_events import Began, Outcome, Resident, Undone
from cri_resmgr.values.decisions import Candidate, Change, Decision, Holding
from cri_resmgr.values.hints import Hint
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod

POD = Pod("pod-1", "web", "shop", "uid-1")
APP = Container("pod-1", "app", 0, id="c1", asked=Resources(cpu_shares=512))


@pytest.fixture(name="recorder")
def _recorder():
    return Recorder(
        {APP.key: APP}, {POD.id: POD}, regime_of=lambda _: ({"policy": 1}, {}), clock=itertools.count().__next__
    )


def lines(recorder: Recorder) -> list[dict]:
    return [json.loads(recording_lines.line(event)) for event in recorder.fetched(len(recorder))]


def test_it_begins_with_what_runs_and_forgets_what_is_fetched(recorder):
    assert [line["event"] for line in lines(recorder)] == ["there"]
    recorder.undone()
    assert recorder.fetched(9) == [Undone(1)]
    assert len(recorder) == 0


def test_each_event_is_told_with_its_time_and_what_came_of_it(recorder):
    decision = Decision(Assignment(cpuset_cpus="0-3"), Holding("p", pool="x"), ("because",))
    recorder.pod_came(POD)
    recorder.asked("create", APP, Outcome(decision))
    recorder.asked("update", APP, Outcome(refused="no room"))
    recorder.started(APP)
    for what in ("update", "revisit", "release"):
        recorder.told(what, APP.key, Outcome(decision))
    recorder.told("update", "nobody", Outcome(decision))
    recorder.told("rebalance", "", Outcome(Decision()))
    recorder.began([(APP, POD)], {APP.key: decision})
    recorder.pod_gone(POD.id)
    recorder.end("enough")
    recorder.end("more than enough")
    recorder.undone()
    said = lines(recorder)
    assert [line["event"] for line in said] == [
        *("there", "pod", "create", "update", "start", "update", "revisit", "release", "rebalance", "begin"),
        *("pod-gone", "end"),
    ]
    assert said[2]["outcome"] == {
        "decision": {
            "assignment": {"cpuset_cpus": "0-3"},
            "holding": {"policy": "p", "pool": "x"},
            "reasons": ["because"],
        }
    }
    assert said[3]["outcome"] == {"refused": "no room"}
    assert said[-1]["reason"] == "enough"
    assert [line["at_s"] for line in said] == sorted(line["at_s"] for line in said)


def test_a_switch_says_which_configuration_decides_from_there_on(recorder):
    recorder.switched(object(), {})
    recorder.switched(object(), None)
    _, begun, not_begun = lines(recorder)
    assert begun["settings"] == {"policy": 1}
    assert begun["changes"] == {}
    assert "changes" not in not_begun


def test_one_that_nobody_fetches_ends_and_says_what_is_missing(recorder, monkeypatch):
    monkeypatch.setattr(recording, "LIMIT_EVENTS", 5)
    for _ in range(100):
        recorder.undone()
    said = lines(recorder)
    assert len(said) == 6
    assert "waited to be fetched" in said[-1]["reason"]


def test_secrets_are_taken_out_wherever_they_might_be():
    secret = "hunter2"  # noqa: S105 - so that one can look for it
    texts = (f"--password={secret}", "as asked")
    pod = Pod(
        "p",
        "web",
        "shop",
        "u",
        labels={"app": "web", "api-token": secret},
        annotations={"kubectl.kubernetes.io/last-applied-configuration": secret, "intel.com/resources": "{}"},
    )
    container = Container(
        "p", "c", 0, annotations={"x": secret}, reasons=texts, candidates=(Candidate("x", {}, secret),)
    )
    change = Change(Assignment(), Holding(), texts)
    decision = Decision(reasons=texts, candidates=(Candidate("x", {}, secret),), neighbours={"n": change})
    events = (
        Began(0.0, (Resident(container, pod),), {"k": decision}),
        recording.Created(0.0, container, pod, Outcome(decision)),
        recording.Updated(0.0, container, Outcome(refused=texts[0])),
        recording.Updated(0.0, container, Outcome(passed=texts[0])),
    )
    written = "\n".join(map(recording_lines.line, events))
    assert secret not in written
    assert '"app":"web"' in written
    assert '"intel.com/resources":"{}"' in written
    assert "as asked" in written


def test_what_is_as_it_is_by_default_is_not_written():
    container = Container("p", "c", 0, hints=(Hint("/devices/pci0", nodes=2),))
    said = json.loads(recording_lines.line(recording.Updated(1.5, container, Outcome(Decision()))))
    assert said == {
        "event": "update",
        "at_s": 1.5,
        "container": {"pod_id": "p", "name": "c", "attempt": 0, "hints": [{"provider": "/devices/pci0", "nodes": 2}]},
        "outcome": {"decision": {}},
    }
