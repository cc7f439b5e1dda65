"""What follows from a container's spec, its annotations and the configuration: a request in the policy's terms.

Who can have CPUs of his own: containers of Guaranteed pods, by their CPU request, `whole` CPUs and a `rest`:

    whole   rest    gets
    0       any     a part of the shared set
    1       0       a CPU of its own; a part, if it is annotated to share
    1       > 0     a CPU of its own and a part for the rest; all as a part, if it prefers to share
    >= 2    0       CPUs of its own; a part, if it is annotated to share
    >= 2    > 0     a part; CPUs of its own and a part for the rest, if it is annotated not to share

One whole CPU is a kernel-isolated one if that is preferred, several are if that is annotated.  To *prefer* is to be
annotated so, or else configured.  Containers of reserved namespaces run on the reserved CPUs, and so do those that are
annotated; whoever is annotated not to is treated like anybody else.
"""

import re
from dataclasses import dataclass

from cri_resmgr.policies import affinities, annotations
from cri_resmgr.policies.requirements import Qos, Requirements, requirements
from cri_resmgr.policies.topology_aware import tiers
from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.settings import Settings
from cri_resmgr.policies.topology_aware.tree import Tree
from cri_resmgr.values import globs
from cri_resmgr.values.machines import Machine
from cri_resmgr.values.workloads import Container, Pod

SYSTEM_NAMESPACE = "kube-system"


@dataclass(frozen=True, slots=True)
class Terms:
    """By which containers are judged: the configuration, and what the machine has."""

    settings: Settings
    reserved_namespaces: tuple[re.Pattern[str], ...]
    pinnable_handlers: frozenset[str]
    tiers: tuple[int, ...]
    """The tiers of memory that there are."""
    isolated: bool
    """Whether any CPUs are kernel-isolated."""
    cold_start: bool
    """Whether containers may start on PMEM alone: the kernel must be able to use all of it."""


@dataclass(frozen=True, slots=True)
class _Cpus:
    reason: str
    reserved: bool = False
    whole: int = 0
    rest_millicpu: int = 0
    isolate: bool = False


@dataclass(frozen=True, slots=True)
class _Memory:
    tiers: tuple[int, ...]
    typed: bool = False
    notes: tuple[str, ...] = ()


def terms(settings: Settings, machine: Machine, *, tree: Tree, pinnable_handlers: frozenset[str]) -> Terms:
    """The terms on this machine."""
    memory_nodes = [node for node in machine.nodes if node.memory_bytes]
    return Terms(
        settings=settings,
        reserved_namespaces=tuple(globs.compiled(pattern) for pattern in settings.reserved_pool_namespaces),
        pinnable_handlers=pinnable_handlers,
        tiers=tuple(tier for tier in tiers.ALL if tree.root.memory_bytes[tier]) or (tiers.DRAM,),
        isolated=tree.root.isolated > 0,
        cold_start=all(node.normal for node in memory_nodes if node.kind is tiers.KINDS[tiers.PMEM]),
    )


def request(container: Container, pod: Pod, terms: Terms) -> Request:
    """What the container wants."""
    preferences = annotations.preferences(pod, container.name)
    required = requirements(container, pod)
    cpus = _cpus(container, pod, terms=terms, required=required, preferences=preferences)
    memory = _memory(preferences, terms)
    own, wrong = _affinities(pod, container.name)
    warm = not terms.cold_start or not {tiers.PMEM, tiers.DRAM} <= set(memory.tiers)
    return Request(
        container=Container(
            container.pod_id,
            container.name,
            container.attempt,
            labels=container.labels,
            annotations=container.annotations,
        ),
        pod=pod,
        requirements=required,
        reserved=cpus.reserved,
        whole=cpus.whole,
        rest_millicpu=cpus.rest_millicpu,
        isolate=cpus.isolate,
        tiers=memory.tiers,
        typed=memory.typed,
        cold_start_s=0.0 if warm else preferences.cold_start_s or 0.0,
        hints=container.hints,
        affinities=own,
        near_pod=not own and terms.settings.colocate_pods,
        near_namespace=not own and terms.settings.colocate_namespaces,
        reasons=(cpus.reason, *memory.notes, *wrong, *preferences.problems, *required.problems),
    )


def _cpus(
    container: Container, pod: Pod, *, terms: Terms, required: Requirements, preferences: annotations.Preferences
) -> _Cpus:
    amount = required.cpu_request_millicpu
    if preferences.reserved:
        return _Cpus("annotated to run on reserved CPUs", reserved=True, rest_millicpu=amount)
    if preferences.reserved is None and _is_reserved(pod.namespace, terms):
        return _Cpus(f"namespace {pod.namespace} runs on reserved CPUs", reserved=True, rest_millicpu=amount)
    said = f"{required.qos.value}, {amount}m of CPU" if amount else f"{required.qos.value}, no CPU requested"
    whole, rest, isolate = _split(amount, preferences, terms.settings)
    hindrance = _hindrance(container, pod, terms)
    if required.qos is not Qos.GUARANTEED or not whole:
        return _Cpus(f"{said}: shares CPUs", rest_millicpu=amount)
    if hindrance:
        return _Cpus(f"{said}: shares CPUs, for {hindrance}", rest_millicpu=amount)
    own = f"{said}: {whole} of its own" + (f", {rest}m shared" if rest else "")
    return _Cpus(own, whole=whole, rest_millicpu=rest, isolate=isolate and terms.isolated)


def _hindrance(container: Container, pod: Pod, terms: Terms) -> str:
    """Why a container cannot have CPUs of its own, whatever it requests."""
    if pod.runtime_handler not in terms.pinnable_handlers:
        return f"runtime handler {pod.runtime_handler} does not bind threads to CPUs"
    return "it ran before us" if container.adopted else ""


def _is_reserved(namespace: str, terms: Terms) -> bool:
    return namespace == SYSTEM_NAMESPACE or any(glob.fullmatch(namespace) for glob in terms.reserved_namespaces)


def _split(millicpu: int, preferences: annotations.Preferences, settings: Settings) -> tuple[int, int, bool]:
    """Whole CPUs, the rest, and whether the CPUs are rather isolated ones: the table above."""
    whole, rest = divmod(millicpu, 1000)
    isolate = settings.prefer_isolated_cpus if preferences.isolated is None else preferences.isolated
    if whole == 1 and rest:
        share = settings.prefer_shared_cpus if preferences.shared is None else preferences.shared
    elif rest:
        share = preferences.shared is not False
    else:
        share = preferences.shared is True
    if not whole or share:
        return 0, millicpu, False
    return whole, rest, isolate and (whole == 1 or preferences.isolated is not None)


def _memory(preferences: annotations.Preferences, terms: Terms) -> _Memory:
    """HBM is for those who ask for it; whoever asks for what this machine has not gets the usual."""
    usual = tuple(tier for tier in (tiers.PMEM, tiers.DRAM) if tier in terms.tiers) or terms.tiers
    kinds = preferences.memory_kinds
    if kinds is None:
        return _Memory(usual)
    wanted = tuple(tier for tier in tiers.numbers(kinds) if tier in terms.tiers)
    if not wanted:
        words = ", ".join(sorted(kind.value for kind in kinds))
        return _Memory(usual, notes=(f"this machine has no memory of type {words}: any type",))
    if wanted == (tiers.PMEM,) and not terms.cold_start and tiers.DRAM in terms.tiers:
        return _Memory((tiers.PMEM, tiers.DRAM), typed=True, notes=("the kernel cannot use all PMEM: DRAM, too",))
    return _Memory(wanted, typed=True)


def _affinities(pod: Pod, name: str) -> tuple[tuple[affinities.Affinity, ...], tuple[str, ...]]:
    """Its own, and what is wrong with them."""
    try:
        return affinities.affinities(pod, name), ()
    except ValueError as error:
        return (), (f"affinities are ignored: {error}",)
