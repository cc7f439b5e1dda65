import json

import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import messages, methods
from cri_resmgr.cri.messages import Undecodable
from cri_resmgr.errors import Error
from cri_resmgr.values.resources import Resources
from cri_resmgr.values.workloads import Container, Pod, State

MALFORMED = b"\x0a\xff"  # a field that says to be longer than the message

ASKED = Resources(
    cpu_period_us=100000,
    cpu_quota_us=-1,
    cpu_shares=512,
    memory_limit_bytes=1 << 30,
    oom_score_adj=-997,
    cpuset_cpus="0-3",
    cpuset_mems="0",
)
ASKED_IN_CRI = api.LinuxContainerResources(
    cpu_period=100000,
    cpu_quota=-1,
    cpu_shares=512,
    memory_limit_in_bytes=1 << 30,
    oom_score_adj=-997,
    cpuset_cpus="0-3",
    cpuset_mems="0",
)
OCI_SPEC = {
    "process": {"oomScoreAdj": -997, "env": ["PASSWORD=x"]},
    "linux": {
        "resources": {
            "cpu": {"shares": 512, "quota": -1, "period": 100000, "cpus": "0-3", "mems": "0"},
            "memory": {"limit": 1 << 30},
        }
    },
}


def sandbox_config() -> api.PodSandboxConfig:
    return api.PodSandboxConfig(
        metadata=api.PodSandboxMetadata(name="web-0", namespace="shop", uid="u-1", attempt=2),
        labels={"app": "web"},
        annotations={"note": "n"},
        linux=api.LinuxPodSandboxConfig(cgroup_parent="/kubepods/burstable/podu-1"),
    )


def container_status(**info) -> bytes:
    said = api.ContainerStatusResponse(status=api.ContainerStatus(id="c1"))
    if info:
        said.info["info"] = json.dumps(info)
    return said.SerializeToString()


def test_a_pod_is_made_of_the_request_and_the_runtimes_id():
    request = api.RunPodSandboxRequest(config=sandbox_config(), runtime_handler="kata").SerializeToString()
    reply = api.RunPodSandboxResponse(pod_sandbox_id="p1").SerializeToString()
    assert messages.pod_of_run(request, reply) == Pod(
        id="p1",
        name="web-0",
        namespace="shop",
        uid="u-1",
        cgroup_parent="/kubepods/burstable/podu-1",
        runtime_handler="kata",
        labels={"app": "web"},
        annotations={"note": "n"},
    )


def test_a_container_that_is_asked_for_has_no_id_and_remembers_what_was_asked():
    config = api.ContainerConfig(
        metadata=api.ContainerMetadata(name="app", attempt=3),
        labels={"l": "1"},
        annotations={"a": "2"},
        linux=api.LinuxContainerConfig(resources=ASKED_IN_CRI),
    )
    request = api.CreateContainerRequest(pod_sandbox_id="p1", config=config, sandbox_config=sandbox_config())
    assert messages.container_of_create(request.SerializeToString()) == Container(
        pod_id="p1", name="app", attempt=3, labels={"l": "1"}, annotations={"a": "2"}, asked=ASKED
    )


def test_a_container_without_linux_resources_has_asked_for_nothing():
    request = api.CreateContainerRequest(pod_sandbox_id="p1", config=api.ContainerConfig())
    assert messages.container_of_create(request.SerializeToString()).asked == Resources()


def test_mounts_and_devices_of_a_container_are_told_in_their_order():
    config = api.ContainerConfig()
    config.mounts.add(host_path="/srv/data", container_path="/data", readonly=True)
    config.mounts.add(container_path="/image", image=api.ImageSpec(image="layers"))
    config.devices.add(host_path="/dev/nvme0", container_path="/dev/disk", permissions="rw")
    request = api.CreateContainerRequest(config=config).SerializeToString()
    assert messages.paths_of_create(request) == (
        (messages.Mount("/srv/data", "/data", readonly=True), messages.Mount("", "/image")),
        (messages.Device("/dev/nvme0", "/dev/disk", "rw"),),
    )


def test_the_id_of_a_created_container_is_in_the_reply():
    assert messages.container_id_of_created(api.CreateContainerResponse(container_id="c9").SerializeToString()) == "c9"


@pytest.mark.parametrize(
    "method",
    [
        methods.START_CONTAINER,
        methods.STOP_CONTAINER,
        methods.REMOVE_CONTAINER,
        methods.UPDATE_CONTAINER_RESOURCES,
        methods.CONTAINER_STATUS,
    ],
)
def test_calls_about_a_container_name_it(method):
    request = methods.types_of(method)[0](container_id="c1").SerializeToString()
    assert messages.id_of(method, request) == "c1"


@pytest.mark.parametrize(
    "method",
    [methods.STOP_POD_SANDBOX, methods.REMOVE_POD_SANDBOX, methods.POD_SANDBOX_STATUS, methods.CREATE_CONTAINER],
)
def test_calls_about_a_pod_name_it(method):
    request = methods.types_of(method)[0](pod_sandbox_id="p1").SerializeToString()
    assert messages.id_of(method, request) == "p1"


@pytest.mark.parametrize("method", [methods.VERSION, "/runtime.v2.RuntimeService/StartContainer"])
def test_a_call_that_names_nothing_we_know_is_undecodable(method):
    with pytest.raises(Undecodable):
        messages.id_of(method, b"")


def test_an_update_names_its_container_and_what_it_sets():
    request = api.UpdateContainerResourcesRequest(
        container_id="c1", linux=api.LinuxContainerResources(cpu_quota=50000, cpu_period=100000)
    )
    assert messages.update_of(request.SerializeToString()) == (
        "c1",
        Resources(cpu_quota_us=50000, cpu_period_us=100000),
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: messages.pod_of_run(MALFORMED, b""),
        lambda: messages.pod_of_run(b"", MALFORMED),
        lambda: messages.container_of_create(MALFORMED),
        lambda: messages.container_id_of_created(MALFORMED),
        lambda: messages.id_of(methods.START_CONTAINER, MALFORMED),
        lambda: messages.update_of(MALFORMED),
        lambda: messages.pods_listed(MALFORMED),
        lambda: messages.containers_listed(MALFORMED),
        lambda: messages.pod_ids_listed(MALFORMED),
        lambda: messages.states_listed(MALFORMED),
        lambda: messages.pod_of_status(MALFORMED),
        lambda: messages.resources_of_status(MALFORMED),
        lambda: messages.resources_told(MALFORMED),
        lambda: messages.version_of(MALFORMED),
        lambda: messages.container_of_create(b"\x0a\x01\xff"),  # a string that is no UTF-8
    ],
)
def test_malformed_bytes_raise_our_own_error_with_the_cause(call):
    with pytest.raises(Undecodable, match="bytes are no") as caught:
        call()
    assert isinstance(caught.value, Error)
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize("path", sorted(methods.TAPPED))
def test_a_list_without_a_filter_names_everything(path):
    kind = methods.types_of(path)[0]
    no_filter, empty = kind(), kind()
    empty.filter.SetInParent()
    assert messages.is_unfiltered_list(path, no_filter.SerializeToString())
    assert messages.is_unfiltered_list(path, empty.SerializeToString())
    assert messages.is_unfiltered_list(path, messages.EVERYTHING)


def containers_filter(**said) -> bytes:
    return api.ListContainersRequest(filter=api.ContainerFilter(**said)).SerializeToString()


@pytest.mark.parametrize(
    "request_",
    [
        containers_filter(id="c1"),
        containers_filter(state=api.ContainerStateValue()),  # CREATED is 0, and a filter
        containers_filter(pod_sandbox_id="p1"),
        containers_filter(label_selector={"a": "b"}),
        b"\n\x03\xc2\x3e\x00",  # a filter by a field of the future
        b"\xc2\x3e\x00",
    ],
)
def test_a_list_with_any_filter_does_not_name_everything(request_):
    assert not messages.is_unfiltered_list(methods.LIST_CONTAINERS, request_)


def test_other_calls_are_no_lists():
    assert not messages.is_unfiltered_list(methods.VERSION, b"")


def test_listed_pods_are_values():
    metadata = api.PodSandboxMetadata(name="web-0", namespace="shop", uid="u-1")
    items = [
        api.PodSandbox(id="p1", metadata=metadata, labels={"a": "b"}, annotations={"c": "d"}, runtime_handler="runc"),
        api.PodSandbox(id="p2"),
    ]
    reply = api.ListPodSandboxResponse(items=items).SerializeToString()
    first, second = messages.pods_listed(reply)
    assert first == Pod("p1", "web-0", "shop", "u-1", "", "runc", {"a": "b"}, {"c": "d"})
    assert second.id == "p2"
    assert messages.pod_ids_listed(reply) == {"p1", "p2"}


@pytest.mark.parametrize(
    ("said", "state"),
    [
        (api.CONTAINER_CREATED, State.CREATED),
        (api.CONTAINER_RUNNING, State.RUNNING),
        (api.CONTAINER_EXITED, State.EXITED),
        (api.CONTAINER_UNKNOWN, State.RUNNING),
        (77, State.RUNNING),
    ],
)
def test_a_listed_container_has_its_state_and_an_unknown_one_keeps_its_cpus(said, state):
    metadata = api.ContainerMetadata(name="app", attempt=1)
    listed = api.Container(id="c1", pod_sandbox_id="p1", metadata=metadata, labels={"a": "b"}, annotations={"c": "d"})
    listed.state = said
    reply = api.ListContainersResponse(containers=[listed]).SerializeToString()
    expected = Container("p1", "app", 1, id="c1", state=state, labels={"a": "b"}, annotations={"c": "d"})
    assert messages.containers_listed(reply) == (expected,)
    assert messages.states_listed(reply) == {"c1": state}


@pytest.mark.parametrize(
    "info",
    [
        {"config": {"linux": {"cgroup_parent": "/kubepods/podx"}}, "runtimeSpec": {"annotations": {}}},
        {"runtimeSpec": {"annotations": {"io.kubernetes.cri-o.CgroupParent": "/kubepods/podx"}}},
    ],
    ids=["containerd", "cri-o"],
)
def test_a_verbose_pod_status_tells_the_cgroup_parent(info):
    said = api.PodSandboxStatusResponse(status=api.PodSandboxStatus(id="p1"), info={"info": json.dumps(info)})
    found = messages.pod_of_status(said.SerializeToString())
    assert (found.id, found.cgroup_parent) == ("p1", "/kubepods/podx")


@pytest.mark.parametrize(
    "text", ["", "not JSON", "[]", "null", '{"config": 3}', '{"config": {"linux": []}}', "[" * 99999]
)
def test_a_pod_status_whose_info_says_nothing_useful_has_no_cgroup_parent(text):
    said = api.PodSandboxStatusResponse(status=api.PodSandboxStatus(id="p1"), info={"info": text})
    assert messages.pod_of_status(said.SerializeToString()).cgroup_parent == ""


def test_resources_come_from_the_oci_spec_of_a_verbose_status():
    assert messages.resources_of_status(container_status(pid=7, runtimeSpec=OCI_SPEC)) == ASKED


def test_the_oci_spec_wins_over_what_the_status_says():
    said = api.ContainerStatusResponse(info={"info": json.dumps({"runtimeSpec": OCI_SPEC})})
    said.status.resources.linux.cpu_shares = 2
    assert messages.resources_of_status(said.SerializeToString()) == ASKED


def test_without_an_oci_spec_the_status_itself_is_believed():
    said = api.ContainerStatusResponse()
    said.status.resources.linux.CopyFrom(ASKED_IN_CRI)
    assert messages.resources_of_status(said.SerializeToString()) == ASKED


def test_what_a_status_itself_says_is_no_guess_from_the_oci_spec():
    assert messages.resources_told(container_status(runtimeSpec=OCI_SPEC)) is None
    said = api.ContainerStatusResponse()
    said.status.resources.linux.CopyFrom(ASKED_IN_CRI)
    assert messages.resources_told(said.SerializeToString()) == ASKED


def test_a_status_that_says_nothing_about_resources_is_told_from_one_that_says_none():
    assert messages.resources_of_status(container_status()) is None
    assert messages.resources_of_status(container_status(runtimeSpec={})) == Resources()


@pytest.mark.parametrize(
    "spec",
    [
        {"linux": None, "process": 1},
        {"linux": {"resources": {"cpu": {"shares": "many", "cpus": 3, "quota": 1.5}}}},
        {"linux": {"resources": {"memory": {"limit": 1 << 70}}}},
    ],
)
def test_an_oci_spec_of_unexpected_types_gives_nothing_and_no_error(spec):
    assert messages.resources_of_status(container_status(runtimeSpec=spec)) == Resources()


def running_status(text: str, state: int = api.CONTAINER_RUNNING) -> bytes:
    said = api.ContainerStatusResponse(status=api.ContainerStatus(id="c1", state=state), info={"info": text})
    return said.SerializeToString()


def test_a_running_container_has_a_first_process():
    assert messages.pid_of_status(running_status('{"pid": 4711, "runtimeSpec": {}}')) == 4711


@pytest.mark.parametrize("state", [api.CONTAINER_CREATED, api.CONTAINER_EXITED, api.CONTAINER_UNKNOWN])
def test_the_process_of_a_container_that_does_not_run_may_be_somebody_elses_by_now(state):
    assert messages.pid_of_status(running_status('{"pid": 4711}', state)) == 0


@pytest.mark.parametrize("text", ["", "no JSON", "{}", '{"pid": "4711"}', '{"pid": -1}', '{"pid": null}'])
def test_a_status_without_a_process_id_says_zero(text):
    assert messages.pid_of_status(running_status(text)) == 0


def test_a_version_reply_says_what_the_runtime_is():
    said = api.VersionResponse(
        version="0.1.0", runtime_name="containerd", runtime_version="v2.1", runtime_api_version="v1"
    )
    assert messages.version_of(said.SerializeToString()) == messages.Version("containerd", "v2.1", "v1")


def test_our_own_status_requests_are_verbose():
    pod = api.PodSandboxStatusRequest.FromString(messages.pod_status_request("p1"))
    container = api.ContainerStatusRequest.FromString(messages.container_status_request("c1"))
    assert (pod.pod_sandbox_id, pod.verbose) == ("p1", True)
    assert (container.container_id, container.verbose) == ("c1", True)
