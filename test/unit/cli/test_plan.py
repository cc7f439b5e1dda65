"""`cri-resmgr plan`: who would move from where to where, who would not fit, and nothing is changed."""

import json

import pytest

from cri_resmgr.cli import main as main_
from cri_resmgr.config.settings import PolicySettings, Settings
from cri_resmgr.host.grids import grid
from cri_resmgr.values.decisions import Holding
from cri_resmgr.values.resources import Assignment, Resources
from cri_resmgr.values.workloads import Container, Pod, State
from unit.cli.stores import kept

MACHINE = grid(packages=1, cores=4, threads=1)
POD = Pod("pod-1", "web", "shop", "uid-1", cgroup_parent="/kubepods/podweb")
PINNED = "policy: {Active: topology-aware, ReservedResources: {CPU: 1}}\n"
NONE = "policy: {Active: none}\n"


def container(name: str, cpus: int = 0, **fields) -> Container:
    """Guaranteed with so many whole CPUs, or one that asks for nothing."""
    period = {"cpu_shares": 1024 * cpus, "cpu_quota_us": 100_000 * cpus, "cpu_period_us": 100_000}
    asked = Resources(memory_limit_bytes=1 << 20, **period) if cpus else Resources(cpu_shares=2)
    state = fields.pop("state", State.RUNNING)
    return Container("pod-1", name, 0, id=name, state=state, asked=asked, **fields)


@pytest.fixture(name="plan")
def _plan(tmp_path, capsys):
    def run(text, containers=(), settings=None, *flags):
        config = tmp_path / "new.yaml"
        config.write_text(text)
        with kept(tmp_path / "relay", [POD], containers, machine=MACHINE, settings=settings or Settings()) as store:
            before = store.load()
            words = ("plan", "--config", str(config), "--relay-dir", str(tmp_path / "relay"), *flags)
            code = main_.main(words)
            assert store.load() == before
        return code, capsys.readouterr()

    return run


def answer(plan, *what):
    code, said = plan(*what, "--output", "json")
    return code, json.loads(said.out)


def test_nothing_to_do_is_said_so_and_is_0(plan):
    code, said = plan(NONE, [container("app", 2)])
    assert code == 0
    assert "0 containers of 1 would change, 0 would not fit" in said.out


def test_who_would_move_is_named_with_both_places_and_the_reason_and_is_1(plan):
    code, said = answer(plan, PINNED, [container("app", 2), container("log")], None)
    assert code == 1
    changes = {change["container"]: change for change in said["changes"]}
    assert changes.keys() == {"shop/web:app", "shop/web:log"}
    assert changes["shop/web:app"]["from"]["cpus"] == ""
    assert len(changes["shop/web:app"]["to"]["cpus"].split("-")) == 2
    assert changes["shop/web:app"]["reasons"]
    assert said["unfit"] == []
    assert (said["from"]["policy"], said["to"]["policy"]) == ("none", "topology-aware")


def test_people_read_the_same(plan):
    code, said = plan(PINNED, [container("app", 2), container("gone", 2, state=State.EXITED)])
    assert code == 1
    assert "shop/web:app: CPUs as asked -> CPUs " in said.out
    assert "1 container of 1 would change" in said.out
    assert "gone" not in said.out


def test_who_would_not_fit_is_named_with_what_is_short(plan):
    code, said = answer(plan, PINNED, [container("app", 2), container("big", 3)], None)
    assert code == 1
    assert len(said["unfit"]) == 1, "one of the two"
    assert "short" in said["unfit"][0]["reason"]


def test_back_to_none_gives_everything_back(plan):
    held = Holding("topology-aware", "socket #0", exclusive="1-2")
    given = container("app", 2, given=Assignment(cpuset_cpus="1-2"), holding=held)
    pinned = Settings(policy=PolicySettings("topology-aware"))
    code, said = answer(plan, NONE, [given], pinned)
    assert code == 1
    assert said["changes"][0]["from"] == {"cpus": "1-2", "mems": "", "cpu_shares": 2048, "pool": "socket #0"}
    assert said["changes"][0]["to"]["cpus"] == ""


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("policy: [", "new.yaml"),
        ("policy: {Active: topology-awre}\n", "topology-aware"),
        ("policy: {Active: topology-aware, ReservedResources: {CPU: 400}}\n", "new.yaml: policy: "),
    ],
)
def test_a_configuration_that_is_wrong_is_2(plan, text, complaint):
    code, said = plan(text)
    assert code == 2
    assert complaint in said.err


@pytest.mark.parametrize("words", [(), ("--config", "x", "y"), ("--config", "x", "--output", "xml")])
def test_words_that_are_wrong_are_2_and_told_what_to_write(words, capsys):
    assert main_.main(("plan", *words)) == 2
    assert "cri-resmgr plan --config NEW.yaml" in capsys.readouterr().err


def test_without_a_daemon_ever_there_is_nothing_to_plan_with(tmp_path, capsys):
    (tmp_path / "c").write_text(NONE)
    assert main_.main(("plan", "--config", str(tmp_path / "c"), "--relay-dir", str(tmp_path / "none"))) == 2
    assert "has the daemon run here" in capsys.readouterr().err


def test_help_says_what_the_exit_codes_mean(capsys):
    assert main_.main(("plan", "--help")) == 0
    assert "0 if no container would change, 1 if some would, 2 if the input is wrong" in capsys.readouterr().err
