import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import messages
from cri_resmgr.cri.patches import mounted_create, patched_create, patched_status, patched_update, update_request
from cri_resmgr.values.resources import NOTHING, Assignment, Resources


def create(**asked) -> bytes:
    request = api.CreateContainerRequest(pod_sandbox_id="p1")
    request.config.metadata.name = "app"
    request.config.envs.add(key="PATH", value=b"/bin")
    request.config.linux.security_context.privileged = True
    request.config.linux.resources.CopyFrom(api.LinuxContainerResources(**asked))
    return request.SerializeToString()


def test_nothing_to_change_is_the_same_object():
    raw = create(cpu_shares=2)
    asked = Resources(cpu_shares=2)
    assert patched_create(raw, asked, NOTHING) is raw
    assert patched_create(raw, asked, Assignment(cpu_shares=2, cpuset_cpus="")) is raw
    assert patched_update(raw, asked, NOTHING) is raw
    assert patched_update(raw, asked, Assignment(cpu_shares=2)) is raw


def test_the_kubelets_own_bytes_stay_and_the_change_comes_after_them():
    raw = create(cpu_shares=2)
    patched = patched_create(raw, Resources(cpu_shares=2), Assignment(cpuset_cpus="4-7"))
    assert patched.startswith(raw)
    assert len(patched) - len(raw) == 11  # three enclosing messages, one string of three


@pytest.mark.parametrize(
    "given",
    [
        Assignment(cpuset_cpus="0-3,8", cpuset_mems="0-1"),
        Assignment(cpu_shares=2),
        Assignment(cpu_quota_us=-1, cpu_period_us=100000),
        Assignment(cpu_quota_us=0, cpuset_cpus=""),  # taken away, not left as it was
        Assignment(cpuset_cpus=",".join(map(str, range(0, 1024, 2)))),  # lengths of more than one byte
    ],
)
def test_a_create_asks_for_what_was_given_over_what_was_asked(given):
    raw = create(cpu_quota=20000, cpu_shares=1024, cpuset_cpus="9", memory_limit_in_bytes=1 << 40)
    container = messages.container_of_create(raw)
    patched = patched_create(raw, container.asked, given)
    assert messages.container_of_create(patched).asked == given.over(container.asked)


def test_an_update_that_has_no_linux_part_gets_one():
    raw = api.UpdateContainerResourcesRequest(container_id="c1").SerializeToString()
    patched = patched_update(raw, Resources(), Assignment(cpuset_cpus="1"))
    assert messages.update_of(patched) == ("c1", Resources(cpuset_cpus="1"))


def test_an_update_keeps_what_the_policy_does_not_own():
    raw = api.UpdateContainerResourcesRequest(container_id="c1", annotations={"a": "b"})
    raw.linux.unified["memory.high"] = "1"
    raw.linux.cpu_shares = 5
    patched = patched_update(raw.SerializeToString(), Resources(cpu_shares=5), Assignment(cpu_shares=7))
    raw.linux.cpu_shares = 7
    assert api.UpdateContainerResourcesRequest.FromString(patched) == raw


def test_our_own_update_says_only_what_is_set():
    told = Resources(cpu_quota_us=-1, cpu_shares=300, memory_limit_bytes=1 << 33, oom_score_adj=-5, cpuset_mems="0")
    raw = update_request("c1", told)
    assert messages.update_of(raw) == ("c1", told)
    assert raw == api.UpdateContainerResourcesRequest.FromString(raw).SerializeToString()


def test_a_mount_is_bound_read_only_and_privately_behind_those_of_the_kubelet():
    request = api.CreateContainerRequest.FromString(create(cpu_shares=2))
    request.config.mounts.add(container_path="/data", host_path="/srv", propagation=api.PROPAGATION_BIDIRECTIONAL)
    raw = request.SerializeToString()
    mounted = mounted_create(raw, host_path="/var/lib/x", container_path="/.x")
    assert mounted.startswith(raw)
    request.config.mounts.add(container_path="/.x", host_path="/var/lib/x", readonly=True, selinux_relabel=True)
    read = api.CreateContainerRequest.FromString(mounted)
    assert read == request
    assert read.config.mounts[1].propagation == api.PROPAGATION_PRIVATE


def test_a_mount_and_resources_go_together():
    raw = create(cpu_shares=2)
    asked = messages.container_of_create(raw).asked
    both = mounted_create(patched_create(raw, asked, Assignment(cpuset_cpus="1")), host_path="/h", container_path="/c")
    assert messages.container_of_create(both).asked == Resources(cpu_shares=2, cpuset_cpus="1")
    assert messages.paths_of_create(both) == ((messages.Mount("/h", "/c", readonly=True),), ())


def status(**said) -> bytes:
    reply = api.ContainerStatusResponse(info={"info": "{}"})
    reply.status.id = "c1"
    reply.status.resources.linux.CopyFrom(api.LinuxContainerResources(**said))
    return reply.SerializeToString()


def test_a_status_shows_other_amounts_and_is_the_runtimes_own_for_the_rest():
    raw = status(cpu_shares=512, cpu_quota=150000, cpuset_cpus="0-1", unified={"memory.high": "1"})
    patched = patched_status(raw, messages.resources_told(raw), Assignment(cpu_shares=1536, cpu_quota_us=0))
    assert patched.startswith(raw)
    expected = status(cpu_shares=1536, cpuset_cpus="0-1", unified={"memory.high": "1"})
    assert api.ContainerStatusResponse.FromString(patched) == api.ContainerStatusResponse.FromString(expected)


def test_a_status_that_says_what_it_should_is_the_same_object():
    raw = status(cpu_shares=512)
    assert patched_status(raw, messages.resources_told(raw), Assignment(cpu_shares=512)) is raw
    assert patched_status(raw, messages.resources_told(raw), NOTHING) is raw


@pytest.mark.parametrize(("swap", "patched_swap"), [(0, 0), (10, 30), (15, 35), (-1, -1)])
def test_another_limit_of_memory_takes_that_of_memory_and_swap_along(swap, patched_swap):
    raw = create(memory_limit_in_bytes=10, memory_swap_limit_in_bytes=swap)
    asked = messages.container_of_create(raw).asked
    now = messages.container_of_create(patched_create(raw, asked, Assignment(memory_limit_bytes=30))).asked
    assert (now.memory_limit_bytes, now.memory_swap_limit_bytes) == (30, patched_swap)
