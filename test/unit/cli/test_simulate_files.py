"""What users write, and what they are told when it is wrong: all of it at once, with line, place, value and remedy."""

import pytest

from cri_resmgr.cli.simulating import machine_files, scenario_files, steps
from cri_resmgr.errors import BadInput
from cri_resmgr.host.grids import MemoryNode, grid
from cri_resmgr.policies.declarations import Amounts, Declared
from cri_resmgr.policies.none import NonePolicy
from cri_resmgr.policies.registry import POLICIES
from cri_resmgr.values.machines import MemoryKind


@pytest.fixture(name="machine")
def make_machine(tmp_path):
    def read(text):
        path = tmp_path / "machine.yaml"
        path.write_text(text)
        return machine_files.read(str(path))

    return read


@pytest.fixture(name="scenario")
def make_scenario(tmp_path):
    def read(text, make=lambda _settings: NonePolicy()):
        path = tmp_path / "scenario.yaml"
        path.write_text(text)
        return scenario_files.read(str(path), make)

    return read


def problems(read, text):
    with pytest.raises(BadInput) as caught:
        read(text)
    return [line.partition(".yaml: ")[2] for line in str(caught.value).splitlines()]


def test_a_machine_without_a_word_has_one_cpu(machine):
    assert machine("") == (grid(), None)


def test_every_key_of_a_machine_counts(machine):
    text = """
packages: 2
dies: 2
nodes: 1
cores: 2
threads: 2
memory: [1Gi, 2Gi, 3Gi, 4Gi]
isolated: 2-3
offline: 15
numbering: linux
distances: [[10, 12, 21, 21], [12, 10, 21, 21], [21, 21, 10, 12], [21, 21, 12, 10]]
memoryNodes:
- {memory: 8Gi, kind: pmem, near: 2}
- {memory: 1Gi, kind: hbm, near: 0, distance: 13}
"""
    gib = 1 << 30
    assert machine(text)[0] == grid(
        packages=2,
        dies=2,
        cores=2,
        threads=2,
        memory_bytes=[gib, 2 * gib, 3 * gib, 4 * gib],
        isolated=0b1100,
        offline=1 << 15,
        numbering="linux",
        distances=[[10, 12, 21, 21], [12, 10, 21, 21], [21, 21, 10, 12], [21, 21, 12, 10]],
        memory_nodes=[
            MemoryNode(8 * gib, MemoryKind.PMEM, 2, 17),
            MemoryNode(gib, MemoryKind.HBM, 0, 13),
        ],
    )


def test_a_single_amount_of_memory_is_that_of_each_node(machine):
    found, _ = machine("{nodes: 2, cores: 2, memory: 512Mi, offline: 1}")
    assert [node.memory_bytes for node in found.nodes] == [512 << 20] * 2
    assert found.offline == 0b10


def test_everything_that_is_wrong_with_a_machine_is_said_at_once(machine):
    text = """packages: 0
threads: two
memory: [1Gi, lots]
isolated: 3-1
numbering: odd
nodez: 2
memoryNodes:
- {memory: 1Gi, kind: dim, near: 0}
- {kind: pmem, memory: 1, near: -1, neer: 1}
"""
    assert problems(machine, text) == [
        "line 1: packages: 0 is too small; the least is 1",
        "line 2: threads: 'two' will not do; write a whole number",
        "line 3: memory: item 2: 'lots' is no quantity; write bytes such as 512Mi, 2G or 1e9",
        "line 4: isolated: '3-1' is no range: the lower number comes first, both are below 8192",
        "line 5: numbering: 'odd' will not do; Input should be 'adjacent' or 'linux'",
        "line 6: nodez: unknown key; did you mean nodes?",
        "line 8: memoryNodes[0].kind: 'dim' is no kind of memory; write one of dram, pmem, hbm",
        "line 9: memoryNodes[1].near: -1 is too small; the least is 0",
        "line 9: memoryNodes[1].neer: unknown key; did you mean near?",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{cores: 2, isolated: 4}", "isolated is 4; there are CPUs 0 to 1 only"),
        ("{nodes: 2, memory: [1Gi]}", "memory has 1 values for 2 nodes with CPUs; give one, or one for each"),
        (
            "{memoryNodes: [{memory: 1Gi, kind: pmem, near: 3}]}",
            "memoryNodes[0].near is 3; it must be a node with CPUs, 0 to 0",
        ),
        ("{hostRoot: x, cores: 2}", "hostRoot: says everything about the machine; remove the other keys, or this one"),
        ("{memoryNodes: [{kind: pmem, near: 0}]}", "memoryNodes[0].memory: is not there; it must be said"),
        ("{isolated: true}", "isolated: True will not do; write a text"),
        ("[]", "is no mapping; write sections such as 'policy:'"),
    ],
)
def test_a_machine_that_cannot_be_is_refused(machine, text, problem):
    assert [line.removeprefix("line 1: ") for line in problems(machine, text)] == [problem]


def test_a_captured_machine_is_found_beside_its_file(machine, tmp_path):
    cpu = tmp_path / "captured/sys/devices/system/cpu"
    (cpu / "cpu0/topology").mkdir(parents=True)
    with pytest.raises(BadInput, match="captured/sys/devices/system"):
        machine("hostRoot: captured")


ONE = "- create: {pod: web, containers: [{name: app}]}\n"


def test_each_kind_of_step_is_read(scenario):
    text = """
- create:
    pod: web
    namespace: shop
    labels: {app.kubernetes.io/name: web}
    annotations: {prefer-isolated-cpus.cri-resource-manager.intel.com/pod: "true"}
    runtimeHandler: runsc
    initContainers:
    - {name: first}
    - {name: mesh, restartPolicy: Always}
    containers:
    - name: app
      requests: {cpu: 1500m, memory: 1Gi, nvidia.com/gpu: 1, ephemeral-storage: 1Gi, hugepages-2Mi: 4Mi}
      limits: {cpu: 2}
    - {name: log, limits: {cpu: 0.5, memory: 100M}}
- start: {pod: web}
- start: {pod: web, container: mesh}
- resize: {pod: web, container: app, requests: {cpu: 2}, limits: {memory: 2Gi}}
- exit: {pod: web, container: log}
- wait: 1m30s
- configure: {policy.Active: none}
- restart:
- delete: {pod: web}
"""
    nothing = Declared(Amounts(), Amounts())
    policy = NonePolicy()
    assert scenario(text, lambda _settings: policy) == (
        steps.Create(
            steps.PodSpec(
                "web",
                "shop",
                (
                    steps.ContainerSpec("app", Declared(Amounts(1500, 2000), Amounts(1 << 30, 0))),
                    steps.ContainerSpec("log", Declared(Amounts(500, 500), Amounts(100_000_000, 100_000_000))),
                ),
                (steps.ContainerSpec("first", nothing), steps.ContainerSpec("mesh", nothing, sidecar=True)),
                {"app.kubernetes.io/name": "web"},
                {"prefer-isolated-cpus.cri-resource-manager.intel.com/pod": "true"},
                "runsc",
            )
        ),
        steps.Start("web"),
        steps.Start("web", "mesh"),
        steps.Resize("web", "app", cpu_request_millicpu=2000, memory_limit_bytes=2 << 30),
        steps.Exit("web", "log"),
        steps.Wait(90.0),
        steps.Configure(policy),
        steps.Restart(),
        steps.Delete("web"),
    )


def test_an_empty_scenario_has_no_steps(scenario):
    assert scenario("# nothing yet\n") == ()


def test_the_policy_of_a_new_configuration_is_made_from_its_settings(scenario):
    seen = []
    scenario("- configure: {policy: {ReservedResources: {CPU: 750m}}}", lambda settings: seen.append(settings.policy))
    assert [(policy.active, policy.reserved.millicpu) for policy in seen] == [("none", 750)]


def test_everything_that_is_wrong_with_a_scenario_is_said_at_once(scenario):
    text = """- create:
    pod: web
    containers:
    - {name: app, requests: {cpu: 3, memory: 1Gi}, limits: {cpu: 2, memroy: 1Gi}}
- create: {pod: a:b, containers: []}
- start: {pod: web, exit: now}
- {restart: , wait: 1s}
- wait: 5
- configure: {policy: {Active: nun}, polcy: {}}
- delete:
- 7
- create: {pod: x, containers: [{name: c}, {name: c}], labels: {a: 1}}
"""
    assert problems(scenario, text) == [
        "line 4: step 1: create.containers[0].limits.memroy: unknown key; did you mean memory?",
        "line 5: step 2: create.pod: 'a:b' is no name; write one without blanks, ':' and '/'",
        "line 5: step 2: create.containers: a list will not do; write one at least",
        "line 6: step 3: start.exit: unknown key; known here: pod, container",
        "line 7: step 4: must be exactly one of create, start, exit, delete, resize, configure, restart, wait",
        "line 8: step 5: wait: '5' is no duration; write a number with its unit, such as 1.5s, 300ms or 1h2m",
        "line 9: step 6: configure.policy.Active: 'nun' is not a policy of this build; known: "
        + ", ".join(sorted(POLICIES)),
        "line 9: step 6: configure.polcy: unknown key; did you mean policy?",
        "line 10: step 7: delete: says nothing; write keys and values below it",
        "line 11: step 8: 7 will not do; write keys and values below it",
        "line 12: step 9: create.labels.a: 1 will not do; write a text; quote it if YAML takes it for something else",
    ]


@pytest.mark.parametrize(
    ("step", "problem"),
    [
        ("exit: {pod: wep, container: app}", "exit: no earlier step creates a pod 'wep'"),
        ("exit: {pod: web, container: ap}", "exit: pod 'web' has no container 'ap', but app"),
        ("delete: {pod: db}", "delete: no earlier step creates a pod 'db'"),
        ("wait: -1s", "wait: '-1s' is in the past; write a number with its unit, such as 1.5s, 300ms or 1h2m"),
        ("create: {pod: x, containers: [{name: c}, {name: c}]}", "create: has two containers 'c'; "),
        (
            "create: {pod: x, containers: [{name: c, requests: {cpu: 3}, limits: {cpu: 2}}]}",
            "create: container 'c' requests more CPU than its limit; Kubernetes refuses that",
        ),
        ("create: {pod: x, containers: [{name: c, requests: 3}]}", "create.containers[0].requests: 3 will not do; "),
        ("create: {containers: [{name: c}]}", "create.pod: is not there; it must be said"),
    ],
)
def test_a_wrong_step_is_refused(scenario, step, problem):
    (found,) = problems(scenario, f"{ONE}- {step}\n")
    assert found.startswith(f"line 2: step 2: {problem}")


def test_a_configuration_that_does_not_go_with_the_machine_is_the_steps_problem(scenario):
    def make(_settings):
        raise BadInput("reserves more than there is; reserve less")

    with pytest.raises(BadInput, match=r"line 1: step 1: configure: reserves more than there is; reserve less"):
        scenario("- configure: {}\n", make)


def test_names_are_not_missed_after_a_step_that_cannot_be_read(scenario):
    found = problems(scenario, "- create: {pod: web, containers: 1}\n- start: {pod: web}\n")
    assert found == ["line 1: step 1: create.containers: 1 will not do; write a list"]
