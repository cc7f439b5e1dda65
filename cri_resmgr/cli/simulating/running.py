"""Taking the steps of a scenario, one after another, as a kubelet and a daemon would on a node.

A refusal is no end: the pod keeps what it got, the step keeps the reason, and the next step is taken.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from cri_resmgr.cli.simulating import kubelet, resizing
from cri_resmgr.cli.simulating.steps import (
    Configure,
    ContainerSpec,
    Create,
    Delete,
    Exit,
    PodSpec,
    Resize,
    Restart,
    Start,
    Step,
    Wait,
)
from cri_resmgr.policies.contract import Policy, PolicyRefusal, Pool
from cri_resmgr.policies.staging import Stage
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, Pod, State


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a step has led to: who lived before and who lives now, by `POD:CONTAINER`, in the order of creation."""

    number: int
    step: Step
    errors: tuple[str, ...]
    before: Mapping[str, Container]
    after: Mapping[str, Container]


@dataclass(slots=True)
class _Life:
    """A pod that is there: its spec as it stands, the keys of its containers by name, and their next attempts."""

    spec: PodSpec
    pod: Pod
    keys: dict[str, str] = field(default_factory=dict)
    attempts: dict[str, int] = field(default_factory=dict)


class Simulation:
    """A node in memory; begins with nothing running."""

    def __init__(self, machine: Machine, policy: Policy) -> None:
        self._memory_bytes = sum(node.memory_bytes for node in machine.nodes)
        self._stage = Stage(policy)
        self._lives: dict[str, _Life] = {}
        self._started_s: dict[str, float] = {}
        self._pods = self._steps = 0
        self._now_s = 0.0
        self._alive: Mapping[str, Container] = {}

    @property
    def policy_name(self) -> str:
        """The policy that decides now."""
        return self._stage.policy.name

    def pools(self) -> tuple[Pool, ...]:
        """What the policy shows to people now."""
        return tuple(self._stage.policy.pools(self._stage.state))

    def warnings(self) -> tuple[str, ...]:
        """What the policy warns of now."""
        return tuple(self._stage.policy.warnings(self._stage.state))

    def take(self, step: Step) -> Outcome:
        """Take a step."""
        before = self._alive
        errors = tuple(self._taken(step))
        pods = self._stage.pods
        self._alive = {f"{pods[c.pod_id].name}:{c.name}": c for c in self._stage.containers.values()}
        self._steps += 1
        return Outcome(self._steps, step, errors, before, self._alive)

    def _taken(self, step: Step) -> Iterator[str]:
        match step:
            case Create(spec):
                yield from self._create(spec)
            case Start(pod, container):
                yield from self._start(pod, container)
            case Exit(pod, container):
                yield from self._exit(pod, container)
            case Delete(pod):
                yield from self._delete(pod)
            case Resize():
                yield from self._resize(step)
            case Configure(policy):
                self._stage.restore(policy)
            case Restart():
                self._stage.restore()
            case Wait(time_s):
                self._wait(time_s)

    def _create(self, spec: PodSpec) -> Iterator[str]:
        if spec.name in self._lives:
            yield f"pod {spec.name} is there already; delete it first"
            return
        self._pods += 1
        life = self._lives[spec.name] = _Life(spec, kubelet.sandbox(spec, f"{spec.name}-{self._pods}"))
        for container in spec.init_containers:
            refusal = self._instance(life, container)
            if refusal:
                yield f"{refusal}; the pod does not go on without its init container"
                return
            self._begin(life.keys[container.name])
            if not container.sidecar:
                self._end(life.keys.pop(container.name))
        yield from filter(None, (self._instance(life, container) for container in spec.containers))

    def _instance(self, life: _Life, spec: ContainerSpec) -> str:
        """Create an instance of a container; why not, or ""."""
        attempt = life.attempts.get(spec.name, 0)
        life.attempts[spec.name] = attempt + 1
        asked = kubelet.asked(spec.resources, kubelet.qos(life.spec), memory_bytes=self._memory_bytes)
        container = kubelet.container(spec, life.pod, attempt, asked)
        try:
            self._stage.create(container, life.pod)
        except PolicyRefusal as refusal:
            return f"{life.spec.name}:{spec.name}: {refusal}"
        life.keys[spec.name] = container.key
        return ""

    def _start(self, pod: str, container: str) -> Iterator[str]:
        if pod not in self._lives:
            yield f"pod {pod} is not there"
            return
        life = self._lives[pod]
        if container and container not in life.keys:
            spec = next((spec for spec in life.spec.lasting if spec.name == container), None)
            refusal = self._instance(life, spec) if spec else f"pod {pod} has no container {container} this time"
            if refusal:
                yield refusal
                return
        for key in [life.keys[container]] if container else life.keys.values():
            if self._stage.containers[key].state is State.CREATED:
                self._begin(key)

    def _exit(self, pod: str, container: str) -> Iterator[str]:
        life = self._lives.get(pod)
        if life is None or container not in life.keys:
            yield f"{pod}:{container} is not there"
            return
        self._end(life.keys.pop(container))

    def _delete(self, pod: str) -> Iterator[str]:
        life = self._lives.pop(pod, None)
        if life is None:
            yield f"pod {pod} is not there"
            return
        for key in life.keys.values():
            self._started_s.pop(key, None)
        self._stage.delete_pod(life.pod.id)

    def _begin(self, key: str) -> None:
        self._started_s[key] = self._now_s
        self._stage.start(key)

    def _end(self, key: str) -> None:
        self._started_s.pop(key, None)
        self._stage.exit(key)

    def _resize(self, step: Resize) -> Iterator[str]:
        life = self._lives.get(step.pod)
        if life is None or step.container not in life.keys:
            yield f"{step.pod}:{step.container} is not there"
            return
        resized = resizing.resized(life.spec, step)
        (spec,) = (spec for spec in resized.lasting if spec.name == step.container)
        objection = resizing.objection(spec.resources, kubelet.qos(life.spec), kubelet.qos(resized))
        if objection:
            yield f"{step.pod}:{step.container}: {objection}"
            return
        asked = kubelet.asked(spec.resources, kubelet.qos(resized), memory_bytes=self._memory_bytes)
        try:
            self._stage.update(life.keys[step.container], asked)
        except PolicyRefusal as refusal:
            yield f"{step.pod}:{step.container}: {refusal}"
            return
        life.spec = resized

    def _wait(self, time_s: float) -> None:
        """Let those be looked at whose time comes meanwhile, in its order."""
        until_s = self._now_s + time_s
        waiting = {key: c.revisit_after_start_s for key, c in self._stage.containers.items() if c.revisit_after_start_s}
        times_s = {key: self._started_s[key] + after_s for key, after_s in waiting.items() if key in self._started_s}
        for key in sorted(times_s, key=times_s.__getitem__):
            if times_s[key] <= until_s:
                self._stage.revisit(key)
        self._now_s = until_s
