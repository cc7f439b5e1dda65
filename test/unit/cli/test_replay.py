"""`cri-resmgr replay` takes a file as `record` writes it, and says line by line what is wrong with any other."""

import json

import pytest

from cri_resmgr.cli import main as main_
from cri_resmgr.config.settings import CpuConstraint, PolicySettings, Settings
from cri_resmgr.host.grids import grid
from cri_resmgr.observe import recording_lines
from cri_resmgr.observe.recording_events import FORMAT, Created, Ended, Header, Outcome, PodGone, Released, There
from cri_resmgr.policies.contract import Context, CpuLimit
from cri_resmgr.policies.staging import Stage
from cri_resmgr.policies.topology_aware import policy as topology_aware
from cri_resmgr.values import machine_texts
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod

MACHINE = grid(cores=4)
PINNED = Settings(policy=PolicySettings("topology-aware", reserved=CpuConstraint(millicpu=1000)), source="here")
POD = Pod("pod-1", "web", "shop", "uid-1", cgroup_parent="/kubepods/podweb")
WHOLE = Resources(cpu_shares=1024, cpu_quota_us=100_000, cpu_period_us=100_000, memory_limit_bytes=1 << 20)


def header(settings: Settings = PINNED, **changes) -> str:
    fields = {
        "record": FORMAT,
        "version": "0",
        "began_s": 1.5e9,
        "machine": json.loads(machine_texts.written(MACHINE)),
        "settings": json.loads(settings.to_json()),
        "cgroups": {},
    }
    return recording_lines.header(Header(**{**fields, **changes}))


def container(name: str) -> Container:
    return Container("pod-1", name, 0, asked=WHOLE)


def lived(*names: str) -> list[str]:
    """Lines of containers that were made one after another, by the policy itself."""
    stage = Stage(topology_aware.make(Context(MACHINE, reserved=CpuLimit(millicpu=1000))))
    events = []
    for at, name in enumerate(names):
        decision = stage.create(container(name), POD)
        events.append(Created(float(at), container(name), POD, Outcome(decision)))
    return list(map(recording_lines.line, events))


@pytest.fixture(name="replay")
def _replay(tmp_path, capsys):
    def run(lines, *flags, config=None, end="\n"):
        path = tmp_path / "recording"
        path.write_text("\n".join(lines) + end)
        if config is not None:
            (tmp_path / "new.yaml").write_text(config)
            flags = (*flags, "--config", str(tmp_path / "new.yaml"))
        return main_.main(["replay", str(path), *flags]), capsys.readouterr()

    return run


def test_everybody_where_he_was_is_said_so_and_is_0(replay):
    code, said = replay([header(), *lived("a", "b")])
    assert code == 0
    assert said.out.splitlines()[-1] == "2 events: each decision is the daemon's"
    assert "shop/web:a: CPUs 1" in said.out


def test_a_decision_that_the_policy_would_not_make_is_named_and_is_1(replay):
    first, second = lived("a", "b")
    code, said = replay([header(), first, second.replace('"cpuset_cpus":"2"', '"cpuset_cpus":"3"')])
    assert code == 1
    assert "shop/web:b, event 2: CPUs 3" in said.out
    assert "-> CPUs 2" in said.out
    assert said.out.splitlines()[-1] == "1 container decided about otherwise, 0 refused on one side only"


def test_one_that_another_configuration_refuses_is_not_there_afterwards(replay):
    lines = [*lived("a", "b", "c"), recording_lines.line(Released(9.0, "pod-1/c/0", Outcome()))]
    config = "policy: {Active: topology-aware, ReservedResources: {CPU: 2}}\n"
    code, said = replay([header(), *lines], "--output", "json", config=config)
    assert code == 1
    found = json.loads(said.out)
    assert [(one["container"], bool(one["happened"])) for one in found["refused"]] == [("shop/web:c", False)]
    assert found["own_cpus_most"] == {"happened": 3, "replayed": 2}
    places = {one["container"]: (one["happened"], one["replayed"]) for one in found["different"]}
    assert places["shop/web:c"][1] is None
    assert found["replayed"]["policy"] == "topology-aware"


def test_one_that_only_another_configuration_takes_stays_until_its_pod_is_gone(replay):
    refused = recording_lines.line(Created(0.0, container("a"), POD, Outcome(refused="no room")))
    gone = recording_lines.line(PodGone(2.0, "pod-1"))
    code, said = replay([header(), refused, refused, gone], "--output", "json", config="policy: {Active: none}\n")
    assert code == 1
    entries = json.loads(said.out)["events"]
    assert [[change["replayed"] is not None for change in entry["changes"]] for entry in entries] == [
        [],
        [True],
        [],
        [False],
    ]


def test_a_reserved_cgroup_has_the_cpus_that_it_had(replay):
    settings = Settings(
        policy=PolicySettings("topology-aware", reserved=CpuConstraint(cgroup="/x.slice")), source="here"
    )
    code, _ = replay([header(settings, cgroups={"/x.slice": "0"}), *lived("a")])
    assert code == 0
    code, said = replay([header(settings), *lived("a")])
    assert code == 2
    assert "write the set, as cpuset:0-3" in said.err


def test_a_torn_last_line_is_no_error(replay):
    lines = [header(), *lived("a", "b")]
    for cut in (1, 17, len(lines[-1]) - 1):
        code, said = replay([*lines[:-1], lines[-1][:cut]], end="")
        assert code == 0
        assert "its last line is torn" in said.out


def test_a_recording_of_nothing_is_one(replay):
    code, said = replay([header(), recording_lines.line(Ended(3.0, "stopped"))])
    assert code == 0
    assert "1 event: each decision is the daemon's" in said.out


def test_who_was_there_is_shown_with_what_he_had(replay):
    there = recording_lines.line(There(0.0, container("a"), POD))
    code, said = replay([header(Settings(source="none of ours")), there])
    assert code == 0
    assert "shop/web:a: CPUs as asked" in said.out


@pytest.mark.parametrize(
    ("lines", "complaint"),
    [
        ([], "there is no whole line in it"),
        (["{}"], "line 1: this is not how a recording begins"),
        (["policy: {Active: none}"], "line 1: this is not how a recording begins"),
        ([header(record=FORMAT + 1)], f"has format {FORMAT + 1}"),
        ([header(machine={"online": "x"})], "line 1: no machine"),
        ([header().replace('"drift_interval_s"', '"drift"')], "line 1: settings that this version does not know"),
        ([header(), "{", header()], "line 2: no event"),
        ([header(), '{"event":"birth","at_s":1}'], "line 2: no event"),
        ([header(), '{"event":"start","at_s":1}'], "line 2: no event that this version knows (start.key"),
    ],
)
def test_what_is_no_recording_is_refused_with_the_line(replay, lines, complaint):
    code, said = replay(lines, end="\n" if lines else "")
    assert code == 2
    assert complaint in said.err
    assert "Traceback" not in said.err
    assert said.out == ""


def test_a_configuration_that_does_not_go_with_the_recorded_machine_is_refused(replay):
    config = "policy: {Active: topology-aware, ReservedResources: {CPU: 64}}\n"
    code, said = replay([header(), *lived("a")], config=config)
    assert code == 2
    assert "new.yaml: policy:" in said.err


@pytest.mark.parametrize(
    ("words", "complaint"),
    [((), "replay takes one file"), (("a", "b"), "replay takes one file"), (("/no/such",), "/no/such")],
)
def test_other_bad_input_is_refused_with_a_remedy(words, complaint, capsys):
    assert main_.main(["replay", *words]) == 2
    assert complaint in capsys.readouterr().err
