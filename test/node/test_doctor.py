"""The doctor on a node with a real runtime: what it says when all is well, and when something is not."""

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from cri_resmgr.cri import methods
from doubles.runtime import FakeRuntime, StatusError, served
from equipment.relay import Relay
from equipment.runtimes import Runtime

pytestmark = [pytest.mark.needs_root]

UNKNOWN_FIELD = b"\xc2\x3e\x06future"  # field 1000, which no CRI has


class FutureRuntime(FakeRuntime):
    """Every answer has a field that nobody knows yet."""

    def answer(self, path: str, request: bytes) -> bytes:
        return super().answer(path, request) + UNKNOWN_FIELD


@contextmanager
def forgetful_relay(path: Path, runtime_socket: Path) -> Iterator[None]:
    """A relay as one writes it with a gRPC library: it reads and writes every message, by the schema of its day."""

    class Handlers(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler | None:
            if (types := methods.types_of(details.method)) is None:
                return None

            def answer(request, context):
                request.DiscardUnknownFields()
                call = channel.unary_unary(details.method, types[0].SerializeToString, types[1].FromString)
                try:
                    reply = call(request, timeout=10)
                except grpc.RpcError as error:
                    return context.abort(error.code(), error.details())
                reply.DiscardUnknownFields()
                return reply

            return grpc.unary_unary_rpc_method_handler(answer, types[0].FromString, types[1].SerializeToString)

    with grpc.insecure_channel(f"unix:{runtime_socket}") as channel, ThreadPoolExecutor(8) as pool:
        server = grpc.server(pool, handlers=[Handlers()])
        server.add_insecure_port(f"unix:{path}")
        server.start()
        try:
            yield
        finally:
            server.stop(grace=None).wait()


def doctor(*words: str | Path, relay: Path, runtime: Path, config: Path) -> tuple[int, str]:
    command = [Path(sys.executable).with_name("cri-resmgr"), "doctor", "--relay-socket", relay, "--runtime-socket",
               runtime, "--config-socket", config, *words]  # fmt: skip
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, timeout=100, check=False)
    return done.returncode, done.stdout or done.stderr


def examined(relay: Path, runtime: Path, root: Path) -> tuple[int, dict[str, tuple[str, str]]]:
    """Exit code, and grade and text by what a finding is about; `root` is where a host's /proc would be."""
    status, said = doctor(
        "--output", "json", "--host-root", root, relay=relay, runtime=runtime, config=root / "config.sock"
    )
    return status, {each["about"]: (each["grade"], each["text"]) for each in json.loads(said)["findings"]}


def test_a_healthy_node_loses_nothing(containerd16: Runtime, tmp_path: Path):
    with Relay(containerd16.socket, tmp_path, "--config-socket", str(tmp_path / "config.sock")) as relay:
        status, found = examined(relay.socket, containerd16.socket, tmp_path)
        assert {about: said for about, said in found.items() if said[0] == "wrong"} == {}
        assert status == 0
        for about in ("methods", "future methods", "unknown fields", "metadata", "deadlines", "the daemon"):
            assert found[about][0] == "well", found[about]
        assert "containerd" in found["the relay"][1]
        probed = doctor("--probe", relay=relay.socket, runtime=containerd16.socket, config=tmp_path / "config.sock")
        assert probed == (0, "the relay passes calls; the daemon is well, with policy none\n")


def test_a_relay_that_is_dead_fails_the_probe_and_is_named(tmp_path: Path):
    with served(FakeRuntime(), tmp_path / "runtime.sock"):
        status, found = examined(tmp_path / "relay.sock", tmp_path / "runtime.sock", tmp_path)
        assert (status, found["the relay"][0], found["the runtime"][0]) == (1, "wrong", "well")
        assert "methods" not in found
        sockets = {"relay": tmp_path / "relay.sock", "runtime": tmp_path / "runtime.sock", "config": tmp_path / "c"}
        status, said = doctor("--probe", **sockets)
        assert status == 1
        assert "cannot connect" in said


def test_a_runtime_that_is_down_is_named(tmp_path: Path):
    with served(FakeRuntime(), tmp_path / "runtime.sock"), Relay(tmp_path / "runtime.sock", tmp_path / "r") as relay:
        status, found = examined(relay.socket, tmp_path / "nobody.sock", tmp_path)
        assert (status, found["the runtime"][0]) == (1, "wrong")


def test_a_kubelet_that_goes_past_the_relay_is_wrong(tmp_path: Path):
    process = tmp_path / "proc/7"
    process.mkdir(parents=True)
    (process / "comm").write_text("kubelet\n")
    (process / "cmdline").write_bytes(b"/bin/kubelet\0--config=/kubelet.yaml\0")
    (tmp_path / "kubelet.yaml").write_text(
        f"containerRuntimeEndpoint: unix://{tmp_path}/runtime.sock\ncpuManagerPolicy: static\n"
    )
    with served(FakeRuntime(), tmp_path / "runtime.sock"), Relay(tmp_path / "runtime.sock", tmp_path / "r") as relay:
        status, found = examined(relay.socket, tmp_path / "runtime.sock", tmp_path)
        assert status == 1
        assert found["the kubelet's endpoint"][0] == "wrong"
        assert "past the relay" in found["the kubelet's endpoint"][1]
        assert found["cpuManagerPolicy"][0] == "wrong"


def test_a_relay_that_loses_unknown_fields_is_found_out_and_ours_is_not(tmp_path: Path):
    runtime = tmp_path / "runtime.sock"
    with served(FutureRuntime(), runtime):
        with forgetful_relay(tmp_path / "forgetful.sock", runtime):
            status, found = examined(tmp_path / "forgetful.sock", runtime, tmp_path)
        assert status == 1
        assert "fields that this program does not know are lost" in found["methods"][1]
        assert found["unknown fields"][0] == found["the kubelet"][0] == "wrong"
        with Relay(runtime, tmp_path / "r") as relay:
            status, found = examined(relay.socket, runtime, tmp_path)
        assert (status, found["the kubelet"][1]) == (0, "loses nothing by the relay")


def test_an_error_that_ends_otherwise_is_shown_with_both_texts(tmp_path: Path):
    direct, other = tmp_path / "direct.sock", tmp_path / "other.sock"
    refusing = FakeRuntime(refused={methods.LIST_CONTAINERS: StatusError(13, "no")})
    with served(FakeRuntime(), direct), served(refusing, other):
        status, found = examined(other, direct, tmp_path)
    assert status == 1
    assert "ListContainers: code 13 (no) instead of" in found["methods"][1]


def test_wrong_words_end_with_2(tmp_path: Path):
    sockets = {"relay": tmp_path / "a", "runtime": tmp_path / "b", "config": tmp_path / "c"}
    status, said = doctor("--output", "xml", **sockets)
    assert status == 2
    assert "usage" in said.lower() or "write" in said
