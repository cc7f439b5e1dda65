"""Runtimes read a patched request as we mean it: today's protobuf decoder for Go, and gogo's, as in containerd 1.6."""

import os
import subprocess
from pathlib import Path

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import messages
from cri_resmgr.cri.patches import patched_create
from cri_resmgr.values.resources import NOTHING, Assignment, Resources
from equipment import machine

SOURCE = Path(__file__).parents[2] / "tools/cri-api"


@pytest.fixture(scope="module")
def decode(tmp_path_factory):
    program = tmp_path_factory.mktemp("go") / "decode"
    environment = {**os.environ, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    subprocess.run(
        [machine.go(SOURCE), "build", "-o", program, "."], cwd=SOURCE, env=environment, check=True, timeout=600
    )

    def run(message: bytes) -> list[str]:
        return (
            subprocess.run([program], input=message, capture_output=True, check=True, timeout=60)
            .stdout.decode()
            .split("\n")
        )

    return run


def told(name: str, resources: Resources) -> str:
    numbers = (resources.cpu_period_us, resources.cpu_quota_us, resources.cpu_shares)
    more = (resources.memory_limit_bytes, resources.oom_score_adj)
    return " ".join([name, *map(str, numbers + more), f'"{resources.cpuset_cpus}"', f'"{resources.cpuset_mems}"'])


@pytest.mark.needs_go
@pytest.mark.timeout(700)  # the first build on a machine compiles gRPC
@pytest.mark.parametrize(
    "given",
    [
        NOTHING,
        Assignment(cpuset_cpus="2-3", cpuset_mems="0"),
        Assignment(cpu_shares=2, cpu_quota_us=-1, cpu_period_us=50000),
        Assignment(cpu_quota_us=0, cpuset_cpus=""),
        Assignment(cpuset_cpus=",".join(map(str, range(0, 512, 2)))),
    ],
    ids=["nothing", "cpuset", "shares and quota", "taken away", "long"],
)
def test_both_go_decoders_read_the_resources_that_we_mean(decode, given):
    request = api.CreateContainerRequest(pod_sandbox_id="p1")
    request.config.linux.security_context.privileged = True
    linux = request.config.linux.resources
    linux.cpu_quota, linux.cpu_period, linux.cpu_shares = 20000, 100000, 1024
    linux.memory_limit_in_bytes, linux.oom_score_adj, linux.cpuset_cpus = 1 << 30, -5, "9"
    raw = request.SerializeToString()
    asked = messages.container_of_create(raw).asked
    meant = given.over(asked)
    assert decode(patched_create(raw, asked, given)) == [told("today", meant), told("gogo", meant), ""]
