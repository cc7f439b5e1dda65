"""The free-form JSON that runtimes add to a verbose status, under the key `info`.

It is no part of the protocol: containerd and CRI-O differ, and versions do.  So nothing here insists on anything;
what is absent or of another type is "not said".  Known shapes:

    containerd   pod: config.linux.cgroup_parent            container: runtimeSpec (OCI), config (CRI), pid
    CRI-O        pod: runtimeSpec.annotations[CgroupParent]  container: runtimeSpec (OCI), pid
"""

import json
from collections.abc import Mapping

from cri_resmgr.values.resources import Resources

KEY = "info"
CRIO_CGROUP_PARENT = "io.kubernetes.cri-o.CgroupParent"
_INT64_END = 1 << 63


def cgroup_parent(info: Mapping[str, str]) -> str:
    """A pod's cgroup parent, or "" if the runtime does not say."""
    said = _parsed(info)
    found = _at(said, "config", "linux", "cgroup_parent") or _at(said, "runtimeSpec", "annotations", CRIO_CGROUP_PARENT)
    return found if isinstance(found, str) else ""


def resources(info: Mapping[str, str]) -> Resources | None:
    """What the OCI spec of a container gives it; None if there is no spec."""
    spec = _at(_parsed(info), "runtimeSpec")
    if not isinstance(spec, dict):
        return None
    cpu = _at(spec, "linux", "resources", "cpu")
    return Resources(
        cpu_period_us=_integer(_at(cpu, "period")),
        cpu_quota_us=_integer(_at(cpu, "quota")),
        cpu_shares=_integer(_at(cpu, "shares")),
        memory_limit_bytes=_integer(_at(spec, "linux", "resources", "memory", "limit")),
        oom_score_adj=_integer(_at(spec, "process", "oomScoreAdj")),
        cpuset_cpus=_text(_at(cpu, "cpus")),
        cpuset_mems=_text(_at(cpu, "mems")),
        memory_swap_limit_bytes=_integer(_at(spec, "linux", "resources", "memory", "swap")),
    )


def pid(info: Mapping[str, str]) -> int:
    """The first process of a container as the machine numbers it, or 0 if the runtime does not say."""
    return max(0, _integer(_at(_parsed(info), "pid")))


def _parsed(info: Mapping[str, str]) -> object:
    try:
        return json.loads(info.get(KEY, ""))
    except (ValueError, RecursionError):
        return None


def _at(value: object, *path: str) -> object:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _integer(value: object) -> int:
    return value if isinstance(value, int) and abs(value) < _INT64_END else 0


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
