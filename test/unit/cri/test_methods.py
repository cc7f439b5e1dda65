import pytest

from cri_resmgr.cri import api_pb2, methods


def test_every_path_that_we_name_is_in_the_schema():
    named = {value for value in vars(methods).values() if isinstance(value, str) and value.startswith("/runtime.v1.")}
    paths = named - {methods.RUNTIME, methods.IMAGES}
    assert paths >= methods.INTERCEPTED | methods.TAPPED
    assert [path for path in paths if methods.types_of(path) is None] == []


def test_eight_calls_are_intercepted_one_is_corrected_and_all_of_them_are_unary():
    service = api_pb2.DESCRIPTOR.services_by_name["RuntimeService"]
    unary = {f"/{service.full_name}/{m.name}" for m in service.methods if not m.server_streaming}
    assert len(methods.INTERCEPTED) == 8
    assert unary >= methods.INTERCEPTED | {methods.CONTAINER_STATUS}
    assert not methods.INTERCEPTED & methods.TAPPED


def test_types_follow_the_schema_where_names_do_not():
    kinds = methods.types_of("/runtime.v1.RuntimeService/GetContainerEvents")
    assert kinds == (api_pb2.GetEventsRequest, api_pb2.ContainerEventResponse)


@pytest.mark.parametrize(
    "path",
    ["", "/", "CreateContainer", "/runtime.v1alpha2.RuntimeService/Version", "/runtime.v1.RuntimeService/Teleport"],
)
def test_an_unknown_method_has_no_types(path):
    assert methods.types_of(path) is None
