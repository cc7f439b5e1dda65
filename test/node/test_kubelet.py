"""A real kubelet with a real API server runs pods through the relay, and does not notice."""

import json
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from equipment.bare_node import BareNode
from equipment.control_plane import ControlPlane
from equipment.pods import Pods, container, is_ready, manifest, restart_count
from equipment.processes import wait_for
from equipment.relay import Relay
from equipment.tools import tool

pytestmark = [pytest.mark.needs_root, pytest.mark.needs_go, pytest.mark.timeout(300)]

FOREVER = "while :; do sleep 0.2; done"
SMALL = {"resources": {"requests": {"cpu": "100m", "memory": "32Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}}

Make = Callable[..., Any]


@pytest.fixture(scope="module")
def module_relay(bare_node: BareNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """The daemon; it serves from the first test that needs it to the last."""
    with Relay(bare_node.runtime.socket, tmp_path_factory.mktemp("relay")) as relay:
        yield relay
        bare_node.restart_kubelet()


@pytest.fixture
def relay(bare_node: BareNode, module_relay: Relay) -> Relay:
    """The daemon, with the kubelet on it."""
    if bare_node.endpoint != module_relay.socket:
        bare_node.restart_kubelet(module_relay.socket)
    return module_relay


@pytest.fixture
def direct_node(bare_node: BareNode, pods: Pods) -> Iterator[BareNode]:
    """The node with its kubelet on the runtime, before the test and before its pods are removed."""
    for step in ("before", "after"):
        if bare_node.endpoint != bare_node.runtime.socket:
            bare_node.restart_kubelet()
        if step == "before":
            yield bare_node


@pytest.fixture
def pod(bare_node: BareNode, relay: Relay) -> Make:
    """A manifest of a pod that will be run through the relay."""
    return lambda name, shell, **more: manifest(name, shell, node=bare_node.name, **more)


@pytest.fixture
def kubectl(control_plane: ControlPlane) -> Callable[..., str]:
    """What kubectl prints.

    For a second after a restart the kubelet refuses what concerns a pod's inside, so a failure is tried again.
    """

    def run(*arguments: str, **options: Any) -> str:
        for _ in range(20):
            try:
                return control_plane.kubectl(*arguments, **options)
            except RuntimeError as error:
                if not any(reason in str(error) for reason in ("connection refused", "does not exist")):
                    raise
                time.sleep(0.5)
        return control_plane.kubectl(*arguments, **options)

    return run


def identity(pod: Any) -> tuple[str, int]:
    """What changes when the container of a pod is replaced or restarted."""
    return container(pod)["containerID"], restart_count(pod)


def test_a_pod_gets_what_its_manifest_asks_for(bare_node, pods, pod):
    running = pods.run(pod("small", FOREVER, container=SMALL))
    cgroup = bare_node.cgroup_of(running)
    assert (cgroup.cpu_quota_us, cgroup.memory_limit_bytes) == (20_000, 64 << 20)
    assert cgroup.cpu_shares in range(102 - 26, 103)


def test_logs_show_what_a_pod_writes_to_both_streams(kubectl, pods, pod):
    pods.run(pod("talker", f"echo out; echo err >&2; {FOREVER}"))
    wait_for(lambda: sorted(kubectl("logs", "talker").split()) == ["err", "out"], "both lines")


def test_exec_carries_input_output_and_the_exit_status(control_plane, kubectl, pods, pod):
    pods.run(pod("shell", FOREVER))
    assert kubectl("exec", "-i", "shell", "--", "tr", "a-z", "A-Z", stdin="through the relay") == "THROUGH THE RELAY"
    with pytest.raises(RuntimeError, match="exit code 42"):
        control_plane.kubectl("exec", "shell", "--", "sh", "-c", "exit 42")


def test_attach_talks_to_the_first_process(control_plane, pods, pod):
    pods.run(pod("parrot", "while read line; do echo heard $line; done", container={"stdin": True}))
    command = control_plane.kubectl_command("attach", "-i", "-q", "parrot")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as attach:
        assert attach.stdin
        assert attach.stdout
        with ThreadPoolExecutor() as pool:
            line = pool.submit(attach.stdout.readline)
            # Lines are dropped until the streams are joined: say it again until it is heard.
            while not line.done():
                attach.stdin.write("hello\n")
                attach.stdin.flush()
                time.sleep(0.2)
        attach.kill()
    assert line.result() == "heard hello\n"


def test_port_forward_reaches_a_server_in_the_pod(control_plane, pods, pod):
    server = "mkdir /www; echo served >/www/index.html; httpd -p 8080 -h /www"
    pods.run(pod("server", f"{server}; {FOREVER}"))
    command = control_plane.kubectl_command("port-forward", "pod/server", ":8080")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forward:
        try:
            assert forward.stdout
            # "Forwarding from 127.0.0.1:40123 -> 8080"
            address = forward.stdout.readline().split()[2]
            with opener.open(f"http://{address}/", timeout=30) as response:
                assert response.read() == b"served\n"
        finally:
            forward.kill()


def test_a_readiness_probe_decides_who_is_ready(kubectl, pods, pod):
    probe = {"readinessProbe": {"exec": {"command": ["test", "-e", "/tmp/open"]}, "periodSeconds": 1}}
    name = pods.create(pod("door", FOREVER, container=probe))
    shut = pods.wait(name, lambda pod: container(pod).get("started"), "to run")
    assert not is_ready(shut)
    kubectl("exec", name, "--", "touch", "/tmp/open")
    pods.wait(name, is_ready, "to be Ready")
    kubectl("exec", name, "--", "rm", "/tmp/open")
    closed = pods.wait(name, lambda pod: not is_ready(pod), "not to be Ready")
    assert restart_count(closed) == 0


def test_a_liveness_probe_restarts_what_no_longer_answers(pods, pod):
    probe = {"livenessProbe": {"httpGet": {"port": 8080}, "periodSeconds": 1, "failureThreshold": 2}}
    serve_once = "mkdir /www; httpd -p 8080 -h /www; echo >/www/index.html; sleep 4; killall httpd"
    name = pods.create(pod("mortal", f"{serve_once}; {FOREVER}", container=probe))
    restarted = pods.wait(name, restart_count, "to be restarted")
    assert container(restarted)["lastState"]["terminated"]["containerID"] != container(restarted)["containerID"]


def test_a_container_that_crashes_is_started_again(pods, pod):
    volume = {"volumes": [{"name": "kept", "emptyDir": {}}]}
    mount = {"volumeMounts": [{"name": "kept", "mountPath": "/kept"}]}
    crash_once = "test -e /kept/second || { touch /kept/second; exit 7; }"
    name = pods.create(pod("crasher", f"{crash_once}; {FOREVER}", container=mount, **volume))
    again = pods.wait(name, lambda pod: restart_count(pod) == 1 and is_ready(pod), "to run again")
    assert container(again)["lastState"]["terminated"]["exitCode"] == 7


def test_a_pod_that_uses_more_disk_than_it_may_is_evicted(pods, pod):
    volume = {"volumes": [{"name": "small", "emptyDir": {"sizeLimit": "1Mi"}}]}
    mount = {"volumeMounts": [{"name": "small", "mountPath": "/small"}]}
    greedy = pod("greedy", f"dd if=/dev/zero of=/small/file bs=1M count=4; {FOREVER}", container=mount, **volume)
    evicted = pods.wait(pods.create(greedy), lambda pod: pod["status"]["phase"] == "Failed", "to be evicted", 120)
    assert evicted["status"]["reason"] == "Evicted"


def test_a_pod_past_its_deadline_is_ended(pods, pod):
    name = pods.create(pod("late", FOREVER, activeDeadlineSeconds=2))
    ended = pods.wait(name, lambda pod: pod["status"]["phase"] == "Failed", "to fail")
    assert ended["status"]["reason"] == "DeadlineExceeded"


def test_a_pod_is_resized_in_place(bare_node, kubectl, pods, pod):
    before = pods.run(pod("growing", FOREVER, container=SMALL))
    resources = {"requests": {"cpu": "200m", "memory": "32Mi"}, "limits": {"cpu": "400m", "memory": "128Mi"}}
    patch = json.dumps({"spec": {"containers": [{"name": "c", "resources": resources}]}})
    kubectl("patch", "pod", "growing", "--subresource=resize", "--patch", patch)

    def grown() -> bool:
        cgroup = bare_node.cgroup_of(before)
        return (cgroup.cpu_quota_us, cgroup.memory_limit_bytes) == (40_000, 128 << 20)

    wait_for(grown, "the new limits in the kernel")
    assert identity(pods.get("growing")) == identity(before)


def test_crictl_sees_and_does_through_the_relay_what_the_kubelet_did(relay, pods, pod):
    running = pods.run(pod("seen", f"echo seen; {FOREVER}"))
    container_id = container(running)["containerID"].rpartition("/")[2]

    def crictl(*arguments: str) -> str:
        command = [tool("crictl"), "--timeout=60s", f"--runtime-endpoint=unix://{relay.socket}", *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    assert container_id in crictl("ps", "--no-trunc", "--quiet")
    assert crictl("exec", container_id, "echo", "done") == "done\n"
    assert crictl("logs", container_id) == "seen\n"
    assert json.loads(crictl("inspect", container_id))["status"]["state"] == "CONTAINER_RUNNING"
    crictl("stop", container_id)
    pods.wait("seen", lambda pod: restart_count(pod) == 1 and is_ready(pod), "to be started again by the kubelet")


def test_pods_do_not_notice_when_the_kubelet_moves_to_the_relay_and_back(direct_node, pods, tmp_path):
    before = pods.run(manifest("settled", FOREVER, node=direct_node.name, container=SMALL))
    cgroup = direct_node.cgroup_of(before)
    with Relay(direct_node.runtime.socket, tmp_path) as relay:
        for name, endpoint in (("relayed", relay.socket), ("direct", None)):
            direct_node.restart_kubelet(endpoint)
            # Only a pod made now proves that the kubelet has looked at all others.
            pods.run(manifest(name, FOREVER, node=direct_node.name))
            after = pods.get("settled")
            assert is_ready(after)
            assert identity(after) == identity(before)
            assert direct_node.cgroup_of(after) == cgroup


def test_pods_and_node_survive_a_relay_that_is_killed(direct_node, kubectl, pods, tmp_path):
    with Relay(direct_node.runtime.socket, tmp_path) as relay:
        direct_node.restart_kubelet(relay.socket)
        before = pods.run(manifest("settled", FOREVER, node=direct_node.name, container=SMALL))
        relay.kill()
        early = pods.create(manifest("early", FOREVER, node=direct_node.name))
        time.sleep(2)  # the kubelet lists containers each second, so it notices
        assert pods.get(early)["status"]["phase"] == "Pending"
        relay.start()
        pods.wait(early, is_ready, "to be Ready")
        for name in ("second", "third"):
            relay.kill()
            relay.start()
            pods.run(manifest(name, FOREVER, node=direct_node.name))
        direct_node.wait_ready(after=direct_node.heartbeat())
        assert identity(pods.get("settled")) == identity(before)
        assert kubectl("exec", "settled", "--", "echo", "alive") == "alive\n"
