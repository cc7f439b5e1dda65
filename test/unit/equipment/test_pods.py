from types import SimpleNamespace
from typing import Any

import pytest

from equipment.control_plane import Api, ApiError
from equipment.pods import PATH, Pods, container, is_ready, manifest, restart_count


class Server:
    """An API server for pods: a deleted pod is there for one more look."""

    discard = Api.discard

    def __init__(self) -> None:
        self.pods: dict[str, Any] = {}
        self.calls: list[str] = []

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        name = path.removeprefix(PATH).strip("/") or body["metadata"]["name"]
        self.calls.append(f"{method} {name}")
        if method == "POST":
            self.pods[name] = body | {"status": {"conditions": []}}
        elif name not in self.pods:
            raise ApiError(404, "not found")
        return self.pods[name]

    def find(self, path: str) -> Any:
        return self.pods.pop(path.rpartition("/")[2], None)


@pytest.fixture
def server() -> Server:
    return Server()


def ready(name: str, value: str) -> Any:
    return {"metadata": {"name": name}, "status": {"conditions": [{"type": "Ready", "status": value}]}}


def test_a_manifest_keeps_what_is_fixed_and_adds_what_is_asked_for():
    pod = manifest("a", "true", node="n", container={"stdin": True}, hostNetwork=True)
    only = pod["spec"]["containers"][0]
    assert (only["name"], only["stdin"], only["imagePullPolicy"]) == ("c", True, "Never")
    assert (pod["spec"]["nodeName"], pod["spec"]["hostNetwork"]) == ("n", True)


def test_pods_are_gone_after_the_test_even_when_it_failed(server):
    def test() -> None:
        with Pods(SimpleNamespace(api=server)) as pods:
            for name in ("a", "b"):
                pods.create(manifest(name, "true", node="n"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        test()
    assert server.calls == ["POST a", "POST b", "DELETE a", "DELETE b"]
    assert server.pods == {}


def test_a_pod_that_the_test_itself_has_deleted_is_no_trouble(server):
    with Pods(SimpleNamespace(api=server)) as pods:
        name = pods.create(manifest("a", "true", node="n"))
        del server.pods[name]


def test_any_other_refusal_is_told():
    class Forbidding(Server):
        def __call__(self, *_: object) -> Any:
            raise ApiError(403, "forbidden")

    with pytest.raises(ApiError, match="403: forbidden"):
        Pods(SimpleNamespace(api=Forbidding())).delete("a")


def test_waiting_in_vain_shows_the_last_status(server):
    pods = Pods(SimpleNamespace(api=server))
    pods.create(manifest("a", "true", node="n"))
    server.pods["a"] = ready("a", "False")
    with pytest.raises(TimeoutError, match="pod a to be Ready") as caught:
        pods.wait("a", is_ready, "to be Ready", 0.1)
    assert "'status': 'False'" in caught.value.__notes__[0]


def test_waiting_gives_the_pod_as_it_is_then(server):
    pods = Pods(SimpleNamespace(api=server))
    pods.create(manifest("a", "true", node="n"))
    server.pods["a"] = ready("a", "True")
    assert pods.wait("a", is_ready, "to be Ready") is server.pods["a"]


def test_a_pod_without_containers_yet_has_restarted_nothing():
    assert container({"status": {}}) == {}
    assert restart_count({"status": {"containerStatuses": [{"restartCount": 3}]}}) == 3
    assert restart_count({"status": {}}) == 0
