"""The page of a node that is simulated: a machine of any size, with containers that a policy has placed."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from cri_resmgr.cli import making
from cri_resmgr.cli.page import serving
from cri_resmgr.cli.page.looking import Look
from cri_resmgr.cli.simulating import scenario_files
from cri_resmgr.cli.simulating.running import Simulation
from cri_resmgr.cli.simulating.steps import Create, Delete
from cri_resmgr.config import check
from cri_resmgr.config.endpoints import Endpoint
from cri_resmgr.config.settings import Settings
from cri_resmgr.host.grids import grid
from cri_resmgr.observe.http import Server
from cri_resmgr.policies.contract import Policy
from cri_resmgr.values.events import Event, Kind
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, State

NOW_S = 1_790_000_000.0
CONFIG = "policy: {Active: topology-aware, ReservedResources: {CPU: 2}}\n"


def machine(cpus: int) -> Machine:
    """Two sockets of two nodes each, with two threads a core."""
    return grid(packages=2, nodes=2, cores=cpus // 8, threads=2, memory_bytes=cpus << 30)


class SimulatedNode:
    """Takes steps of a scenario; what a policy refuses becomes an event, as on a node."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._settings = check.settings(CONFIG, "node.cfg")
        self._simulation = Simulation(machine, self._made(self._settings))
        self.events: list[Event] = []

    def take(self, scenario: str, directory: Path) -> None:
        """Take the steps of a scenario's text."""
        path = directory / "scenario.yaml"
        path.write_text(scenario)
        for step in scenario_files.read(str(path), self._made):
            for error in self._simulation.take(step).errors:
                name, _, text = error.partition(": ")
                pod, _, container = name.partition(":")
                where = {"namespace": step.pod.namespace if isinstance(step, Create) else "default", "pod": pod}
                kind = str(Kind.POLICY_REFUSED)
                self.events.append(Event(kind, text, NOW_S, NOW_S, container=container, **where))

    def drop(self, pod: str) -> None:
        """A pod goes."""
        self._simulation.take(Delete(pod))

    async def look(self) -> Look:
        """This moment."""
        stage = self._simulation._stage
        return Look(
            policy=stage.policy.name,
            source="node.cfg",
            machine=self.machine,
            pods=stage.pods,
            containers=tuple(self._running().values()),
            pools=self._simulation.pools(),
            events=tuple(self.events),
            warnings=self._simulation.warnings(),
        )

    def tell(self, key: str) -> str:
        """Why a container is where it is."""
        stage = self._simulation._stage
        return serving.told(stage.pods, self._running(), key)

    def _running(self) -> dict[str, Container]:
        """As if the runtime had started each at once."""
        found = self._simulation._stage.containers
        return {key: replace(one, told=one.due, state=State.RUNNING) for key, one in found.items()}

    def _made(self, settings: Settings) -> Policy:
        return making.policy(settings.policy, self.machine, cgroup_cpus=lambda _: 0)


@asynccontextmanager
async def served(node: SimulatedNode) -> AsyncIterator[Server]:
    """Its page, on a free port."""
    server = serving.server(Endpoint(host="127.0.0.1"), node.look, node.tell)
    await server.start()
    try:
        yield server
    finally:
        await server.close()
