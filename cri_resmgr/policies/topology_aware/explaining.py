"""Decisions in words: why a container got what it got, what else was looked at, and why it was refused."""

from collections.abc import Iterator, Sequence

from cri_resmgr.policies.topology_aware.choosing import Choice
from cri_resmgr.policies.topology_aware.ordering import decisive
from cri_resmgr.policies.topology_aware.repinning import Pins, numbered
from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.scoring import Fit, Score
from cri_resmgr.policies.topology_aware.state import Grant
from cri_resmgr.values.decisions import Candidate

_NAMED_POOLS = 8


def candidates(choice: Choice, request: Request) -> tuple[Candidate, ...]:
    """All pools that came into question, the best first, and why the others are not it."""
    return tuple(
        Candidate(score.pool.name, _shown(score, request), _verdict(choice, score, request)) for score in choice.ranking
    )


def reasons(grant: Grant, pins: Pins, choice: Choice | None = None) -> tuple[str, ...]:
    """Why a container has what it has, the most important first; with the choice that led to it, if there was one."""
    first, *more = grant.request.reasons
    return (first, *_cpus(grant, pins), *_chosen(grant, choice), *_memory(grant), *more)


def refusal(choice: Choice, request: Request) -> str:
    """What is short, by how much, in which pools, and what would help."""
    return f"{request.reasons[0]}, but {_lacks(choice)}. {_remedy(choice, request)}"


def _lacks(choice: Choice) -> str:
    lacks: dict[str, list[str]] = {}
    for score in sorted(choice.ranking, key=lambda score: -score.pool.index):
        lacks.setdefault(_lack(score), []).append(score.pool.name)
    told = (f"short of {lack}: {_listed(names)}" for lack, names in lacks.items())
    return f"no pool can hold it; {'; '.join(told)}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED_POOLS} more" if len(names) > _NAMED_POOLS else ""
    return ", ".join(names[:_NAMED_POOLS]) + more


def _remedy(choice: Choice, request: Request) -> str:
    largest = max(choice.ranking, key=lambda score: score.pool.index)
    if largest.short_millicpu <= 0:
        return "Request less memory or other types of it, or end something that holds memory"
    less = "Request less CPU, or end" if request.millicpu else "End"
    return f"{less} something that holds CPUs, or make more available"


def _cpus(grant: Grant, pins: Pins) -> Iterator[str]:
    where = f"of {grant.pool.name}"
    if grant.exclusive:
        yield f"has {numbered('CPU', grant.exclusive)} {where} to itself"
    if grant.isolated:
        yield f"has {numbered('kernel-isolated CPU', grant.isolated)} {where} to itself"
    if grant.reserved:
        yield f"shares {numbered('reserved CPU', pins.shared_cpus(grant))}"
    elif grant.shares:
        yield f"shares {numbered('CPU', pins.shared_cpus(grant))} {where}"
    if grant.unplaced:
        yield "it runs already, and nothing could be promised to it"
    elif grant.request.reserved and not grant.reserved:
        yield "the reserved CPUs are used up"
    if grant.request.isolate and not grant.isolated:
        yield "too few kernel-isolated CPUs are free: ordinary ones"


def _chosen(grant: Grant, choice: Choice | None) -> Iterator[str]:
    if choice is None:
        return
    best, *others = choice.ranking
    if not choice.fits:
        yield _lacks(choice)
    elif others and others[0].fit is not Fit.NOT:
        yield f"{best.pool.name} rather than {others[0].pool.name}, which {decisive(best, others[0], grant.request)}"
    elif others:
        yield "no other pool can hold it"
    if choice.wish.note:
        yield choice.wish.note


def _memory(grant: Grant) -> Iterator[str]:
    booked = sum(grant.memory_bytes)
    size = f"{_amount(booked)} of memory from" if booked else "memory of"
    cold = ", PMEM alone until it has warmed up" if grant.cold else ""
    yield f"{size} {grant.home.name}: {numbered('node', grant.mems)}{cold}"


def _amount(size_bytes: int) -> str:
    return f"{-(-size_bytes >> 20)} MiB" if size_bytes >= 1 << 20 else f"{size_bytes} bytes"


def _shown(score: Score, request: Request) -> dict[str, float | str]:
    shown: dict[str, float | str] = {"shared_millicpu": score.shared_millicpu, "tenants": score.tenants}
    if request.isolate:
        shown["isolated"] = score.isolated
    if request.affinities or request.near_pod or request.near_namespace:
        shown["affinity"] = score.affinity
    if request.hints:
        shown["hints"] = score.hints
    return shown


def _verdict(choice: Choice, score: Score, request: Request) -> str:
    if score.fit is Fit.NOT:
        return f"short of {_lack(score)}"
    return "chosen" if score is choice.best else decisive(choice.best, score, request)


def _lack(score: Score) -> str:
    cpu = f"{score.short_millicpu}m of CPU" if score.short_millicpu > 0 else ""
    memory = f"{_amount(score.short_bytes)} of memory" if score.short_bytes > 0 else ""
    return " and ".join(filter(None, (cpu, memory)))
