"""The line by which a grant is found again after a restart: what of it the sets of a holding do not say.

    part      thousandths of a CPU that it was promised
    asked     the CPU request, memory request and memory limit that it was granted for
    home      the pool of its memory
    bytes     its memory by tier
    tiers     the tiers where its memory may be
    marks     `reserved`, `cold`, `unplaced`, where they apply

Pools go by their names: after a restart the tree may be another one.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cri_resmgr.policies.requirements import Requirements
from cri_resmgr.policies.topology_aware.requests import Request
from cri_resmgr.policies.topology_aware.state import Grant
from cri_resmgr.policies.topology_aware.tree import Tree
from cri_resmgr.values import cpusets
from cri_resmgr.values.decisions import Holding

POLICY = "topology-aware"

_MARKS = ("reserved", "cold", "unplaced")


def memo(grant: Grant) -> str:
    """The line about a grant."""
    marks = ", ".join(f'"{mark}"' for mark in _MARKS if getattr(grant, mark))
    # Nothing needs escaping, and every neighbour of every decision has one: several times faster than json.dumps.
    return (
        f'{{"part":{grant.part_millicpu},"asked":{_asked(grant.request.requirements)},"home":"{grant.home.name}",'
        f'"bytes":{list(grant.memory_bytes)},"tiers":{list(grant.request.tiers)},"marks":[{marks}]}}'
    )


def read(holding: Holding) -> Mapping[str, Any]:
    """What the memo of a holding says; empty if it is not one of ours."""
    if holding.policy != POLICY:
        return {}
    try:
        said = json.loads(holding.memo)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def remembered(holding: Holding, request: Request, tree: Tree) -> Grant | None:
    """The grant that a container had; None if there was none, or if its pools are no more.

    Its request is the one that it was granted for, which may be older than what the container asks now.
    """
    said = read(holding)
    pool, home = tree.named(holding.pool), tree.named(str(said.get("home")))
    if pool is None or home is None:
        return None
    try:
        pmem, dram, hbm = map(int, said["bytes"])
        grant = Grant(
            request,
            pool,
            home,
            exclusive=cpusets.parse(holding.exclusive),
            isolated=cpusets.parse(holding.isolated),
            part_millicpu=int(said["part"]),
            memory_bytes=(pmem, dram, hbm),
            **{mark: mark in said["marks"] for mark in _MARKS},
        )
        return replace(grant, request=_as_granted(request, grant, said["asked"]))
    except (KeyError, TypeError, ValueError):
        return None


def _asked(required: Requirements) -> list[int]:
    return [required.cpu_request_millicpu, required.memory_request_bytes, required.memory_limit_bytes]


def _as_granted(request: Request, grant: Grant, asked: Sequence[int]) -> Request:
    if _asked(request.requirements) == asked:
        return request
    cpu_millicpu, request_bytes, limit_bytes = map(int, asked)
    required = replace(
        request.requirements,
        cpu_request_millicpu=cpu_millicpu,
        memory_request_bytes=request_bytes,
        memory_limit_bytes=limit_bytes,
    )
    return replace(request, requirements=required, whole=grant.own.bit_count(), rest_millicpu=grant.part_millicpu)
