"""Our api.proto against the protocol's own: names, numbers, types, labels and streaming must be the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor_pb2 import FieldDescriptorProto as Field
from grpc_tools import protoc

from cri_resmgr.cri import api_pb2
from equipment import machine

ROOT = Path(__file__).parents[3]
PINNED = ROOT / "test/tools/cri-api"
NAMES = {number: name.removeprefix("TYPE_").lower() for name, number in Field.Type.items()}


def parsed(proto: Path, out: Path) -> descriptor_pb2.FileDescriptorProto:
    out.mkdir(exist_ok=True)
    target = out / "set.bin"
    assert protoc.main(["protoc", f"-I{proto.parent}", f"--descriptor_set_out={target}", str(proto)]) == 0
    return descriptor_pb2.FileDescriptorSet.FromString(target.read_bytes()).file[0]


def ours() -> descriptor_pb2.FileDescriptorProto:
    found = descriptor_pb2.FileDescriptorProto()
    api_pb2.DESCRIPTOR.CopyToProto(found)
    return found


def field_fact(field: Field) -> tuple[object, ...]:
    return (
        field.number,
        "repeated" if field.label == Field.LABEL_REPEATED else "single",
        NAMES[field.type],
        field.type_name,
        field.proto3_optional,
        field.HasField("oneof_index"),
        field.options.deprecated,
    )


def enum_facts(prefix: str, enum) -> dict[str, object]:
    return {f"enum {prefix}{enum.name}": "", **{f"enum {prefix}{enum.name}.{v.name}": v.number for v in enum.value}}


def message_facts(prefix: str, message) -> dict[str, object]:
    """One entry for the message, each field, each enum and, below them, each nested message (maps are such)."""
    name = prefix + message.name
    facts: dict[str, object] = {f"message {name}": message.options.map_entry}
    facts |= {f"message {name}.{field.name}": field_fact(field) for field in message.field}
    for enum in message.enum_type:
        facts |= enum_facts(f"{name}.", enum)
    for nested in message.nested_type:
        facts |= message_facts(f"{name}.", nested)
    return facts


def facts(file: descriptor_pb2.FileDescriptorProto) -> dict[str, object]:
    found: dict[str, object] = {"package": file.package, "syntax": file.syntax}
    for enum in file.enum_type:
        found |= enum_facts("", enum)
    for message in file.message_type:
        found |= message_facts("", message)
    for service in file.service:
        for m in service.method:
            streams = (m.client_streaming, m.server_streaming)
            found[f"rpc {service.name}.{m.name}"] = (m.input_type, m.output_type, *streams)
    return found


def differences(mine: dict[str, object], theirs: dict[str, object]) -> list[str]:
    return [
        f"{name}: ours {mine.get(name, 'is missing')}, theirs {theirs.get(name, 'is missing')}"
        for name in sorted(mine.keys() | theirs.keys())
        if mine.get(name) != theirs.get(name)
    ]


def go_module(version: str) -> Path:
    """The folder of k8s.io/cri-api at `version`, "" for the pinned one; fetched into Go's own cache."""
    command = [machine.go(PINNED), "mod", "download", "-json", f"k8s.io/cri-api{version}"]
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod"}
    # In the pinned module only for the pinned version: a newer one must not change its go.sum.
    done = subprocess.run(
        command,
        cwd=PINNED if not version else "/",
        env=environment,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"k8s.io/cri-api{version} is not to be had: {done.stdout}{done.stderr}")
    return Path(json.loads(done.stdout)["Dir"])


# A release of tomorrow must not turn today's change red: the newest one is for `make test-all`.
@pytest.fixture(params=["", pytest.param("@latest", marks=pytest.mark.slow)], ids=["pinned", "newest"])
def upstream(request, tmp_path) -> descriptor_pb2.FileDescriptorProto:
    return parsed(go_module(request.param) / "pkg/apis/runtime/v1/api.proto", tmp_path / "theirs")


@pytest.mark.needs_go
def test_every_message_field_enum_and_method_is_the_protocols_own(upstream):
    found = differences(facts(ours()), facts(upstream))
    assert not found, "cri_resmgr/cri/api.proto differs from k8s.io/cri-api:\n  " + "\n  ".join(found)


@pytest.mark.needs_go
def test_what_the_protocol_calls_secret_is_secret_with_us(upstream):
    def secrets(file):
        return {(m.name, f.name) for m in file.message_type for f in m.field if f.options.debug_redact}

    assert secrets(upstream)
    assert secrets(upstream) <= secrets(ours())


@pytest.mark.parametrize(
    ("change", "reported"),
    [
        (lambda f: setattr(f.message_type[0].field[0], "number", 99), "message Int64Value.value"),
        (lambda f: setattr(f.message_type[0].field[0], "type", Field.TYPE_UINT64), "message Int64Value.value"),
        (lambda f: setattr(f.message_type[0].field[0], "label", Field.LABEL_REPEATED), "message Int64Value.value"),
        (lambda f: setattr(f.message_type[0], "name", "Other"), "message Other"),
        (lambda f: f.enum_type[0].value[0].ClearField("number"), None),
        (lambda f: setattr(f.enum_type[0].value[1], "number", 7), "enum CgroupDriver.CGROUPFS"),
        (lambda f: setattr(f.service[0].method[0], "server_streaming", True), "rpc RuntimeService.Version"),
        (lambda f: f.service[1].method.pop(), "rpc ImageService.ImageFsInfo"),
    ],
)
def test_the_comparison_reports_each_kind_of_difference(change, reported):
    theirs = ours()
    change(theirs)
    found = differences(facts(ours()), facts(theirs))
    if reported is None:  # 0 said or unsaid is the same number
        assert found == []
    else:
        assert any(line.startswith(reported) for line in found)


def test_the_committed_modules_are_what_the_generator_makes_of_the_schemas(tmp_path):
    made = subprocess.run(
        [ROOT / "hacks/make-proto", tmp_path],
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    for name in ("cri/api_pb2.py", "cri/api_pb2.pyi", "config/protocol_pb2.py", "config/protocol_pb2.pyi"):
        committed = (ROOT / "cri_resmgr" / name).read_text()
        assert (tmp_path / "cri_resmgr" / name).read_text() == committed, f"{name} is stale: run hacks/make-proto"


def test_values_of_the_environment_need_not_be_text():
    raw = api_pb2.KeyValue(key="K", value=b"\xff\xfe").SerializeToString()
    assert api_pb2.KeyValue.FromString(raw).value == b"\xff\xfe"
