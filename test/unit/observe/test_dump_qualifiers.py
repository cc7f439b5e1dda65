import pytest

from cri_resmgr.cri import api_pb2 as api
from cri_resmgr.cri import methods
from cri_resmgr.observe.dump_qualifiers import qualifier
from cri_resmgr.values.workloads import Container, Pod

PODS = {"p1": Pod("p1", "web-0", "shop", "u1")}
CONTAINERS = {"c1": Container("p1", "app", 0, id="c1"), "c2": Container("p9", "app", 0, id="c2")}


class Call:
    def __init__(self, method, request):
        self.method = method
        self.request = request if isinstance(request, bytes) else request.SerializeToString()


def named(method, request):
    return qualifier(Call(method, request), pod=PODS.get, container=CONTAINERS.get)


def of_container(method, container_id):
    return named(method, methods.types_of(method)[0](container_id=container_id))


def test_a_new_pod_is_named_by_its_request():
    metadata = api.PodSandboxMetadata(name="web-1")
    request = api.RunPodSandboxRequest(config=api.PodSandboxConfig(metadata=metadata))
    assert named(methods.RUN_POD_SANDBOX, request) == "web-1"


def test_a_new_container_is_named_by_its_request():
    request = api.CreateContainerRequest(pod_sandbox_id="p1")
    assert named(methods.CREATE_CONTAINER, request) == "missing pod metadata in request"
    request.sandbox_config.metadata.name = "web-0"
    assert named(methods.CREATE_CONTAINER, request) == "missing metadata in request"
    request.config.metadata.name = "app"
    assert named(methods.CREATE_CONTAINER, request) == "web-0:app"


@pytest.mark.parametrize("method", [methods.STOP_POD_SANDBOX, methods.REMOVE_POD_SANDBOX])
def test_a_known_pod_is_named_and_an_unknown_one_is_told_by_its_id(method):
    kind = methods.types_of(method)[0]
    assert named(method, kind(pod_sandbox_id="p1")) == "web-0"
    assert named(method, kind(pod_sandbox_id="p7")) == "unknown pod p7"


@pytest.mark.parametrize(
    "method",
    [
        methods.START_CONTAINER,
        methods.STOP_CONTAINER,
        methods.REMOVE_CONTAINER,
        methods.UPDATE_CONTAINER_RESOURCES,
    ],
)
def test_a_known_container_is_named_with_its_pod_and_an_unknown_one_is_told_by_its_id(method):
    assert of_container(method, "c1") == "web-0:app"
    assert of_container(method, "c2") == "unknown pod p9:app"
    assert of_container(method, "c7") == "unknown container c7"


def test_a_request_that_nobody_can_read_and_a_call_about_nothing():
    assert named(methods.START_CONTAINER, b"\xff") == "undecodable request"
    assert named(methods.VERSION, b"") == ""
