"""The scenario file: what happens on the node, step by step.

    - create: {pod: web, containers: [{name: app, requests: {cpu: 2, memory: 1Gi}, limits: {cpu: 2, memory: 1Gi}}]}
    - start: {pod: web}
    - resize: {pod: web, container: app, requests: {cpu: 3}, limits: {cpu: 3}}
    - exit: {pod: web, container: app}
    - wait: 60s
    - delete: {pod: web}
    - configure: {policy: {Active: none}}
    - restart:

A pod is known by its name, so no two at a time may have the same, whatever their namespaces.

What can be known to be wrong beforehand is refused before the first step is taken: every value, and every name that
no earlier step has brought.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import yaml

from cri_resmgr.cli.simulating import documents, steps
from cri_resmgr.cli.simulating.scenario_parts import (
    ContainerPart,
    CreatePart,
    DeletePart,
    ExitPart,
    InitContainerPart,
    Reference,
    ResizePart,
    StartPart,
    StepPart,
)
from cri_resmgr.config import check, texts
from cri_resmgr.config.problems import Invalid
from cri_resmgr.config.settings import Settings
from cri_resmgr.config.trees import Path, Tree
from cri_resmgr.errors import BadInput
from cri_resmgr.policies.contract import Policy
from cri_resmgr.policies.declarations import Amounts, Declared

LIMIT_NODES = 200_000

Make = Callable[[Settings], Policy]


def read(path: str, make: Make) -> tuple[steps.Step, ...]:
    """The steps in the file at `path`, `make` giving the policy of a new configuration.

    Raises BadInput with all problems of the file.
    """
    tree = texts.load_list(check.read(path), limit_nodes=LIMIT_NODES)
    reader = _Reader(tree, make)
    found = tuple(reader.read())
    documents.finished(tree, path)
    return found


class _Reader:
    """Goes through the steps of one file, and knows which names there can be so far."""

    def __init__(self, tree: Tree, make: Make) -> None:
        self._tree, self._make = tree, make
        self._containers: dict[str, set[str]] = {}  # by pod
        self._sure = True  # that these are all: a step that cannot be read may have brought others

    def read(self) -> Iterator[steps.Step]:
        for index, raw in self._tree.values.items():
            name = f"step {int(index) + 1}"
            said = documents.part(StepPart, raw, self._tree, at=(index,), name=name)
            if said is None:
                self._sure = False
                continue
            if len(said.model_fields_set) != 1:
                words = ", ".join(str(field.alias) for field in StepPart.model_fields.values())
                documents.note(self._tree, (index,), f"must be exactly one of {words}", where=name)
                continue
            (kind,) = said.model_fields_set
            yield from self._step(kind, getattr(said, kind), (index, kind), name)

    def _step(self, kind: str, said: Any, at: Path, name: str) -> Iterator[steps.Step]:
        def wrong(message: str) -> None:
            documents.note(self._tree, at, message, where=f"{name}: {kind}")

        if said is None and kind != "restart":
            wrong("says nothing; write keys and values below it")
            return
        match said:
            case CreatePart():
                yield from self._create(said, wrong)
            case StartPart() | ExitPart() | ResizePart() | DeletePart():
                self._check_names(said, wrong)
                yield _reference(said)
            case dict():
                yield from self._configure(said, at, name)
            case float():
                yield steps.Wait(said)
            case _:
                yield steps.Restart()

    def _create(self, said: CreatePart, wrong: Callable[[str], None]) -> Iterator[steps.Step]:
        both = [*said.init_containers, *said.containers]
        for name, count in Counter(part.name for part in both).items():
            if count > 1:
                wrong(f"has two containers '{name}'; give them names of their own")
        for part in both:
            for what, request, limit in _pairs(part):
                if request is not None and limit is not None and request > limit:
                    wrong(f"container '{part.name}' requests more {what} than its limit; Kubernetes refuses that")
        pod = steps.PodSpec(
            said.pod,
            said.namespace,
            tuple(map(_container, said.containers)),
            tuple(map(_init_container, said.init_containers)),
            said.labels,
            said.annotations,
            said.runtime_handler,
        )
        self._containers.setdefault(pod.name, set()).update(spec.name for spec in pod.lasting)
        yield steps.Create(pod)

    def _check_names(self, said: Reference, wrong: Callable[[str], None]) -> None:
        container = "" if isinstance(said, DeletePart) else said.container
        if not self._sure:
            return
        if said.pod not in self._containers:
            wrong(f"no earlier step creates a pod '{said.pod}'")
        elif container and container not in self._containers[said.pod]:
            known = ", ".join(sorted(self._containers[said.pod]))
            wrong(f"pod '{said.pod}' has no container '{container}', but {known}")

    def _configure(self, said: dict[str, Any], at: Path, name: str) -> Iterator[steps.Step]:
        try:
            yield steps.Configure(self._make(check.settings(yaml.safe_dump(said, sort_keys=False), name)))
        except Invalid as error:
            for problem in error.problems:
                path = (*at, *problem.where.split("."))
                documents.note(self._tree, path, problem.message, where=f"{name}: {'.'.join(path[1:])}")
        except BadInput as error:
            documents.note(self._tree, at, str(error), where=f"{name}: configure")


def _reference(said: Reference) -> steps.Step:
    match said:
        case StartPart():
            return steps.Start(said.pod, said.container)
        case ExitPart():
            return steps.Exit(said.pod, said.container)
        case DeletePart():
            return steps.Delete(said.pod)
        case ResizePart():
            (_, cpu_request, cpu_limit), (_, memory_request, memory_limit) = _pairs(said)
            return steps.Resize(said.pod, said.container, cpu_request, cpu_limit, memory_request, memory_limit)


def _container(part: ContainerPart) -> steps.ContainerSpec:
    cpu, memory = (_amounts(request, limit) for _, request, limit in _pairs(part))
    return steps.ContainerSpec(part.name, Declared(cpu, memory))


def _init_container(part: InitContainerPart) -> steps.ContainerSpec:
    return replace(_container(part), sidecar=part.restart_policy is not None)


def _pairs(part: ContainerPart | ResizePart) -> Iterator[tuple[str, int | None, int | None]]:
    yield "CPU", part.requests.cpu, part.limits.cpu
    yield "memory", part.requests.memory, part.limits.memory


def _amounts(request: int | None, limit: int | None) -> Amounts:
    return Amounts((limit if request is None else request) or 0, limit or 0)
