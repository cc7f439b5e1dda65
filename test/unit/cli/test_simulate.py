"""`cri-resmgr simulate`: from files to an answer, for people and for programs."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cri_resmgr.cli import main as main_
from cri_resmgr.cli.simulating import faces, listing, steps, telling
from cri_resmgr.cli.simulating.running import Simulation
from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies import registry
from cri_resmgr.policies.contract import Context, CpuLimit, Pool, Restored
from cri_resmgr.policies.declarations import Amounts, Declared
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.values import cpusets
from cri_resmgr.values.decisions import Change, Decision, Holding
from cri_resmgr.values.machines import MemoryKind
from cri_resmgr.values.resources import Assignment

EXAMPLES = Path(__file__).parents[3] / "examples/simulate"
SCENARIOS = sorted(EXAMPLES.glob("[0-9]-*.yaml"))
PLAIN = faces.Faces(coloured=False, ascii=False)
FIELDS = {"cpus", "mems", "shares", "exclusive", "isolated", "shared", "pool"}


@pytest.fixture(name="simulate")
def make_simulate(tmp_path, capsys):
    """Run the verb on texts: `simulate(scenario, "-output=json", machine=…, config=…)`."""

    def run(scenario, *flags, **files):
        for name, text in {**files, "scenario": scenario}.items():
            (tmp_path / name).write_text(text)
        named = [f"-{name}={tmp_path / name}" for name in files]
        status = main_.main(["simulate", *named, *flags, str(tmp_path / "scenario")])
        printed = capsys.readouterr()
        return status, printed.out, printed.err.replace(f"{tmp_path}/", "")

    return run


WEB = "- create: {pod: web, containers: [{name: app, requests: {cpu: 1}}, {name: log}]}\n"


def test_programs_get_a_list_with_one_entry_a_step(simulate):
    status, out, err = simulate(
        WEB + "- exit: {pod: web, container: log}\n- delete: {pod: web}\n- delete: {pod: web}\n",
        "-output=json",
        machine="{nodes: 2, cores: 2}",
    )
    everywhere = {"cpus": "0-3", "mems": "0-1", "exclusive": "", "isolated": "", "shared": "", "pool": ""}
    app, log = everywhere | {"shares": 1024}, everywhere | {"shares": 2}
    assert (status, err) == (0, "")
    assert json.loads(out) == [
        {"step": 1, "error": None, "containers": {"web:app": app, "web:log": log}},
        {"step": 2, "error": None, "containers": {"web:app": app}},
        {"step": 3, "error": None, "containers": {}},
        {"step": 4, "error": "pod web is not there", "containers": {}},
    ]


def test_people_get_the_machine_the_change_and_the_picture(simulate):
    status, out, err = simulate(WEB, machine="{nodes: 2, cores: 2, threads: 2}", config="policy: {Active: none}")
    assert (status, err) == (0, "")
    assert (
        out
        == """\
machine  1 package, 2 nodes, 4 cores, 8 CPUs, 4Gi
policy   none
key      A-z whose own   1-9 how many share it, + ten or more   · nobody
         r reserved   i isolated   ! somebody's own, and open to others

step 1 of 1: create web, Burstable: app (1 and more CPU), log
+ web:app  CPUs 0-7, memory 0-1, 1024 shares
    policy none: the kubelet's own values
+ web:log  CPUs 0-7, memory 0-1, 2 shares
    policy none: the kubelet's own values
┌ package 0 ────────────────────┐
│ node 0 · 2Gi     node 1 · 2Gi │
│ 0 1   2 3        4 5   6 7    │
│ 2 2   2 2        2 2   2 2    │
└───────────────────────────────┘
  0-7  shared by web:app, web:log
"""
    )


def test_an_empty_scenario_is_an_empty_list(simulate):
    status, out, _ = simulate("", "-output=json", machine="")
    assert (status, json.loads(out)) == (0, [])


def test_without_a_machine_it_is_this_one(simulate):
    status, out, _ = simulate(WEB, "-output=json")
    (step,) = json.loads(out)
    assert status == 0
    assert cpusets.parse(step["containers"]["web:app"]["cpus"]).bit_count() == os.cpu_count()


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({"machine": "cores: none"}, "machine: line 1: cores: 'none' will not do; write a whole number"),
        ({"machine": "", "config": "polcy: {}"}, "config: line 1: polcy: unknown key; did you mean policy?"),
        (
            {"machine": "", "config": "policy: {Active: topology-aware, AvailableResources: {CPU: 'cgroup:/x'}}"},
            "config: policy: cgroup:/x is on a node, and machine describes none; write the set, as cpuset:0-3",
        ),
        (
            {"machine": "", "scenario": "- delete: {pod: x}"},
            "scenario: line 1: step 1: delete: no earlier step creates",
        ),
    ],
)
def test_bad_input_ends_with_2_before_the_first_step(simulate, files, problem):
    status, out, err = simulate(files.pop("scenario", ""), **files)
    assert (status, out) == (2, "")
    assert err.startswith(f"cri-resmgr: {problem}")


@pytest.mark.parametrize("arguments", [(), ("a", "b"), ("-output=xml", "a")])
def test_a_wrong_use_is_refused_with_the_right_one(capsys, arguments):
    assert main_.main(["simulate", *arguments]) == 2
    assert "write cri-resmgr simulate [-machine MACHINE.yaml]" in capsys.readouterr().err


def test_a_missing_file_is_named(capsys):
    assert main_.main(["simulate", "-machine", "/nonexistent", "x"]) == 2
    assert "/nonexistent: cannot be read" in capsys.readouterr().err


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    scenario = tmp_path / "long.yaml"
    scenario.write_text("".join(WEB.replace("web", f"web-{n}") for n in range(500)))
    command = [sys.executable, "-m", "cri_resmgr.cli.main", "simulate", "-machine", EXAMPLES / "two-sockets.yaml"]
    with subprocess.Popen([*command, scenario], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().startswith("machine ")
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.returncode == 0


# ---- the story


class Slicing:
    """Gives whole requested CPUs from the lowest free one on, CPU 0 being reserved; the others share the rest."""

    name = "slicing"

    def __init__(self, cpus=8):
        self.cpus = (1 << cpus) - 1

    def restore(self, running):
        return Restored({c.key: cpusets.parse(c.holding.exclusive) for c, _ in running})

    def create(self, state, container, pod):
        count = container.asked.cpu_quota_us // 100_000
        free = [cpu for cpu in cpusets.ids(self._shared(state)) if cpu]
        own = cpusets.of(free[:count])
        after = state | {container.key: own}
        mine = self._change(own, after)
        neighbours = self._neighbours({key: held for key, held in state.items() if not held}, after) if own else {}
        return Decision(mine.assignment, mine.holding, (f"{count} CPUs of its own",), neighbours=neighbours), after

    def update(self, state, container, pod):
        return self.create({key: own for key, own in state.items() if key != container.key}, container, pod)

    def release(self, state, key):
        after = {other: own for other, own in state.items() if other != key}
        sharers = {other: own for other, own in after.items() if not own}
        return Decision(neighbours=self._neighbours(sharers, after) if state[key] else {}), after

    def pools(self, state):
        return (Pool("all", "", cpusets.text(self.cpus), "0", "", "", "0", 0, 0),)

    def warnings(self, state):
        return ("the reserve is small",)

    def _shared(self, state):
        taken = 0
        for own in state.values():
            taken |= own
        return self.cpus & ~taken

    def _neighbours(self, keys, state):
        return {key: self._change(0, state) for key in keys}

    def _change(self, own, state):
        text = cpusets.text(own or self._shared(state))
        kind = {"exclusive": text} if own else {"shared": text}
        return Change(Assignment(cpuset_cpus=text), Holding(self.name, "all", **kind), ("the shared set has changed",))


def pod(name, cpu=0, namespace="default"):
    amounts = Declared(Amounts(cpu, cpu), Amounts(cpu, cpu))
    return steps.Create(steps.PodSpec(name, namespace, (steps.ContainerSpec("c", amounts),)))


def told(*taken, machine=None, shown=PLAIN):
    machine = machine or grid(nodes=2, cores=2, threads=2)
    simulation = Simulation(machine, Slicing(machine.online.bit_count()))
    return [shown.finished(line) for line in telling.lines(simulation, taken, machine, faces=shown)]


def step_of(lines, number):
    start = next(at for at, line in enumerate(lines) if line.startswith(f"step {number} "))
    return lines[start : lines.index("", start) if "" in lines[start:] else None]


def test_a_step_tells_who_came_and_whom_it_moved_with_the_reasons():
    lines = told(pod("web"), pod("db", 2000))
    assert "warning: the reserve is small" in lines
    assert step_of(lines, 2) == [
        "step 2 of 2: create db, Guaranteed: c (2 CPU, 2k)",
        "+ db:c  CPUs 1-2, own all, all, memory 0-1, 2048 shares",
        "    2 CPUs of its own",
        "~ web:c  CPUs 0-7 → CPUs 0,3-7",
        "    the shared set has changed",
        "┌ package 0 ────────────────────┐",
        "│ node 0 · 2Gi     node 1 · 2Gi │",
        "│ 0 1   2 3        4 5   6 7    │",
        "│ 1 A   A 1        1 1   1 1    │",
        "└───────────────────────────────┘",
        "  A db:c 1-2",
        "  0,3-7  used by web:c",
    ]


def test_a_step_tells_who_went_and_what_comes_back():
    lines = told(pod("web"), pod("db", 2000), steps.Delete("db"))
    assert step_of(lines, 3)[:4] == [
        "step 3 of 3: delete db",
        "~ web:c  CPUs 0,3-7 → CPUs 0-7",
        "- db:c",
        "┌ package 0 ────────────────────┐",
    ]


def test_a_step_that_moves_nobody_does_not_repeat_the_picture():
    assert step_of(told(pod("web"), steps.Start("web")), 2) == ["step 2 of 2: start web", "  the picture is the same"]


def test_a_step_that_fails_says_why():
    assert step_of(told(pod("web"), pod("web")), 2)[1] == "! pod web is there already; delete it first"


def test_many_neighbours_are_counted_and_not_listed():
    lines = step_of(told(*(pod(f"web-{n}") for n in range(15)), pod("db", 1000)), 16)
    assert sum(line.startswith("~ web-") for line in lines) == 12
    assert "~ and 3 more have changed" in lines
    assert lines[-1].startswith("  0,2-7  shared by web-0:c, web-1:c")
    assert lines[-1].endswith(" more")
    assert all(len(line) <= 80 for line in lines)


def test_each_step_is_said_in_a_few_words():
    whole = Declared(Amounts(1500, 2000), Amounts(1 << 30, 1 << 30))
    init, app = steps.ContainerSpec("init", Declared(Amounts(), Amounts())), steps.ContainerSpec("app", whole)
    both = steps.PodSpec("web", "x", (app,), (init,))
    lines = told(
        steps.Create(both),
        steps.Start("web", "app"),
        steps.Resize("web", "app", 2000, 2000, 5, None),
        steps.Resize("web", "app"),
        steps.Exit("web", "app"),
        steps.Wait(90.0),
        steps.Configure(NonePolicy()),
        steps.Restart(),
    )
    assert [line.partition(": ")[2] for line in lines if line.startswith("step ")] == [
        "create web in x, Burstable: first init; app (1500m to 2 CPU, 1Gi)",
        "start web:app",
        "resize web:app to 2 CPU, memory request 5",
        "resize web:app to what it has",
        "web:app exits",
        "90 s pass",
        "configure anew: policy none",
        "the daemon starts again",
    ]


def test_a_machine_is_said_in_a_few_words():
    machine = grid(dies=2, nodes=1, cores=2, isolated=0b10, offline=0b100)
    assert (
        told(machine=machine)[0] == "machine  1 package, 2 dies, 2 nodes, 3 cores, 3 CPUs, 4Gi, isolated 1, offline 2"
    )


def test_a_terminal_gets_the_same_in_colour():
    taken = pod("web"), pod("db", 2000), pod("web")
    coloured = told(*taken, shown=faces.Faces(coloured=True, ascii=False))
    assert "".join(coloured).count("\033[1;36mA\033[0m") == 2
    assert [re.sub(r"\033\[[0-9;]*m", "", line) for line in coloured] == told(*taken)


def test_an_entry_that_has_not_changed_is_not_made_again(monkeypatch):
    made = []
    entry = listing._entry
    monkeypatch.setattr(listing, "_entry", lambda name, *more: made.append(name) or entry(name, *more))
    machine = grid(cores=8)
    simulation = Simulation(machine, Slicing())
    taken = pod("a"), pod("b"), steps.Restart(), pod("c", 1000)
    found = json.loads("".join(listing.lines(map(simulation.take, taken), machine)))
    assert made == ["a:c", "b:c", "a:c", "b:c", "c:c"]
    assert [len(step["containers"]) for step in found] == [1, 2, 2, 3]
    assert found[-1]["containers"]["a:c"]["cpus"] == "0,2-7"


# ---- examples, and anything else


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
@pytest.mark.parametrize("output", ["text", "json"])
def test_every_example_runs_and_says_in_its_first_line_what_it_teaches(capsys, path, output):
    files = ["-machine", str(EXAMPLES / "two-sockets.yaml"), "-config", str(EXAMPLES / "topology-aware.cfg")]
    assert main_.main(["simulate", *files, "-output", output, str(path)]) == 0
    assert capsys.readouterr().err == ""
    assert path.read_text().startswith("# ")


NAMES = st.sampled_from(["a", "b", "c"])
AMOUNT = st.sampled_from([0, 1, 250, 1000, 1500, 2000, 3000, 7000, 64_000])
DECLARED = st.builds(
    lambda cpu, more, memory: Declared(Amounts(cpu, cpu + more), Amounts(memory, memory)), AMOUNT, AMOUNT, AMOUNT
)
SPECS = st.lists(st.builds(steps.ContainerSpec, NAMES, DECLARED), min_size=1, max_size=2, unique_by=lambda c: c.name)
INIT = st.lists(
    st.builds(steps.ContainerSpec, st.sampled_from(["i", "j"]), DECLARED, st.booleans()),
    max_size=2,
    unique_by=lambda c: c.name,
)
MAYBE = st.none() | AMOUNT
STEP = (
    st.builds(
        lambda name, namespace, containers, init: steps.Create(
            steps.PodSpec(name, namespace, tuple(containers), tuple(init))
        ),
        NAMES,
        st.sampled_from(["default", "kube-system"]),
        SPECS,
        INIT,
    )
    | st.builds(steps.Start, NAMES, st.just("") | NAMES)
    | st.builds(steps.Exit, NAMES, NAMES)
    | st.builds(steps.Delete, NAMES)
    | st.builds(steps.Resize, NAMES, NAMES, MAYBE, MAYBE, MAYBE, MAYBE)
    | st.builds(steps.Configure, st.just(NonePolicy()))
    | st.just(steps.Restart())
    | st.builds(steps.Wait, st.sampled_from([1.0, 3600.0]))
)
COUNTS = st.fixed_dictionaries(
    {
        "packages": st.integers(1, 3),
        "dies": st.integers(1, 2),
        "nodes": st.integers(1, 3),
        "cores": st.integers(4, 6),
        "threads": st.integers(1, 2),
        "numbering": st.sampled_from(["adjacent", "linux"]),
        "isolated": st.sampled_from([0, 0b1, 0b110]),
        "offline": st.sampled_from([0, 0b1, 0b1000]),
        "memory_nodes": st.lists(
            st.builds(MemoryNode, st.sampled_from([1, 1 << 30]), st.sampled_from(MemoryKind), st.just(0), st.just(17)),
            max_size=2,
        ),
    }
)


@pytest.mark.parametrize("name", sorted(registry.POLICIES))
@given(counts=COUNTS, taken=st.lists(STEP, max_size=12))
@settings(deadline=None)
def test_any_scenario_on_any_machine_gives_a_well_formed_answer_in_both_forms(name, counts, taken):
    machine = grid(**counts)

    def simulation():
        return Simulation(machine, registry.find(name).make(Context(machine, reserved=CpuLimit(millicpu=500))))

    found = json.loads("\n".join(listing.lines(map(simulation().take, taken), machine)))
    assert [step["step"] for step in found] == list(range(1, len(taken) + 1))
    nodes = cpusets.of(node.id for node in machine.nodes)
    for step in found:
        assert step.keys() == {"step", "error", "containers"}
        assert step["error"] is None or step["error"]
        for container in step["containers"].values():
            assert container.keys() == FIELDS
            assert cpusets.parse(container["cpus"])
            assert not cpusets.parse(container["cpus"]) & ~machine.online
            assert not cpusets.parse(container["mems"]) & ~nodes
    assert max(map(len, telling.lines(simulation(), taken, machine, faces=PLAIN))) <= telling._COLUMNS
